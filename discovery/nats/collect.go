package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// naps is how often a collection makes sure that the server is awake.
const naps = 4

// DiscoverPeers asks on the subject and returns who has answered within
// Timeout, or has said hello meanwhile. The package comment says when what was
// found is returned with an error.
func (p *Provider) DiscoverPeers(ctx context.Context) ([]string, error) {
	s, err := p.session()
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for {
		addrs, err := p.collect(ctx, s)
		if err != nil || len(addrs) > 0 || time.Since(s.since) >= p.quiet {
			return addrs, err
		}
		if err := s.settle(ctx); err != nil {
			return nil, err
		}
	}
}

func (p *Provider) collect(ctx context.Context, s *session) ([]string, error) {
	c := &collection{s: s, w: s.open(answer), timeout: p.cfg.Timeout}
	defer s.close(c.w)
	err := c.run(ctx)
	addrs, whole := c.w.found()
	if err == nil && !whole {
		err = fmt.Errorf("nats-subject %s: more than %d addresses: somebody makes them up", p.cfg.Subject, maxPeers)
	}
	return addrs, err
}

// settle waits until the session is as old as the provider's quiet time, or a
// node has said hello. Whoever asks a server that has just been restarted finds
// nobody, since the others are not connected again: a node that is started at
// that moment would become a cluster of its own beside the one that runs.
func (s *session) settle(ctx context.Context) error {
	w := s.open(0)
	defer s.close(w)
	timer := time.NewTimer(s.p.quiet - time.Since(s.since))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.first:
	case <-s.done:
		return s.ended(nats.ErrConnectionClosed)
	case <-ctx.Done():
		return fmt.Errorf("nats-server %s: nobody there, but connected for less than %v, so that nodes that were may be on their way back: %w", s.server, s.p.quiet, context.Cause(ctx))
	}
	return nil
}

// collection is one call of DiscoverPeers.
type collection struct {
	s       *session
	w       *window
	timeout time.Duration
	sub     *nats.Subscription // of the inbox
}

func (c *collection) run(ctx context.Context) (err error) {
	inbox := c.s.nc.NewInbox()
	c.w.mu.Lock()
	c.w.inbox = inbox
	c.w.mu.Unlock()
	if c.sub, err = subscribe(c.s.nc, inbox); err != nil {
		return c.s.ended(err)
	}
	defer c.sub.Unsubscribe() //nolint:errcheck // fails if the connection is lost, which is told already

	reading, stop := context.WithCancel(ctx)
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(reading)
	}()
	before := c.s.lost()
	err = c.wait(ctx, inbox)
	stop()
	<-read
	if err != nil {
		return err
	}
	if err := c.drain(); err != nil {
		return c.s.ended(err)
	}
	dropped, _ := c.sub.Dropped()
	if n := c.s.lost() - before + uint64(max(0, dropped)); n > 0 {
		return fmt.Errorf("nats-subject %s: a flood: %d messages could not be handled, and answers may be among them", c.s.p.cfg.Subject, n)
	}
	return nil
}

// wait asks and returns when the answers are in.
func (c *collection) wait(ctx context.Context, inbox string) error {
	if err := c.s.nc.PublishRequest(c.s.p.cfg.Subject, inbox, c.s.p.encoded(request)); err != nil {
		return c.s.ended(err)
	}
	if err := c.s.await(ctx, c.w); err != nil {
		return err
	}
	// The own answer is back, so those of the others are under way. Time in
	// which the server stands still is none in which they could come: it is
	// asked after each part, and a standstill that takes much more than one is
	// noticed. Its last reply comes after all that it had for this node.
	for range naps {
		timer := time.NewTimer(c.timeout / naps)
		select {
		case <-timer.C:
		case err := <-c.w.refused:
			timer.Stop()
			return err
		case <-c.s.done:
			timer.Stop()
			return c.s.ended(nats.ErrConnectionClosed)
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("asked for less long than nats-timeout %v: %w", c.timeout, context.Cause(ctx))
		}
		if err := c.s.flush(ctx, c.timeout/2); err != nil {
			return err
		}
	}
	return nil
}

// await waits for the window's echo.
func (s *session) await(ctx context.Context, w *window) error {
	timer := time.NewTimer(echoWithin)
	defer timer.Stop()
	select {
	case <-w.back:
		return nil
	case err := <-w.refused:
		return err
	case <-s.done:
		return s.ended(nats.ErrConnectionClosed)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("nats-server %s, nats-subject %s: the node's own %v is not back after %v: the server is stuck, the subject flooded, or not permitted", s.server, w.subject, w.echo, echoWithin)
	}
}

// flush returns when the server has answered a ping.
func (s *session) flush(ctx context.Context, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.nc.FlushWithContext(limited)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("nats-server %s: silent for %v", s.server, limit)
	}
	return s.ended(err)
}

// read takes answers until ctx or the session ends.
func (c *collection) read(ctx context.Context) {
	for {
		m, err := c.sub.NextMsgWithContext(ctx)
		switch {
		case err == nil:
			c.take(m)
		case errors.Is(err, nats.ErrSlowConsumer), errors.Is(err, nats.ErrNoResponders):
			// Counted; and not one node may have been there, this one aside,
			// whose own answer is awaited.
		default:
			return
		}
	}
}

// drain takes what came before the server's last reply and was not read yet. An
// error means that something was not: the connection is lost, or who answers
// never stops.
func (c *collection) drain() error {
	for range queueMessages {
		m, err := c.sub.NextMsg(time.Nanosecond)
		switch {
		case err == nil:
			c.take(m)
		case errors.Is(err, nats.ErrTimeout):
			return nil
		case errors.Is(err, nats.ErrSlowConsumer), errors.Is(err, nats.ErrNoResponders):
		default:
			return err
		}
	}
	return fmt.Errorf("over %d answers wait unread", queueMessages)
}

func (c *collection) take(raw *nats.Msg) {
	m, err := decode(raw.Data)
	if err == nil && m.Kind == answer && m.Cluster == c.s.p.self.Cluster {
		c.w.take(m)
	}
}
