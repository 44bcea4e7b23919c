package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"
)

// HandshakeTimeout is how long the proofs may take once TLS is up.
const HandshakeTimeout = 3 * time.Second

// Stream is what the handshake runs over: a QUIC stream, or a TLS connection.
type Stream interface {
	io.ReadWriter
	SetDeadline(t time.Time) error
}

// Hello is what one end tells the other about itself.
type Hello struct {
	Cluster  string // from the Authenticator's configuration if empty
	Instance uint64 // likewise if zero
	Name     string // at most MaxName bytes
	Addr     string // at most MaxAddr bytes; what others dial
	Proto    uint8  // version of the protocol that follows
	Class    uint8  // dialler to listener: what the connection is for
}

// Validate reports what could not be told in a handshake.
func (h Hello) Validate() error {
	for _, f := range []struct {
		name, value string
		limit       int
	}{{"cluster name", h.Cluster, MaxCluster}, {"name", h.Name, MaxName}, {"address", h.Addr, MaxAddr}} {
		switch {
		case len(f.value) > f.limit:
			return fmt.Errorf("%s is %d bytes, the limit is %d", f.name, len(f.value), f.limit)
		case !printable(f.value):
			return fmt.Errorf("%s %q is not printable UTF-8", f.name, f.value)
		}
	}
	return nil
}

func (a *Authenticator) fill(own Hello) (Hello, error) {
	if own.Cluster == "" {
		own.Cluster = a.cfg.Cluster
	}
	if own.Instance == 0 {
		own.Instance = a.cfg.Instance
	}
	return own, own.Validate()
}

// Accept runs the listener's side on the first stream of a connection and
// returns what the dialler told and the role that it proved, one of need. A
// *RefusedError says which end refused and why; any other error is the stream's.
func (a *Authenticator) Accept(ctx context.Context, s Stream, cs tls.ConnectionState, need []Role, own Hello) (Hello, Role, error) {
	return a.AcceptIf(ctx, s, cs, need, own, nil)
}

// AcceptIf is Accept with a last question, asked when the dialler has proven
// itself: a reason other than ReasonNone refuses it after all.
func (a *Authenticator) AcceptIf(ctx context.Context, s Stream, cs tls.ConnectionState, need []Role, own Hello, admit func(Hello, Role) Reason) (Hello, Role, error) {
	own, err := a.fill(own)
	if err != nil {
		return Hello{}, 0, err
	}
	release := limitTime(ctx, s)
	defer release()
	l := accepting{a: a, m: a.material(), s: s, cs: &cs, own: own, in: frameReader{src: s, left: MaxUnproven}}
	peer, role, err := l.run(need, admit)
	if err != nil {
		return Hello{}, 0, finish(ctx, s, err)
	}
	if err := ctx.Err(); err != nil {
		return Hello{}, 0, err
	}
	return peer, role, nil
}

// Connect runs the dialler's side on the first stream of a connection and
// returns what the listener told. A *RefusedError says which end refused and
// why; any other error is the stream's.
func (a *Authenticator) Connect(ctx context.Context, s Stream, cs tls.ConnectionState, role Role, own Hello) (Hello, error) {
	own, err := a.fill(own)
	if err != nil {
		return Hello{}, err
	}
	release := limitTime(ctx, s)
	defer release()
	d := connecting{a: a, m: a.material(), s: s, cs: &cs, own: own, in: frameReader{src: s, left: MaxUnproven}}
	peer, err := d.run(role)
	if err != nil {
		err = finish(ctx, s, d.explain(err))
		d.see(err)
		return Hello{}, err
	}
	if err := ctx.Err(); err != nil {
		return Hello{}, err
	}
	return peer, nil
}

// limitTime gives the stream the handshake's deadline, or the context's if that
// is nearer, and takes it away again when it is released.
func limitTime(ctx context.Context, s Stream) (release func()) {
	deadline := time.Now().Add(HandshakeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	s.SetDeadline(deadline) //nolint:errcheck // a dead stream fails at the next read
	stop := context.AfterFunc(ctx, func() {
		s.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // likewise
	})
	return func() {
		if stop() {
			s.SetDeadline(time.Time{}) //nolint:errcheck // likewise
		}
	}
}

// finish turns what ended a handshake into the error that is returned, and
// tells the other end if it was us who refused.
func finish(ctx context.Context, s Stream, err error) error {
	if cause := ctx.Err(); errors.Is(cause, context.Canceled) {
		return cause
	}
	if t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && t.Timeout() && ReasonOf(err) == ReasonNone {
		err = refused(Timeout, "waited %v", HandshakeTimeout)
	}
	err = Classify(err)
	if r, ok := errors.AsType[*RefusedError](err); ok && !r.ByPeer {
		// The deadline may have passed: a moment of its own for the farewell.
		s.SetDeadline(time.Now().Add(time.Second)) //nolint:errcheck // best effort
		m := refuse{version: Version, reason: r.Reason}
		s.Write(m.appendTo(nil)) //nolint:errcheck // best effort: the other end may be gone
	}
	return err
}

// expect reads the next frame, which must be of the type, unless it is a refusal.
func expect(in *frameReader, want frameType) ([]byte, error) {
	t, body, err := in.next()
	if err != nil {
		return nil, err
	}
	switch t {
	case want:
		return body, nil
	case frameRefuse:
		m, err := parseRefuse(body)
		if err != nil {
			return nil, malformed(err)
		}
		r := &RefusedError{Reason: m.reason, ByPeer: true}
		if m.reason == VersionMismatch {
			r.Detail = fmt.Sprintf("it speaks version %d, we %d", m.version, Version)
		}
		return nil, r
	}
	return nil, refused(Malformed, "message of type %d where %d belongs", t, want)
}

func malformed(err error) *RefusedError {
	return &RefusedError{Reason: Malformed, Err: err}
}
