package auth

import (
	"crypto/tls"
	"errors"
	"slices"
)

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
		s := l.m.secretFor(h.role, h.hints)
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
	_, err := bind.verify(l.m.secrets, &p.sealed, fromDialler)
	return err
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
