package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// ClientConfig bounds one connection. Zero means the default.
type ClientConfig struct {
	MaxFrame     int           // bytes of a frame's ID, kind and body, both ways; default 16 MiB
	MaxQueued    int           // bytes of requests not yet written before callers wait; default 4 MiB
	WriteTimeout time.Duration // without progress; default 10s
	// CancelKind is the kind of the frame that tells the server that nobody waits
	// for a request any more; zero: none is sent.
	CancelKind byte
}

func (c ClientConfig) withDefaults() ClientConfig {
	defaultInt(&c.MaxFrame, 16<<20)
	defaultInt(&c.MaxQueued, 4<<20)
	defaultInt(&c.WriteTimeout, 10*time.Second)
	return c
}

// Errors of calls.
var (
	// ErrClosed: Close was called.
	ErrClosed = errors.New("connection is closed")
	// ErrNotSent is wrapped where a call failed before any of it was sent.
	ErrNotSent = errors.New("not sent")
	// ErrTimeout: the call's time was up before its answer came.
	ErrTimeout = errors.New("no answer in time")
)

// Client is the calling end of a connection.
type Client struct {
	config ClientConfig
	rw     io.ReadWriteCloser
	wake   chan struct{} // tells the writer that something is queued; holds one
	done   chan struct{} // closed when the connection has failed or was closed
	group  sync.WaitGroup
	read   atomic.Uint64 // reads that brought something: a sign of life

	out outbox
	// Guarded by out.mu, so that a call takes one lock on its way out.
	pending map[uint32]*call
	nextID  uint32
	dropped int // calls given up whose answers have not come yet
	free    []*call
	retired bool // takes no more calls, and ends with the last of them
}

// call waits for one answer. Calls are used again on their own connection only:
// in a process-wide pool their channels and timers would wander between
// testing/synctest bubbles.
type call struct {
	done  chan struct{} // holds one: the reader never waits
	timer *time.Timer
	frame Frame
	err   error
}

// NewClient makes the calling end of rw, whose Close must end a Read and a Write
// in progress, and which should take a small write without waiting while its peer
// has read all that came before, as sockets and QUIC streams do: a lone caller
// writes itself. It must be closed.
func NewClient(rw io.ReadWriteCloser, config ClientConfig) *Client {
	config = config.withDefaults()
	c := &Client{
		config:  config,
		rw:      rw,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		pending: map[uint32]*call{},
	}
	c.out = outbox{w: rw, limit: config.MaxQueued, timeout: config.WriteTimeout, bound: writeDeadline(rw)}
	c.group.Add(2)
	go c.readLoop()
	go c.writeLoop()
	return c
}

// Call sends a request and waits for its answer, whose body then belongs to the
// caller. m is encoded before Call returns, whatever the outcome. timeout ends
// the call like ctx does, more cheaply; zero: none.
func (c *Client) Call(ctx context.Context, timeout time.Duration, kind byte, m Message) (Frame, error) {
	if size := frameSize(m) - lengthSize; size > c.config.MaxFrame {
		return Frame{}, fmt.Errorf("request of %d bytes, the limit is %d: %w: %w", size, c.config.MaxFrame, ErrTooLong, ErrNotSent)
	}
	id, w, err := c.start(ctx, timeout, kind, m)
	if err != nil {
		return Frame{}, err
	}
	var expired <-chan time.Time
	if timeout > 0 {
		expired = w.timer.C
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		c.abandon(id, w, ctx.Err())
	case <-expired:
		c.abandon(id, w, fmt.Errorf("%w (%v)", ErrTimeout, timeout))
	}
	frame, err := w.frame, w.err
	c.release(w)
	return frame, err
}

// start queues the request.
func (c *Client) start(ctx context.Context, timeout time.Duration, kind byte, m Message) (uint32, *call, error) {
	lone := m
	if len(m.Tail()) >= largeTail {
		// Encoded here, not under the lock; and the caller may change its value
		// once the call is over, which can be before it has been written.
		lone = encoded{head: m.HeadSize(), all: append(m.AppendHead(make([]byte, 0, m.HeadSize()+len(m.Tail()))), m.Tail()...)}
	}
	c.out.mu.Lock()
	for {
		full := c.out.fullLocked()
		if full == nil {
			break
		}
		c.out.mu.Unlock()
		if err := c.waitRoom(ctx, timeout, full); err != nil {
			return 0, nil, err
		}
		c.out.mu.Lock()
	}
	if err := c.out.err; err != nil || c.retired {
		if err == nil {
			err = ErrClosed
		}
		c.out.mu.Unlock()
		return 0, nil, fmt.Errorf("%w: %w", err, ErrNotSent)
	}
	for c.nextID++; c.pending[c.nextID] != nil || c.nextID == 0; c.nextID++ { // zero is no request's
	}
	id, w := c.nextID, c.takeLocked()
	c.pending[id] = w
	c.out.addLocked(id, kind, lone, true)
	writing, alone := c.out.flushing, c.aloneLocked()
	c.out.mu.Unlock()
	if timeout > 0 {
		w.timer.Reset(timeout)
	}
	switch {
	case writing:
	case alone:
		c.writeAlone()
	default:
		c.wakeWriter()
	}
	return id, w, nil
}

