package client

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// headStart is what the preferred transport, or the address before in the list,
// gets before the next one is dialled beside it.
const headStart = 250 * time.Millisecond

// node is one address and what is known of it.
type node struct {
	index int // in the pool
	addr  address

	// Guarded by pool.mu.
	conn    *conn     // perhaps dead
	dialing bool      // one dial at a time, which all callers share
	dialled uint64    // dials that have ended
	err     error     // of the last dial; nil: it succeeded
	prefer  string    // the scheme that was better, or worked last; empty: not known
	rest    time.Time // not before, after a failure
	delays  *backoff.ExponentialBackOff
}

func newNode(index int, addr address, tlsFirst bool) *node {
	n := &node{index: index, addr: addr, prefer: addr.scheme, delays: newBackoff(50*time.Millisecond, 500*time.Millisecond)}
	if n.prefer == schemeAny && tlsFirst {
		n.prefer = schemeTLS
	}
	return n
}

// newBackoff draws delays with full jitter: anything from zero to an upper bound
// that doubles from first to most, so that callers who failed together do not
// come back together.
func newBackoff(first, most time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval:     first / 2,
		RandomizationFactor: 1, // from zero to twice the interval
		Multiplier:          2,
		MaxInterval:         most / 2,
	}
}

// schemes lists what to dial, the preferred first.
func (n *node) schemes() []string {
	switch {
	case n.addr.scheme != schemeAny:
		return []string{n.addr.scheme}
	case n.prefer == schemeQUIC:
		return []string{schemeQUIC, schemeTLS}
	}
	return []string{schemeTLS, schemeQUIC}
}

// dial connects to n, over both transports where it is not known yet which is
// better: the first connection serves at once, and the other takes its place if
// its round trip is shorter.
func (p *pool) dial(n *node) {
	p.mu.Lock()
	schemes, measure := n.schemes(), n.prefer == schemeAny
	p.mu.Unlock()

	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	attempts := p.dialAll(ctx, n.addr, schemes, measure)
	var first *conn
	var failed dialError
	for range schemes {
		switch a := <-attempts; {
		case a.err != nil:
			if failed = append(failed, a.err); len(failed) == len(schemes) {
				p.down(n, failed)
			}
		case first == nil:
			first = a.conn
			p.up(n, first, !measure)
			if !measure {
				cancel() // the other one is a spare that is not needed
			}
		case !measure:
			_ = a.conn.mux.Close() // it lost by a moment; always nil
		default:
			p.better(ctx, n, first, a.conn)
		}
	}
	if first != nil && measure && len(failed) > 0 {
		p.prefer(n, first.scheme) // the only one that works
	}
}

// attempt is how one dial ended.
type attempt struct {
	conn *conn
	err  error
}

// dialAll dials each scheme, the second one after a head start or as soon as the
// first has failed, unless together says at once. Each sends one attempt.
func (p *pool) dialAll(ctx context.Context, addr address, schemes []string, together bool) <-chan attempt {
	out := make(chan attempt, len(schemes))
	next := make(chan struct{}) // closed when the first has failed
	for i, scheme := range schemes {
		p.group.Go(func() {
			if i > 0 && !together {
				select {
				case <-next:
				case <-time.After(p.head):
				case <-ctx.Done():
				}
			}
			rw, err := p.dialer.connect(ctx, scheme, addr.host)
			if err != nil {
				if i == 0 {
					close(next)
				}
				out <- attempt{err: err}
				return
			}
			out <- attempt{conn: newConn(addr.text, scheme, rw, p.config.MaxFrame, p.quiet)}
		})
	}
	return out
}

// better keeps the faster of two connections to n.
func (p *pool) better(ctx context.Context, n *node, first, second *conn) {
	a, aok := first.roundTrip(ctx, p.config.DialTimeout)
	b, bok := second.roundTrip(ctx, p.config.DialTimeout)
	p.config.Logger.Debug("two transports measured", "addr", n.addr.text, first.scheme, a, second.scheme, b)
	if bok && (!aok || b < a) && p.replace(n, first, second) {
		first.mux.Retire()
		return
	}
	_ = second.mux.Close() // always nil
	if aok {
		p.prefer(n, first.scheme)
	}
}

// up makes c the connection of n, for everybody who waits.
func (p *pool) up(n *node, c *conn, settled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.node, n.conn, n.err, n.dialing = n, c, nil, false
	n.dialled++
	n.rest = time.Time{}
	n.delays.Reset()
	if settled && n.addr.scheme == schemeAny {
		n.prefer = c.scheme
	}
	p.group.Go(func() { c.watch(p.ctx) })
	p.announceLocked()
	p.config.Logger.Debug("connected", "addr", n.addr.text, "transport", c.scheme)
}

// replace puts second in first's place, unless that has been lost meanwhile.
func (p *pool) replace(n *node, first, second *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.prefer = second.scheme
	if n.conn != first || !second.alive() {
		return false
	}
	second.node, n.conn = n, second
	p.favourite.CompareAndSwap(first, second)
	p.group.Go(func() { second.watch(p.ctx) })
	return true
}

func (p *pool) prefer(n *node, scheme string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.prefer = scheme
}

// down notes that n could not be reached, and when it may be tried again.
func (p *pool) down(n *node, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.err, n.dialing = err, false
	n.dialled++
	n.rest = time.Now().Add(n.delays.NextBackOff())
	p.announceLocked()
	p.config.Logger.Debug("cannot connect", "addr", n.addr.text, "error", err)
}
