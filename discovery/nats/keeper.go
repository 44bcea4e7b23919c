package nats

import (
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

// begin takes the first session and starts the keeper.
func (p *Provider) begin(s *session) error {
	p.mu.Lock()
	if p.ctx.Err() != nil {
		p.mu.Unlock()
		s.shut()
		return errClosed
	}
	p.cur, p.runs = s, true
	p.keeper.Go(func() { p.keep(s) })
	p.mu.Unlock()
	return nil
}

// keep is the keeper: it replaces a session that has ended until Close.
//
// The library would connect anew by itself, but not for ever, whatever is
// asked of it: it gives up when a server refuses the same user twice, which one
// that restarts may do, and for each error that it does not know. And it holds
// its lock while it tries, so that each call would wait for a server that is
// stuck. A connection that is not revived also makes it plain whether it was
// lost while answers were collected.
func (p *Provider) keep(s *session) {
	for s != nil {
		select {
		case <-s.done:
		case <-p.ctx.Done():
			p.setDown(errClosed)
			s.shut()
			return
		}
		err := s.ended(nats.ErrConnectionClosed)
		p.setDown(err)
		s.shut()
		p.log.Warn("nats: disconnected; connecting again until it succeeds", "server", s.server, "error", err)
		s = p.again()
	}
}

// again connects until it succeeds, and announces the node; nil after Close.
// All nodes have lost their connections at once, so that each begins at a time
// drawn by lot.
func (p *Provider) again() *session {
	wait := rand.N(p.cfg.ReconnectWait)
	for pause(p.ctx, wait) {
		s, err := p.connect(p.ctx)
		if err != nil {
			p.setDown(err)
			wait = p.cfg.ReconnectWait + rand.N(p.cfg.ReconnectWait/4+time.Nanosecond)
			continue
		}
		if p.registered.Load() {
			_ = s.nc.Publish(p.cfg.Subject, p.encoded(hello)) // what fails here ends the session
		}
		p.mu.Lock()
		p.cur = s
		p.mu.Unlock()
		p.log.Info("nats: connected again", "server", s.server)
		p.signal()
		return s
	}
	return nil
}

func (p *Provider) setDown(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cur, p.down = nil, err
}
