package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/mux"
)

const (
	// notReadyRest is how long a node that is not ready is left alone, where it
	// gives no hint and another one can be asked.
	notReadyRest = 100 * time.Millisecond
	// A call that has been everywhere in vain waits, with full jitter, up to
	// firstPause, then longer, up to longestPause.
	firstPause   = 10 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// tour is one call's way through the nodes: passes, each of which tries every
// node once, with pauses between them.
type tour struct {
	pool   *pool
	req    *wire.Request
	limit  time.Time
	stops  []stop // as pool.nodes
	passes int
	hint   time.Duration // the longest that a node asked for in this pass
	delays *backoff.ExponentialBackOff
}

// stop is what a tour knows of one node.
type stop struct {
	tried   bool   // in this pass
	missed  bool   // once in this pass a connection had ended before it was used
	dialled uint64 // node.dialled when the pass began
	cause   error  // of the last failure, in any pass
}

func (s *stop) fail(err error) { s.tried, s.cause = true, err }

func newTour(p *pool, req *wire.Request, limit time.Time) *tour {
	t := &tour{pool: p, req: req, limit: limit, stops: make([]stop, len(p.nodes)), delays: newBackoff(firstPause, longestPause)}
	t.begin()
	return t
}

// begin starts a pass.
func (t *tour) begin() {
	t.hint = 0
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	for i, n := range t.pool.nodes {
		t.stops[i].tried, t.stops[i].missed = false, false
		t.stops[i].dialled = n.dialled
	}
}

// settle judges how a call on c ended: with err, or with resp. It is final, or
// another node may do better.
func (t *tour) settle(ctx context.Context, c *conn, resp *wire.Response, err error) (final bool, _ error) {
	p, s := t.pool, &t.stops[c.node.index]
	switch {
	case err == nil && elsewhere(resp):
		p.refusedBy(c, max(resp.RetryAfter, notReadyRest))
		t.hint = max(t.hint, resp.RetryAfter)
		s.fail(refused(t.req, resp, c.addr))
		return false, nil
	case err == nil && resp.Code == wire.CodeOK:
		p.answered(c)
		return true, nil
	case err == nil:
		p.answered(c)
		return true, refused(t.req, resp, c.addr)
	case errors.Is(err, mux.ErrTooLong):
		return true, t.error(wire.CodeTooLarge, c.addr, err.Error(), nil)
	case errors.Is(ctx.Err(), context.Canceled):
		return true, ctx.Err()
	case errors.Is(err, mux.ErrTimeout), ctx.Err() != nil:
		return true, t.error(wire.CodeTimeout, c.addr, fmt.Sprintf("no answer within %v", t.req.Timeout), ctx.Err())
	case p.ctx.Err() != nil:
		return true, ErrClosed
	}
	p.lost(c)
	if errors.Is(err, mux.ErrNotSent) {
		if !s.missed { // not the node's fault: it gets another chance at once
			s.missed = true
			return false, nil
		}
	} else if !repeatable(t.req) {
		return true, t.error(wire.CodeUnavailable, c.addr, "connection lost: "+err.Error(), nil)
	}
	s.fail(fmt.Errorf("connection lost: %w", err))
	return false, nil
}

// elsewhere says that the node cannot answer now, and that another one may.
func elsewhere(resp *wire.Response) bool {
	switch resp.Code {
	case wire.CodeNotReady, wire.CodeUnavailable, wire.CodeFenced:
		return true
	case wire.CodeOverloaded:
		return resp.RetryAfter > 0
	}
	return false
}

// repeatable says that an operation may be sent again where it is not known
// whether the first one arrived. A repeated write takes effect as the later of
// the two; but a condition that held for the first may fail for the second because
// of it, and a round of everybody with everybody is not asked for twice.
func repeatable(req *wire.Request) bool { return req.Op != wire.OpSync && !req.Conditional() }

// pause waits between two passes, and fails where there will be no other one.
func (t *tour) pause(ctx context.Context) error {
	t.passes++
	left := time.Until(t.limit)
	if t.passes == t.pool.config.Attempts || t.hopeless() || left <= t.hint {
		return t.over(ctx.Err())
	}
	// A pause that eats all of what is left would make the last pass pointless.
	timer := time.NewTimer(max(min(t.delays.NextBackOff(), left/2), t.hint))
	defer timer.Stop()
	select {
	case <-timer.C:
		t.begin()
		return nil
	case <-ctx.Done():
		return t.over(ctx.Err())
	case <-t.pool.ctx.Done():
		return ErrClosed
	}
}

// hopeless says that every address refuses this client for good.
func (t *tour) hopeless() bool {
	return !slices.ContainsFunc(t.stops, func(s stop) bool { return causeCode(s.cause) != wire.CodeUnauthorized })
}

// over is the error of a tour that found no answer; ctxErr says that it had no
// time for more.
func (t *tour) over(ctxErr error) error {
	if errors.Is(ctxErr, context.Canceled) {
		return ctxErr
	}
	var texts []string
	code := wire.CodeOK
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	for i, n := range t.pool.nodes {
		cause := t.stops[i].cause
		if cause == nil {
			cause = n.err // of a dial for an earlier call: its next one is not due yet
		}
		if cause == nil {
			continue
		}
		texts = append(texts, n.addr.text+": "+causeText(cause))
		switch c := causeCode(cause); code {
		case wire.CodeOK, c:
			code = c
		default:
			code = wire.CodeUnavailable
		}
	}
	if len(texts) == 0 {
		addrs := strings.Join(t.pool.config.Addrs, ", ")
		return t.error(wire.CodeTimeout, "", "no connection in time to "+addrs, ctxErr)
	}
	return t.error(code, "", strings.Join(texts, "; "), ctxErr)
}

func causeCode(cause error) wire.Code {
	if e, ok := errors.AsType[*Error](cause); ok {
		return e.Code
	}
	if e, ok := errors.AsType[dialError](cause); ok && e.refusal() {
		return wire.CodeUnauthorized
	}
	return wire.CodeUnavailable
}

// causeText leaves out what the error around it says.
func causeText(cause error) string {
	e, ok := errors.AsType[*Error](cause)
	switch {
	case !ok:
		return cause.Error()
	case e.Message != "":
		return e.Message
	}
	return sentinel(e.Code).Error()
}

func (t *tour) error(code wire.Code, addr, text string, cause error) *Error {
	return &Error{Op: t.req.Op, Key: string(t.req.Key), Addr: addr, Code: code, Message: text, Cause: cause}
}
