package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/mux"
)

const (
	// silence is how long nothing may arrive while calls wait, until the node is
	// asked for a sign of life, and again how long that may take.
	silence = time.Second
	// samples is how many round trips are measured to choose a transport.
	samples = 3
)

var (
	errSilent   = errors.New("the node gives no sign of life")
	errProtocol = errors.New("the node broke the protocol")
)

// conn is one proven connection to a node.
type conn struct {
	addr   string // as errors name it
	scheme string
	mux    *mux.Client
	quiet  time.Duration // silence, or less in tests
	node   *node         // whose connection it is; nil while it is measured

	// watching says that the watch goroutine counts on its own; a call that finds
	// it false kicks it.
	watching atomic.Bool
	kick     chan struct{}
}

func newConn(addr, scheme string, rw io.ReadWriteCloser, maxFrame int, quiet time.Duration) *conn {
	return &conn{
		quiet:  quiet,
		addr:   addr,
		scheme: scheme,
		mux:    mux.NewClient(rw, mux.ClientConfig{MaxFrame: maxFrame, CancelKind: wire.KindCancel}),
		kick:   make(chan struct{}, 1),
	}
}

// call makes one request. An error means that there is no answer.
func (c *conn) call(ctx context.Context, timeout time.Duration, req *wire.Request, resp *wire.Response) error {
	if !c.watching.Load() && c.watching.CompareAndSwap(false, true) {
		c.kick <- struct{}{} // holds one, and only who has swapped sends
	}
	req.Timeout = timeout
	f, err := c.mux.Call(ctx, timeout, byte(req.Op), req)
	if err != nil {
		return err
	}
	if f.Kind != wire.KindResponse {
		err = fmt.Errorf("%w: a frame of kind %d where an answer belongs", errProtocol, f.Kind)
	} else if err = resp.Parse(f.Body); err != nil {
		err = fmt.Errorf("%w: %w", errProtocol, err)
	}
	if err != nil {
		c.mux.Fail(err)
	}
	return err
}

// alive says whether the connection takes calls.
func (c *conn) alive() bool {
	select {
	case <-c.mux.Done():
		return false
	default:
		return true
	}
}

// watch ends the connection when calls wait and the node gives no sign of life:
// without it they would wait for their time-outs, where another address might
// have answered. It costs an idle connection nothing and a busy one a timer a
// second. It returns when the connection has ended or ctx has, and then nothing
// of the connection runs any more.
func (c *conn) watch(ctx context.Context) {
	defer c.mux.Close()
	timer := time.NewTimer(c.quiet)
	timer.Stop()
	var seen uint64
	for {
		select {
		case <-c.mux.Done():
			return
		case <-ctx.Done():
			return
		case <-c.kick:
			seen = c.mux.Progress()
			timer.Reset(c.quiet)
		case <-timer.C:
			now := c.mux.Progress()
			switch {
			case c.mux.Pending() == 0:
				c.watching.Store(false)
				// A call may have started in between, and counts on the watch.
				if c.mux.Pending() == 0 || !c.watching.CompareAndSwap(false, true) {
					continue
				}
			case now == seen && !c.ping(ctx, c.quiet):
				if ctx.Err() == nil && c.mux.Progress() == seen {
					c.mux.Fail(fmt.Errorf("%w for %v", errSilent, 2*c.quiet))
					return
				}
			}
			seen = now
			timer.Reset(c.quiet)
		}
	}
}

// ping makes one round trip outside of the watch.
func (c *conn) ping(ctx context.Context, timeout time.Duration) bool {
	_, err := c.mux.Call(ctx, timeout, byte(wire.OpPing), &wire.Request{Op: wire.OpPing, Timeout: timeout})
	return err == nil
}

// roundTrip is the shortest of a few; false where the connection is no good.
func (c *conn) roundTrip(ctx context.Context, timeout time.Duration) (time.Duration, bool) {
	best := timeout
	for range samples {
		begin := time.Now()
		if !c.ping(ctx, timeout) {
			return 0, false
		}
		best = min(best, time.Since(begin))
	}
	return best, true
}
