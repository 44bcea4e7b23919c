package client

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// New makes a client of the nodes at config.Addrs. It dials nothing yet: the
// first call does.
func New(config Config) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	p, err := newPool(config.withDefaults())
	if err != nil {
		return nil, err
	}
	return &Client{backend: p}, nil
}

// pool sends each call to one of several nodes: to the one that answered last
// while it does, else to the next in order.
type pool struct {
	config Config
	dialer *dialer
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	group  sync.WaitGroup // all goroutines

	// favourite is the connection that answered last: the way of most calls, which
	// takes no lock.
	favourite atomic.Pointer[conn]

	mu      sync.Mutex
	nodes   []*node       // in the order of config.Addrs
	current int           // the node that answered last
	changed chan struct{} // closed when a dial has ended
	closed  bool
}

func newPool(config Config) (*pool, error) {
	d, err := newDialer(config)
	if err != nil {
		return nil, invalid("client: %w", err)
	}
	p := &pool{config: config, dialer: d, changed: make(chan struct{})}
	for _, s := range config.Addrs {
		addr, err := parseAddr(s)
		if err == nil {
			err = d.auth.CheckAddr(addr.host)
		}
		if err != nil {
			return nil, invalid("client: %w", err)
		}
		p.nodes = append(p.nodes, newNode(addr, config.TLSFirst))
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

func (p *pool) shared() bool { return false }

// close ends everything and waits for it.
func (p *pool) close() error {
	p.mu.Lock()
	p.closed = true
	p.cancel() // ends dials, and each connection by its watch
	p.announceLocked()
	p.mu.Unlock()
	p.group.Wait()
	return nil
}

// announceLocked wakes everybody who waits for a dial.
func (p *pool) announceLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// do makes one call, on one node after another if need be.
func (p *pool) do(ctx context.Context, req *wire.Request, resp *wire.Response) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	limit := time.Now().Add(p.config.Timeout)
	timeout := p.config.Timeout
	if d, ok := ctx.Deadline(); ok && d.Before(limit) {
		limit, timeout = d, time.Until(d)
	}
	c := p.favourite.Load()
	if c == nil {
		return p.retry(ctx, limit, req, resp, nil, nil)
	}
	err := c.call(ctx, timeout, req, resp)
	if err == nil && resp.Code == wire.CodeOK {
		return nil
	}
	return p.retry(ctx, limit, req, resp, c, err)
}

// retry goes on after a first try on c (nil: there was none), which ended with
// err or, where that is nil, with resp.
func (p *pool) retry(ctx context.Context, limit time.Time, req *wire.Request, resp *wire.Response, c *conn, err error) error {
	t := newTour(p, req, limit)
	if c != nil {
		if final, err := t.settle(ctx, c, resp, err); final {
			return err
		}
	}
	for {
		c, err := p.acquire(ctx, t)
		switch {
		case err != nil:
			return err
		case c == nil: // every node has been tried
			if err := t.pause(ctx); err != nil {
				return err
			}
			continue
		}
		err = c.call(ctx, max(time.Until(limit), time.Millisecond), req, resp)
		if final, err := t.settle(ctx, c, resp, err); final {
			return err
		}
	}
}

// acquire returns a connection to a node that the tour has not tried yet in this
// pass, dialling where need be; nil when there is none left.
func (p *pool) acquire(ctx context.Context, t *tour) (*conn, error) {
	timer := time.NewTimer(0) // of the next dial
	defer timer.Stop()
	due := time.Now()
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, ErrClosed
		}
		s := p.surveyLocked(t)
		if s.ready != nil {
			p.mu.Unlock()
			return s.ready.conn, nil
		}
		if s.next == nil && !s.pending {
			p.mu.Unlock()
			return nil, nil
		}
		now := time.Now()
		if s.next != nil && !now.Before(due) && !now.Before(s.next.rest) {
			s.next.dialing = true
			n := s.next
			p.group.Go(func() { p.dial(n) })
			due = now.Add(headStart)
			p.mu.Unlock()
			continue
		}
		changed := p.changed
		p.mu.Unlock()

		wake := t.limit
		if s.next != nil {
			wake = earlier(wake, later(due, s.next.rest))
			if !s.pending {
				wake = earlier(t.limit, s.next.rest)
				due = wake
			}
		}
		timer.Reset(time.Until(wake))
		select {
		case <-changed:
		case <-timer.C:
			if !time.Now().Before(t.limit) {
				return nil, t.expired()
			}
		case <-ctx.Done():
			return nil, t.ended(ctx.Err())
		}
	}
}

// survey is what acquire sees when it looks at the nodes.
type survey struct {
	ready   *node // connected and not tried yet in this pass
	next    *node // to be dialled next
	pending bool  // a dial that may bring something is in progress
}

func (p *pool) surveyLocked(t *tour) (s survey) {
	var rested *node
	for i := range p.nodes {
		at := (p.current + i) % len(p.nodes)
		n := p.nodes[at]
		switch stop := &t.stops[at]; {
		case stop.tried:
		case n.conn != nil && n.conn.alive():
			if rested == nil && time.Now().Before(n.rest) {
				rested = n // it was not ready a moment ago: others first
				continue
			}
			s.ready = n
			return s
		case n.dialing:
			s.pending, stop.awaited = true, true
		case n.err != nil && (stop.awaited || n.dialled > stop.dialled):
			stop.fail(n.err) // the dial that this pass waited for has failed
		case s.next == nil || n.rest.Before(s.next.rest):
			s.next = n
		}
	}
	if s.next == nil && !s.pending {
		s.ready = rested
	}
	return s
}

// answered makes the node of c the one that calls go to first.
func (p *pool) answered(c *conn) {
	if p.favourite.Load() == c {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.node == nil || c.node.conn != c || p.closed {
		return
	}
	for i, n := range p.nodes {
		if n == c.node {
			p.current = i
		}
	}
	c.node.rest = time.Time{}
	p.favourite.Store(c)
}

// refusedBy keeps calls away from c's node for a while.
func (p *pool) refusedBy(c *conn, pause time.Duration) {
	p.favourite.CompareAndSwap(c, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.node != nil {
		c.node.rest = time.Now().Add(pause)
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
