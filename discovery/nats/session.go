package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Bounds of a connection.
const (
	// A server that says nothing is given up after silence.
	pingInterval = time.Second
	maxPings     = 2
	silence      = (maxPings + 1) * pingInterval

	// echoWithin is how long a message may take through the server and back.
	echoWithin = 2 * time.Second

	// writeTimeout is how long a full socket may hold up who sends.
	writeTimeout = 500 * time.Millisecond

	// What may wait, unread, in a subscription: what is beyond is dropped, and
	// makes whatever was asked meanwhile an error.
	queueMessages = 1 << 14
	queueBytes    = 8 << 20
)

// session is one connection, from the first subscription to its end. It is
// never revived: the keeper makes another.
type session struct {
	p      *Provider
	server string // host:port
	since  time.Time

	// Set by start.
	nc  *nats.Conn
	sub *nats.Subscription

	done     chan struct{} // closed when the connection is
	listener sync.WaitGroup
	skipped  atomic.Uint64 // requests that the limit left without an answer
	mute     sync.Once     // tells once that answers are not permitted

	mu      sync.Mutex
	cause   error // of the end, or what will be that of the end
	windows map[*window]struct{}
}

func newSession(p *Provider, server string) *session {
	return &session{p: p, server: server, since: time.Now(), done: make(chan struct{}), windows: map[*window]struct{}{}}
}

// start subscribes to the subject, makes sure that the server has accepted that
// and begins to listen. The caller ends the session, whatever start returns.
func (s *session) start(ctx context.Context, nc *nats.Conn) (err error) {
	s.nc = nc
	w := s.open(0)
	defer s.close(w)
	if s.sub, err = subscribe(nc, s.p.cfg.Subject); err != nil {
		return err
	}
	// The refusal of a subscription comes before the answer to a ping.
	if err := nc.FlushWithContext(ctx); err != nil {
		return s.ended(err)
	}
	if err := nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, nats.ErrMaxSubscriptionsExceeded) {
		return s.denied(err)
	}
	s.listener.Go(s.listen)
	return nil
}

func subscribe(nc *nats.Conn, subject string) (*nats.Subscription, error) {
	sub, err := nc.SubscribeSync(subject)
	if err != nil {
		return nil, err
	}
	return sub, sub.SetPendingLimits(queueMessages, queueBytes)
}

// shut ends the session and waits until it has ended.
func (s *session) shut() {
	s.nc.Close()
	<-s.done
	s.listener.Wait()
}

// onClosed is called by the library, once.
func (s *session) onClosed(err error) {
	s.mu.Lock()
	if s.cause == nil {
		s.cause = err
	}
	s.mu.Unlock()
	close(s.done)
}

// onError is called by the library for what happens beside the calls.
func (s *session) onError(err error) {
	switch {
	case errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, nats.ErrMaxSubscriptionsExceeded):
		s.deny(err)
	case errors.Is(err, nats.ErrSlowConsumer), errors.Is(err, nats.ErrBadHeaderMsg):
		// The first is counted by the subscription, the second anybody's
		// message.
	default:
		// The server is about to end the connection, or a write has stopped
		// halfway: nothing that follows it would be understood.
		s.mu.Lock()
		if s.cause == nil {
			s.cause = err
		}
		s.mu.Unlock()
		s.nc.Close()
	}
}

// deny tells the calls under way whom the refusal concerns.
func (s *session) deny(err error) {
	concerned := false
	s.mu.Lock()
	for w := range s.windows {
		if w.concerns(err) {
			concerned = true
			w.deny(s.denied(err))
		}
	}
	s.mu.Unlock()
	if !concerned {
		s.mute.Do(func() {
			s.p.log.Warn("nats: the server does not let this node answer", "server", s.server, "subject", s.p.cfg.Subject, "error", err)
		})
	}
}

func (s *session) denied(err error) error {
	return fmt.Errorf("nats-subject %s: not permitted on %s: a node publishes and subscribes to the subject and to _INBOX.>: %w", s.p.cfg.Subject, s.server, err)
}

// ended is the error of a call whose session ended under it: the cause of that,
// where it is known, instead of what the call was told.
func (s *session) ended(err error) error {
	select {
	case <-s.done:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cause != nil {
			err = s.cause
		}
		return fmt.Errorf("nats-server %s: the connection was lost: %w", s.server, err)
	default:
		return fmt.Errorf("nats-server %s: %w", s.server, err)
	}
}

// lost counts the messages on the subject that nobody looked at.
func (s *session) lost() uint64 {
	dropped, _ := s.sub.Dropped() // zero once closed, which is told otherwise
	return uint64(max(0, dropped)) + s.skipped.Load()
}

// listen handles what comes on the subject until the session ends.
func (s *session) listen() {
	for {
		m, err := s.sub.NextMsgWithContext(context.Background())
		switch {
		case err == nil:
			s.handle(m)
		case errors.Is(err, nats.ErrSlowConsumer), errors.Is(err, nats.ErrNoResponders):
			// Some were dropped; a message that looks like the server's.
		default:
			return
		}
	}
}

func (s *session) handle(raw *nats.Msg) {
	m, err := decode(raw.Data)
	if err != nil || m.Cluster != s.p.self.Cluster {
		return
	}
	switch other := m.Instance != s.p.self.Instance; m.Kind {
	case request:
		s.answer(m, raw.Reply)
	case hello:
		s.mu.Lock()
		for w := range s.windows {
			w.take(m)
		}
		s.mu.Unlock()
		if other {
			s.p.signal()
		}
	case goodbye:
		if other {
			s.p.signal()
		}
	}
}

// answer answers a request of another node if this one is registered, and its
// own always: that is how it knows that requests and answers get through.
func (s *session) answer(m message, inbox string) {
	own := m.Instance == s.p.self.Instance
	if !isInbox(inbox) || !own && !s.p.registered.Load() {
		return
	}
	if !s.p.limit.Allow() {
		s.skipped.Add(1)
		return
	}
	_ = s.nc.Publish(inbox, s.p.encoded(answer)) // what fails here ends the session
}
