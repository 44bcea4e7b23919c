package mux

import (
	"io"
	"runtime"
	"sync"
	"time"
)

const (
	// largeTail is from where on a tail is written from where it is: below, one
	// more write costs more than the copy.
	largeTail = 16 << 10
	// keepBuffer is the largest gathering buffer that is kept for the next time.
	keepBuffer = 64 << 10
)

// outbox gathers frames and writes them. At most one goroutine writes at a time;
// frames queued meanwhile go out with its next write.
type outbox struct {
	w       io.Writer
	limit   int                            // bytes queued from which on senders wait
	timeout time.Duration                  // of a write without progress
	bound   func(deadline time.Time) error // sets the write deadline; nil: cannot
	until   time.Time                      // the deadline set last; owned by whoever writes

	mu       sync.Mutex
	buf      []byte        // frames, in order
	tails    []tail        // large tails, with their places in buf
	spare    []byte        // the buffer written last, for the next turn
	queued   int           // bytes not yet written, those of the write in progress included
	flushing bool          // somebody writes
	room     chan struct{} // closed when there is room again, or err; nil: nobody waits
	err      error         // sticks
}

// tail is bytes that belong behind the first at bytes of the buffer.
type tail struct {
	at int
	b  []byte
}

// addLocked queues a frame. lasting says that the tail stays unchanged until it
// has been written, whenever that is.
func (o *outbox) addLocked(id uint32, kind byte, m Message, lasting bool) {
	o.queued += frameSize(m)
	o.buf = appendHead(o.buf, id, kind, m)
	switch t := m.Tail(); {
	case lasting && len(t) >= largeTail:
		o.tails = append(o.tails, tail{at: len(o.buf), b: t})
	default:
		o.buf = append(o.buf, t...)
	}
}

// fullLocked returns what to wait on where there is no room, else nil.
func (o *outbox) fullLocked() <-chan struct{} {
	if o.err != nil || o.queued < o.limit {
		return nil
	}
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

// flush writes what is queued until nothing is, unless somebody else does
// already. yield, asked before each write, says that others are likely to queue
// something in a moment: then the processor is given up once for them.
func (o *outbox) flush(yield func() bool) error {
	for {
		if more, err := o.turn(yield); err != nil || !more {
			return err
		}
	}
}

// turn writes once. more says that there is more to write, and nobody who does.
func (o *outbox) turn(yield func() bool) (more bool, err error) {
	o.mu.Lock()
	if o.flushing || o.err != nil || len(o.buf) == 0 {
		err := o.err
		o.mu.Unlock()
		return false, err
	}
	o.flushing = true
	o.mu.Unlock()
	if yield() {
		runtime.Gosched()
	}
	o.mu.Lock()
	buf, tails := o.buf, o.tails
	o.buf, o.tails = o.spare[:0], nil
	o.spare = nil
	o.mu.Unlock()

	err = o.write(buf, tails)

	o.mu.Lock()
	defer o.mu.Unlock()
	o.queued -= len(buf)
	for _, t := range tails {
		o.queued -= len(t.b)
	}
	if cap(buf) <= keepBuffer {
		o.spare = buf[:0]
	}
	if err != nil && o.err == nil {
		o.err = err
	}
	if o.room != nil && (o.err != nil || o.queued < o.limit) {
		close(o.room)
		o.room = nil
	}
	o.flushing = false
	return len(o.buf) > 0, o.err
}

// fail makes every later flush and sender return err.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

func (o *outbox) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

func (o *outbox) write(buf []byte, tails []tail) error {
	from := 0
	for _, t := range tails {
		if err := o.writeOne(buf[from:t.at]); err != nil {
			return err
		}
		if err := o.writeOne(t.b); err != nil {
			return err
		}
		from = t.at
	}
	return o.writeOne(buf[from:])
}

// writeOne bounds each write by the timeout, give or take half: a deadline is
// moved only when half of it has passed, because moving it costs a lone caller.
func (o *outbox) writeOne(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if o.bound != nil && o.timeout > 0 {
		if now := time.Now(); o.until.Sub(now) < o.timeout {
			o.until = now.Add(o.timeout + o.timeout/2)
			if err := o.bound(o.until); err != nil {
				return err
			}
		}
	}
	_, err := o.w.Write(b)
	return err
}
