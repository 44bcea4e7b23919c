package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tochemey/gokv/internal/auth"
)

var (
	// ErrClosed is returned by a transport that was closed.
	ErrClosed = errors.New("transport is closed")
	// ErrSelf matches the error of reaching an address that turns out to be our own.
	ErrSelf error = &auth.RefusedError{Reason: auth.Self}
)

// errTooManyAddrs: the caller names more addresses than any cluster has.
var errTooManyAddrs = errors.New("too many peer addresses")

// linksPerPeer bounds the addresses that are remembered, as a multiple of MaxPeers.
const linksPerPeer = 4

// link is an address that somebody wants to reach. Guarded by Transport.mu.
type link struct {
	addr     string
	instance uint64 // who answered there last and is connected; zero: nobody
	calls    [classEnd]*dialCall
	waiting  *queue // datagrams for the connection that is being dialled
	backoff  backoff
}

// dialCall is a dial in progress; everybody who wants the address waits for it.
type dialCall struct {
	kick chan struct{} // closed when the peer has connected by itself
	done chan struct{} // closed when conn or err is set
	conn *conn
	err  error
}

func (c *dialCall) kicked() bool {
	select {
	case <-c.kick:
		return true
	default:
		return false
	}
}

// linkLocked returns the link of an address, a new one if need be.
func (t *Transport) linkLocked(addr string) (*link, error) {
	if t.closed {
		return nil, ErrClosed
	}
	if l := t.links[addr]; l != nil {
		return l, nil
	}
	if limit := linksPerPeer * t.cfg.MaxPeers; len(t.links) >= limit {
		t.pruneLocked()
		if len(t.links) >= limit {
			return nil, fmt.Errorf("%w: the limit is %d", errTooManyAddrs, limit)
		}
	}
	l := &link{addr: addr, waiting: newQueue()}
	t.links[addr] = l
	return l, nil
}

// pruneLocked forgets addresses that nobody is connected to or waits for.
func (t *Transport) pruneLocked() {
	for addr, l := range t.links {
		if l.instance == 0 && l.calls == [classEnd]*dialCall{} {
			delete(t.links, addr)
		}
	}
}

// bindLocked notes that c's instance answers at addr, and gives it what waits.
func (t *Transport) bindLocked(addr string, c *conn) {
	l, err := t.linkLocked(addr)
	if err != nil { // it is connected all the same, and found at its other address
		return
	}
	l.instance = c.peer.Instance
	l.backoff = backoff{}
	if call := l.calls[c.class]; call != nil && !call.kicked() {
		close(call.kick)
	}
	if c.class != Main {
		return
	}
	for b, ok := l.waiting.take(); ok; b, ok = l.waiting.take() {
		t.enqueue(c.queue, b)
	}
}

// unbindLocked forgets where an instance answered.
func (t *Transport) unbindLocked(instance uint64) {
	for _, l := range t.links {
		if l.instance == instance {
			l.instance = 0
		}
	}
}

func (t *Transport) enqueue(q *queue, b []byte) {
	if q.push(b) {
		t.stats.dropped.Add(1)
	}
}

// SendDatagram sends b, at most MaxDatagram bytes, to the peer at addr, perhaps:
// nothing tells whether it arrives. It never blocks, and dials if need be. b may
// be reused at once.
func (t *Transport) SendDatagram(addr string, b []byte) {
	if len(b) > MaxDatagram {
		t.stats.dropped.Add(1)
		t.log.Debug("datagram is too large", "addr", addr, "bytes", len(b), "limit", MaxDatagram)
		return
	}
	b = slices.Clone(b)
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	l, err := t.linkLocked(addr)
	if err != nil {
		t.stats.dropped.Add(1)
		return
	}
	c := t.pickLocked(l.instance, Main, now)
	if c != nil {
		t.enqueue(c.queue, b)
		if c.silent(now) {
			t.dialLocked(l, Main)
		}
		return
	}
	if l.backoff.refusedUntil(now) {
		t.stats.dropped.Add(1)
		return
	}
	t.enqueue(l.waiting, b)
	t.dialLocked(l, Main)
}

// OpenStream opens a stream to the peer at addr on a connection of the class,
// dialling if need be, and tells who answers there. The kind is what the other
// end's HandleStream is told; it is sent with the first write, read or CloseWrite.
func (t *Transport) OpenStream(ctx context.Context, addr string, class Class, kind byte) (Stream, Peer, error) {
	if class >= classEnd {
		return nil, Peer{}, fmt.Errorf("open stream to %s: unknown %s", addr, class)
	}
	// A connection may end between being found and being used; one that is dialled
	// for us alone may too, but then the peer is in trouble.
	for attempt := 1; ; attempt++ {
		c, err := t.connect(ctx, addr, class)
		if err != nil {
			return nil, Peer{}, fmt.Errorf("open stream to %s: %w", addr, err)
		}
		s, err := c.open(ctx, kind)
		if err == nil {
			return s, c.peer, nil
		}
		if attempt == 3 || ctx.Err() != nil {
			return nil, Peer{}, fmt.Errorf("open stream to %s: %w", addr, err)
		}
	}
}

// connect finds a connection or waits for one.
func (t *Transport) connect(ctx context.Context, addr string, class Class) (*conn, error) {
	now := time.Now()
	t.mu.Lock()
	l, err := t.linkLocked(addr)
	if err != nil {
		t.mu.Unlock()
		return nil, err
	}
	if c := t.pickLocked(l.instance, class, now); c != nil && !c.silent(now) {
		t.mu.Unlock()
		return c, nil
	}
	if l.backoff.refusedUntil(now) {
		// The reason does not go away within a moment: better told at once.
		err := l.backoff.err
		t.mu.Unlock()
		return nil, err
	}
	call := t.dialLocked(l, class)
	t.mu.Unlock()
	select {
	case <-call.done:
		return call.conn, call.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
