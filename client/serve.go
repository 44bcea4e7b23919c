package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/mux"
)

// Limits bounds one client's connection at the node. Zero means the default.
type Limits struct {
	// MaxFrame is the longest frame taken or sent, in bytes; default 16 MiB. It
	// must hold the largest value and key.
	MaxFrame int
	// MaxInFlight is how many requests may wait or run beyond the reader; default
	// 1,024. MaxInFlightBytes is how many bytes they may have; default 32 MiB.
	// Past either a request is answered overloaded.
	MaxInFlight      int
	MaxInFlightBytes int
	// MaxQueued is how many bytes of answers may wait for a client that reads
	// slowly, until no more of its requests are read; default 4 MiB.
	MaxQueued int
	// WriteTimeout ends the connection of a client that does not read; default
	// 10s. FrameTimeout that of one which stops within a frame; default 30s.
	WriteTimeout, FrameTimeout time.Duration
	// DrainTimeout is how long requests in flight may go on when ctx ends or the
	// client has closed its side; default 5s.
	DrainTimeout time.Duration
}

// retryBusy is the hint that goes with overloaded.
const retryBusy = 10 * time.Millisecond

// ServeStream serves one client on rw, on which the handshake has been made: the
// TLS connection, or the first bidirectional stream of the QUIC connection. It
// hands requests to h, at once on its own goroutine where h is an
// ImmediateHandler and can, else on a goroutine each.
//
// It returns when the client has closed its side, has broken the protocol (after
// an answer with the code invalid or too_large), does not read, or when ctx has
// ended: then nothing more is read, requests in flight finish, and their answers
// are written. It closes rw; nothing of the connection runs any more when it
// returns. The error is nil for an end in good order.
//
// rw should have SetReadDeadline and SetWriteDeadline, and CloseWrite, which
// lets the last answers arrive before the connection goes.
func ServeStream(ctx context.Context, rw io.ReadWriteCloser, h Handler, limits Limits) error {
	immediate, _ := h.(ImmediateHandler)
	return mux.Serve(ctx, rw, &dispatcher{handler: h, immediate: immediate}, mux.ServerConfig{
		MaxFrame:         limits.MaxFrame,
		MaxInFlight:      limits.MaxInFlight,
		MaxInFlightBytes: limits.MaxInFlightBytes,
		MaxQueued:        limits.MaxQueued,
		WriteTimeout:     limits.WriteTimeout,
		FrameTimeout:     limits.FrameTimeout,
		DrainTimeout:     limits.DrainTimeout,
	})
}

// dispatcher turns frames into calls of a handler, for one connection.
type dispatcher struct {
	handler   Handler
	immediate ImmediateHandler // nil where the handler is none

	// Owned by the reading goroutine, used again for each request.
	req  wire.Request
	resp wire.Response
}

// ServeFrame implements mux.Handler.
func (d *dispatcher) ServeFrame(s *mux.Stream, f mux.Frame) error {
	if f.Kind == wire.KindCancel {
		if len(f.Body) != 0 {
			return d.refuse(s, f.ID, wire.CodeInvalid, fmt.Errorf("cancel: %d bytes too many: %w", len(f.Body), wire.ErrMalformed))
		}
		s.Cancel(f.ID)
		return nil
	}
	if f.ID == 0 {
		return d.refuse(s, 0, wire.CodeInvalid, fmt.Errorf("request ID is zero: %w", wire.ErrMalformed))
	}
	if err := d.req.Parse(wire.Op(f.Kind), f.Body); err != nil {
		if errors.Is(err, wire.ErrUnsupported) { // a sound frame: others may follow
			d.resp.Fail(wire.CodeUnsupported, err.Error())
			return d.reply(s, f.ID, &d.resp)
		}
		return d.refuse(s, f.ID, wire.CodeInvalid, err)
	}
	d.resp.Reset()
	if d.immediate != nil && d.immediate.HandleImmediate(s.Context(), &d.req, &d.resp) {
		return d.reply(s, f.ID, &d.resp)
	}
	switch err := s.Go(f, d.req.Timeout, d.run); {
	case errors.Is(err, mux.ErrDuplicate):
		return d.refuse(s, f.ID, wire.CodeInvalid, err)
	case err != nil:
		d.resp.Fail(wire.CodeOverloaded, err.Error())
		d.resp.RetryAfter = retryBusy
		return d.reply(s, f.ID, &d.resp)
	}
	return nil
}

// BadFrame implements mux.Handler.
func (d *dispatcher) BadFrame(s *mux.Stream, err *mux.LengthError) {
	code := wire.CodeInvalid
	if err.TooLong() {
		code = wire.CodeTooLarge
	}
	_ = d.refuse(s, err.ID, code, err) // the connection ends either way, for err
}

// refuse answers with an error after which the connection ends, for that error.
func (d *dispatcher) refuse(s *mux.Stream, id uint32, code wire.Code, err error) error {
	d.resp.Fail(code, err.Error())
	return errors.Join(err, d.reply(s, id, &d.resp))
}

// job is the memory of a request on a goroutine of its own.
type job struct {
	req  wire.Request
	resp wire.Response
}

var jobs = sync.Pool{New: func() any { return new(job) }}

// run handles a request on a goroutine of its own. It was parsed once already.
func (d *dispatcher) run(ctx context.Context, f mux.Frame, reply func(kind byte, m mux.Message) error) {
	j := jobs.Get().(*job)
	if err := j.req.Parse(wire.Op(f.Kind), f.Body); err != nil {
		j.resp.Fail(wire.CodeInternal, err.Error())
	} else {
		d.handler.Handle(ctx, &j.req, &j.resp)
	}
	_ = sendable(&j.resp, reply) // fails with the connection, whose reader says why
	j.req = wire.Request{}
	j.resp.Reset()
	jobs.Put(j)
}

func (d *dispatcher) reply(s *mux.Stream, id uint32, resp *wire.Response) error {
	return sendable(resp, func(kind byte, m mux.Message) error { return s.Reply(id, kind, m) })
}

// sendable sends resp, or an error in its place where it does not fit.
func sendable(resp *wire.Response, send func(kind byte, m mux.Message) error) error {
	err := resp.Check()
	if err == nil {
		err = send(wire.KindResponse, resp)
	}
	switch {
	case errors.Is(err, mux.ErrTooLong):
		resp.Fail(wire.CodeTooLarge, err.Error())
	case errors.Is(err, wire.ErrMalformed):
		resp.Fail(wire.CodeInternal, err.Error())
	default:
		return err
	}
	return send(wire.KindResponse, resp)
}