// aloneLocked says that a caller may write its request itself, which spares it
// the way over the writer: there is no other call, and the server has answered
// all earlier ones, so that a small write does not wait for anything.
func (c *Client) aloneLocked() bool {
	return len(c.pending) == 1 && c.dropped == 0 && !c.out.flushing && len(c.out.tails) == 0 && len(c.out.buf) <= largeTail
}

// writeAlone writes once. What others have queued meanwhile is the writer's.
func (c *Client) writeAlone() {
	switch more, err := c.out.turn(never); {
	case err != nil:
		c.fail(fmt.Errorf("write: %w", err))
	case more:
		c.wakeWriter()
	}
}

func (c *Client) waitRoom(ctx context.Context, timeout time.Duration, full <-chan struct{}) error {
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-full:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ctx.Err(), ErrNotSent)
	case <-expired:
		return fmt.Errorf("%w (%v): %w", ErrTimeout, timeout, ErrNotSent)
	}
}

// encoded is a message that has been encoded apart from the outbox's buffer.
type encoded struct {
	head int
	all  []byte
}

func (e encoded) HeadSize() int                { return e.head }
func (e encoded) AppendHead(dst []byte) []byte { return append(dst, e.all[:e.head]...) }
func (e encoded) Tail() []byte                 { return e.all[e.head:] }

func (c *Client) takeLocked() *call {
	if n := len(c.free); n > 0 {
		w := c.free[n-1]
		c.free = c.free[:n-1]
		return w
	}
	w := &call{done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	return w
}

func (c *Client) release(w *call) {
	w.timer.Stop()
	w.frame, w.err = Frame{}, nil
	c.out.mu.Lock()
	c.free = append(c.free, w)
	c.out.mu.Unlock()
}

// abandon gives up waiting for an answer, unless that is on its way to w.
func (c *Client) abandon(id uint32, w *call, why error) {
	c.out.mu.Lock()
	if c.pending[id] != w {
		c.out.mu.Unlock()
		<-w.done
		return
	}
	delete(c.pending, id)
	c.dropped++
	w.err = why
	last := c.lastLocked()
	tell := c.config.CancelKind != 0 && c.out.err == nil && c.out.queued < c.out.limit
	if tell {
		c.out.addLocked(id, c.config.CancelKind, Bytes(nil), true)
	}
	c.out.mu.Unlock()
	if last {
		c.fail(ErrClosed)
	} else if tell {
		c.wakeWriter()
	}
}

// lastLocked says that a retired connection has no more calls.
func (c *Client) lastLocked() bool { return c.retired && len(c.pending) == 0 }

func (c *Client) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Client) writeLoop() {
	defer c.group.Done()
	for {
		select {
		case <-c.wake:
			if err := c.out.flush(c.crowded); err != nil {
				c.fail(fmt.Errorf("write: %w", err))
				return
			}
		case <-c.done:
			return
		}
	}
}

// crowded says that there are other callers, who may be about to queue.
func (c *Client) crowded() bool { return c.Pending() > 1 }

func (c *Client) readLoop() {
	defer c.group.Done()
	r := NewReader(c.rw, c.config.MaxFrame)
	r.after = func(int) { c.read.Add(1) }
	for {
		f, err := r.NextOwned()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("closed by the other side")
			}
			c.fail(err)
			return
		}
		c.out.mu.Lock()
		w := c.pending[f.ID]
		delete(c.pending, f.ID)
		if w == nil && c.dropped > 0 {
			c.dropped--
		}
		last := c.lastLocked()
		c.out.mu.Unlock()
		if w != nil { // else nobody waits for it any more
			w.frame = f
			w.done <- struct{}{}
		}
		if last {
			c.fail(ErrClosed)
			return
		}
	}
}

// fail ends the connection and every call on it.
func (c *Client) fail(err error) {
	c.out.mu.Lock()
	select {
	case <-c.done:
		c.out.mu.Unlock()
		return
	default:
	}
	close(c.done)
	if c.out.err == nil {
		c.out.err = err
	}
	if c.out.room != nil {
		close(c.out.room)
		c.out.room = nil
	}
	pending := c.pending
	c.pending = map[uint32]*call{}
	c.out.mu.Unlock()
	_ = c.rw.Close() // the connection is given up; err says why
	for _, w := range pending {
		w.err = err
		w.done <- struct{}{}
	}
}

// Close ends the connection, fails its calls with ErrClosed and waits until
// nothing of it runs any more.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	c.group.Wait()
	return nil
}

// Retire takes no more calls, and ends the connection after those in progress.
func (c *Client) Retire() {
	c.out.mu.Lock()
	c.retired = true
	last := c.lastLocked()
	c.out.mu.Unlock()
	if last {
		c.fail(ErrClosed)
	}
}

// Fail is Close with a reason, and without waiting: calls fail with err.
func (c *Client) Fail(err error) { c.fail(err) }

// Done is closed when the connection can take no more calls.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err says why the connection ended; nil while it has not.
func (c *Client) Err() error { return c.out.failure() }

// Pending is the number of calls that wait for an answer.
func (c *Client) Pending() int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return len(c.pending)
}

// Progress changes whenever something arrives: a sign that the server lives.
func (c *Client) Progress() uint64 { return c.read.Load() }
