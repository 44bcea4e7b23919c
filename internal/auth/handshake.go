package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
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

func (a *Authenticator) fill(own Hello) (Hello, error) {
	if own.Cluster == "" {
		own.Cluster = a.cfg.Cluster
	}
	if own.Instance == 0 {
		own.Instance = a.cfg.Instance
	}
	switch {
	case len(own.Cluster) > MaxCluster:
		return own, fmt.Errorf("cluster name is %d bytes, the limit is %d", len(own.Cluster), MaxCluster)
	case len(own.Name) > MaxName:
		return own, fmt.Errorf("name is %d bytes, the limit is %d", len(own.Name), MaxName)
	case len(own.Addr) > MaxAddr:
		return own, fmt.Errorf("address is %d bytes, the limit is %d", len(own.Addr), MaxAddr)
	case !printable(own.Cluster) || !printable(own.Name) || !printable(own.Addr):
		return own, errors.New("cluster, name and address must be printable UTF-8")
	}
	return own, nil
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
		return Hello{}, finish(ctx, s, err)
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

// accepting is the listener's side of one handshake.
type accepting struct {
	a   *Authenticator
	m   *material
	s   Stream
	cs  *tls.ConnectionState
	own Hello
	in  frameReader
}

func (l *accepting) run(need []Role, admit func(Hello, Role) Reason) (Hello, Role, error) {
	body, err := expect(&l.in, frameHello)
	if err != nil {
		return Hello{}, 0, err
	}
	h, err := parseHello(body)
	if err != nil {
		return Hello{}, 0, malformed(err)
	}
	if err := l.judge(&h, need); err != nil {
		return Hello{}, 0, err
	}
	bind, err := l.challenge(&h)
	if err != nil {
		return Hello{}, 0, err
	}
	if body, err = expect(&l.in, frameProof); err != nil {
		return Hello{}, 0, l.explain(err)
	}
	p, err := parseProof(body)
	if err != nil {
		return Hello{}, 0, malformed(err)
	}
	if err := l.verify(&p, bind); err != nil {
		return Hello{}, 0, err
	}
	peer := Hello{Cluster: h.cluster, Instance: h.instance, Name: p.name, Addr: p.addr, Proto: p.proto, Class: p.class}
	if admit != nil {
		if r := admit(peer, h.role); r != ReasonNone {
			return Hello{}, 0, &RefusedError{Reason: r}
		}
	}
	w := welcome{proto: l.own.Proto, name: l.own.Name, addr: l.own.Addr}
	if _, err := l.s.Write(w.appendTo(nil)); err != nil {
		return Hello{}, 0, err
	}
	return peer, h.role, nil
}

// judge looks at what the dialler claims, before anything is proven.
func (l *accepting) judge(h *hello, need []Role) error {
	switch {
	case h.version != Version:
		return refused(VersionMismatch, "it speaks version %d, we %d", h.version, Version)
	case h.instance == l.own.Instance:
		return &RefusedError{Reason: Self}
	case !slices.Contains(need, h.role):
		return refused(WrongRole, "it comes as %s, this listener takes %s", h.role, roleList(need))
	case h.cluster != l.own.Cluster && (h.cluster != "" || h.role == RolePeer):
		return refused(WrongCluster, "it is of %q, we are of %q", h.cluster, l.own.Cluster)
	}
	if l.m.pool != nil {
		if len(l.cs.PeerCertificates) == 0 { // verifyChain has seen to it
			return refused(BadCertificate, "the other end showed no certificate")
		}
		if leaf := l.cs.PeerCertificates[0]; !certificateProves(leaf, h.role) {
			return refused(WrongRole, "certificate %s does not prove the role %s", certificateName(leaf), h.role)
		}
	}
	return nil
}

// challenge sends our proof, if there is a secret to prove.
func (l *accepting) challenge(h *hello) (*binding, error) {
	c := challenge{version: Version, instance: l.own.Instance, cluster: l.own.Cluster}
	var bind *binding
	if len(l.m.secrets) > 0 {
		s := l.m.secretFor(h.role)
		if s == nil {
			return nil, refused(WrongRole, "none of our secrets proves the role %s", h.role)
		}
		var err error
		if bind, err = newBinding(l.cs, h.role, l.own.Instance, h.instance, l.own.Cluster); err != nil {
			return nil, err
		}
		c.secret = true
		c.sealed = bind.seal(s, fromListener)
	}
	_, err := l.s.Write(c.appendTo(nil))
	return bind, err
}

func (l *accepting) verify(p *proof, bind *binding) error {
	if bind == nil {
		if p.secret {
			return refused(WrongSecret, "it proves a secret, and we have none")
		}
		return nil
	}
	if !p.secret {
		return refused(WrongSecret, "it proves no secret")
	}
	if err := bind.verify(l.m.secrets, &p.sealed, fromDialler); err != nil {
		return err
	}
	return nil
}

// explain adds what this end knows to a dialler's refusal.
func (l *accepting) explain(err error) error {
	if r, ok := errors.AsType[*RefusedError](err); ok && r.ByPeer && r.Reason == WrongSecret && r.Detail == "" {
		r.Detail = "it does not accept our proof"
		if len(l.m.secrets) == 0 {
			r.Detail = "we have no secret to prove"
		}
	}
	return err
}

// connecting is the dialler's side of one handshake.
type connecting struct {
	a   *Authenticator
	m   *material
	s   Stream
	cs  *tls.ConnectionState
	own Hello
	in  frameReader
}

func (d *connecting) run(role Role) (Hello, error) {
	if len(d.m.secrets) > 0 && d.m.secretFor(role) == nil {
		return Hello{}, refused(WrongRole, "none of our secrets proves the role %s", role)
	}
	h := hello{version: Version, role: role, instance: d.own.Instance, cluster: d.own.Cluster}
	if _, err := d.s.Write(h.appendTo(nil)); err != nil {
		return Hello{}, d.broken(err)
	}
	body, err := expect(&d.in, frameChallenge)
	if err != nil {
		return Hello{}, d.explain(err)
	}
	c, err := parseChallenge(body)
	if err != nil {
		return Hello{}, malformed(err)
	}
	p, err := d.answer(&c, role)
	if err != nil {
		return Hello{}, err
	}
	if _, err := d.s.Write(p.appendTo(nil)); err != nil {
		return Hello{}, d.broken(err)
	}
	if body, err = expect(&d.in, frameWelcome); err != nil {
		return Hello{}, d.explain(err)
	}
	w, err := parseWelcome(body)
	if err != nil {
		return Hello{}, malformed(err)
	}
	return Hello{Cluster: c.cluster, Instance: c.instance, Name: w.name, Addr: w.addr, Proto: w.proto}, nil
}

// answer verifies the listener's proof and makes ours.
func (d *connecting) answer(c *challenge, role Role) (*proof, error) {
	switch {
	case c.version != Version:
		return nil, refused(VersionMismatch, "it speaks version %d, we %d", c.version, Version)
	case c.instance == d.own.Instance:
		return nil, &RefusedError{Reason: Self}
	case c.cluster != d.own.Cluster && (d.own.Cluster != "" || role == RolePeer):
		return nil, refused(WrongCluster, "it is of %q, we are of %q", c.cluster, d.own.Cluster)
	case c.secret && len(d.m.secrets) == 0:
		return nil, refused(WrongSecret, "it demands a cluster secret, and we have none")
	case !c.secret && len(d.m.secrets) > 0:
		return nil, refused(WrongSecret, "it proves no secret")
	}
	if d.m.pool != nil {
		// Whoever listens is a node. A certificate for clients alone would let its
		// holder pose as one.
		if len(d.cs.PeerCertificates) == 0 {
			return nil, refused(BadCertificate, "the other end showed no certificate")
		}
		if leaf := d.cs.PeerCertificates[0]; !certificateProves(leaf, RolePeer) {
			return nil, refused(WrongRole, "certificate %s is not a node's", certificateName(leaf))
		}
	}
	p := &proof{proto: d.own.Proto, class: d.own.Class, name: d.own.Name, addr: d.own.Addr}
	if !c.secret {
		return p, nil
	}
	bind, err := newBinding(d.cs, role, c.instance, d.own.Instance, c.cluster)
	if err != nil {
		return nil, err
	}
	if err := bind.verify(d.m.secrets, &c.sealed, fromListener); err != nil {
		return nil, err
	}
	p.secret = true
	p.sealed = bind.seal(d.m.secretFor(role), fromDialler)
	return p, nil
}

// broken looks for the reason of a failed write: a listener that refuses our
// certificate, or that is full, says so and closes, perhaps before we write.
func (d *connecting) broken(err error) error {
	if ReasonOf(Classify(err)) != ReasonNone {
		return err
	}
	if _, _, rerr := d.in.next(); ReasonOf(Classify(rerr)) != ReasonNone {
		return rerr
	}
	return err
}

// explain adds what this end knows to a listener's refusal.
func (d *connecting) explain(err error) error {
	r, ok := errors.AsType[*RefusedError](Classify(err))
	if !ok || !r.ByPeer || r.Detail != "" {
		return err
	}
	switch r.Reason {
	case WrongCluster:
		r.Detail = fmt.Sprintf("it is not of our cluster %q", d.own.Cluster)
	case WrongSecret:
		r.Detail = "it does not accept our proof"
	case BadCertificate:
		r.Detail = "it does not accept our certificate"
		if d.m.cert == nil && d.a.cfg.TLS == nil {
			r.Detail = "it demands a certificate of its CA, and we have none"
		}
	}
	return r
}
