package mux

import (
	"io"
	"sync"
	"time"
)

// deadlines bounds reads: a frame that has begun must go on, and a server that
// stops must not wait for the next one.
type deadlines struct {
	set     func(time.Time) error // nil: the stream has no read deadline
	close   func() error          // ends a read instead
	timeout time.Duration

	mu    sync.Mutex
	armed bool
	done  bool
}

// past is a deadline that has gone by, whatever the clock says.
var past = time.Unix(1, 0)

// beforeRead is called before each read; partial: within a frame.
func (d *deadlines) beforeRead(partial bool) {
	if d.set == nil || !partial && !d.armed { // armed is only written here
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done {
		return
	}
	var t time.Time
	if d.armed = partial; partial {
		t = time.Now().Add(d.timeout)
	}
	_ = d.set(t) // fails on a closed connection only, and then the read does too
}

// stop ends the read in progress and all later ones.
func (d *deadlines) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
	if d.set == nil || d.set(past) != nil {
		_ = d.close() // the server closes once more and reports that
	}
}

func (d *deadlines) stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

func readDeadline(rw io.ReadWriter) func(time.Time) error {
	if c, ok := rw.(interface{ SetReadDeadline(time.Time) error }); ok {
		return c.SetReadDeadline
	}
	return nil
}

func writeDeadline(rw io.ReadWriter) func(time.Time) error {
	if c, ok := rw.(interface{ SetWriteDeadline(time.Time) error }); ok {
		return c.SetWriteDeadline
	}
	return nil
}
