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
	// silence and headStart, or others in tests.
	quiet, head time.Duration
	ctx         context.Context // ends with close
	cancel      context.CancelFunc
	group       sync.WaitGroup // all goroutines

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
	p := &pool{config: config, dialer: d, quiet: silence, head: headStart, changed: make(chan struct{})}
	var errs []error
	for i, s := range config.Addrs {
		addr, err := parseAddr(s)
		if err == nil {
			err = d.auth.CheckAddr(addr.host)
		}
		errs = append(errs, err)
		p.nodes = append(p.nodes, newNode(i, addr, config.TLSFirst))
	}
	if err := inOneLine(errs); err != nil {
		return nil, err
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
	switch {
	case err != nil || elsewhere(resp):
		return p.retry(ctx, limit, req, resp, c, err)
	case resp.Code != wire.CodeOK:
		return refused(req, resp, c.addr)
	}
	return nil
}

// retry goes on after a first try on c (nil: there was none), which ended with
// err or, where that is nil, with resp.
func (p *pool) retry(ctx context.Context, limit time.Time, req *wire.Request, resp *wire.Response, c *conn, err error) error {
	t := newTour(p, req, limit)
	for {
		if c != nil {
			if final, err := t.settle(ctx, c, resp, err); final {
				return err
			}
		}
		for {
			var aerr error
			if c, aerr = p.acquire(ctx, t); aerr != nil {
				return aerr
			}
			if c != nil {
				break
			}
			if perr := t.pause(ctx); perr != nil { // every node has been tried
				return perr
			}
		}
		err = c.call(ctx, max(time.Until(limit), time.Millisecond), req, resp)
	}
}

// acquire returns a connection to a node that the tour has not tried yet in this
// pass, dialling where need be; nil when there is none left. While one dial is in
// progress, the next address is dialled after a head start.
func (p *pool) acquire(ctx context.Context, t *tour) (*conn, error) {
	var timer *time.Timer
	last := time.Now() // that a dial was begun, as far as is known here
	for {
		now := time.Now()
		if !now.Before(t.limit) {
			return nil, t.over(ctx.Err())
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, ErrClosed
		}
		s := p.surveyLocked(t, now)
		if s.ready != nil || s.next == nil && !s.pending {
			p.mu.Unlock()
			return s.ready, nil
		}
		wake := t.limit
		if s.next != nil {
			begin := s.next.rest
			if s.pending {
				begin = later(begin, last.Add(p.head))
			}
			if !now.Before(begin) {
				p.dialLocked(s.next)
				last = now
				p.mu.Unlock()
				continue
			}
			wake = earlier(wake, begin)
		}
		changed := p.changed
		p.mu.Unlock()

		if timer == nil {
			timer = time.NewTimer(wake.Sub(now))
			defer timer.Stop()
		} else {
			timer.Reset(wake.Sub(now))
		}
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			return nil, t.over(ctx.Err())
		}
	}
}

func (p *pool) dialLocked(n *node) {
	n.dialing = true
	p.group.Go(func() { p.dial(n) })
}

// survey is what acquire sees when it looks at the nodes.
type survey struct {
	ready   *conn // to a node that was not tried yet in this pass
	next    *node // to be dialled next
	pending bool  // a dial that may bring something is in progress
}

func (p *pool) surveyLocked(t *tour, now time.Time) (s survey) {
	var resting *conn
	for i := range p.nodes {
		n := p.nodes[(p.current+i)%len(p.nodes)]
		switch stop := &t.stops[n.index]; {
		case stop.tried:
		case n.conn != nil && n.conn.alive():
			if !now.Before(n.rest) {
				s.ready = n.conn
				return s
			}
			if resting == nil { // it was not ready a moment ago: others first
				resting = n.conn
			}
		case n.dialing:
			s.pending = true
		case n.err != nil && n.dialled > stop.dialled:
			stop.fail(n.err) // dialled in this pass, in vain
		case s.next == nil || n.rest.Before(s.next.rest):
			s.next = n
		}
	}
	if s.next == nil && !s.pending {
		s.ready = resting
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
	p.current = c.node.index
	c.node.rest = time.Time{}
	p.favourite.Store(c)
}

// lost keeps calls away from a connection that has ended.
func (p *pool) lost(c *conn) { p.favourite.CompareAndSwap(c, nil) }

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
