package auth

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
)

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
	hints := d.m.hints(role)
	if len(d.m.secrets) > 0 && len(hints) == 0 {
		return Hello{}, refused(WrongRole, "none of our secrets proves the role %s", role)
	}
	h := hello{version: Version, role: role, instance: d.own.Instance, cluster: d.own.Cluster, hints: hints}
	if _, err := d.s.Write(h.appendTo(nil)); err != nil {
		return Hello{}, d.broken(err)
	}
	body, err := expect(&d.in, frameChallenge)
	if err != nil {
		return Hello{}, err
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
		return Hello{}, err
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
	common, err := bind.verify(d.m.secrets, &c.sealed, fromListener)
	if err != nil {
		return nil, err
	}
	p.secret = true
	p.sealed = bind.seal(common, fromDialler)
	return p, nil
}

// see waits until the listener has hung up on our refusal. The caller closes the
// connection next, and over QUIC that may overtake what was written last.
func (d *connecting) see(err error) {
	r, ok := errors.AsType[*RefusedError](err)
	if !ok || r.ByPeer || r.Reason == Timeout {
		return
	}
	io.CopyN(io.Discard, d.s, MaxUnproven) //nolint:errcheck // any end will do; finish has set a deadline
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
	r, ok := errors.AsType[*RefusedError](d.a.ClassifyDial(err))
	if !ok {
		return err
	}
	if !r.ByPeer || r.Detail != "" {
		return r
	}
	switch r.Reason {
	case WrongCluster:
		r.Detail = fmt.Sprintf("it is not of our cluster %q", d.own.Cluster)
	case WrongSecret:
		r.Detail = "it does not accept our proof"
	}
	return r
}
