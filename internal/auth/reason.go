package auth

import (
	"errors"
	"fmt"
)

// Reason says why a handshake was refused. The set is closed, so that it can
// label a metric: Reasons lists it.
type Reason uint8

// The numbers travel in Refuse messages and in QUIC close codes; they are
// never reused for another meaning.
const (
	ReasonNone Reason = iota
	// WrongSecret: the ends hold no secret in common, or only one holds any.
	WrongSecret
	// WrongCluster: the other end belongs to a cluster of another name.
	WrongCluster
	// BadCertificate: none was shown, or the CA did not sign it, or it has expired.
	BadCertificate
	// BadProof: the key is known, yet the proof does not fit this connection:
	// it was relayed from another one, or made up.
	BadProof
	// Reflected: the listener's own proof was sent back to it.
	Reflected
	// WrongRole: the proof holds, but not for what this listener wants.
	WrongRole
	// Malformed: what arrived is no handshake.
	Malformed
	// Timeout: the proof did not arrive in time.
	Timeout
	// VersionMismatch: the ends share no version of the handshake or protocol.
	VersionMismatch
	// Limit: no room for another handshake or connection.
	Limit
	// Self: the dialled address is the dialler's own. Not an attack and no
	// fault: a node finds itself among the addresses that it was told to join.
	Self
	reasonEnd
)

var reasonNames = [reasonEnd]struct{ label, text string }{
	ReasonNone:      {"none", "unknown reason"},
	WrongSecret:     {"wrong_secret", "wrong secret"},
	WrongCluster:    {"wrong_cluster", "wrong cluster name"},
	BadCertificate:  {"bad_certificate", "bad certificate"},
	BadProof:        {"bad_proof", "proof does not fit this connection"},
	Reflected:       {"reflected", "reflected proof"},
	WrongRole:       {"role", "wrong role"},
	Malformed:       {"malformed", "malformed handshake"},
	Timeout:         {"timeout", "no proof in time"},
	VersionMismatch: {"version", "no common protocol version"},
	Limit:           {"limit", "too many connections"},
	Self:            {"self", "the address is our own"},
}

// Reasons are the labels that a counter of refusals needs, in a fixed order.
// Self is not among them: reaching oneself refuses nobody.
func Reasons() []string {
	labels := make([]string, 0, reasonEnd)
	for r := WrongSecret; r < Self; r++ {
		labels = append(labels, r.String())
	}
	return labels
}

// String is the metric label.
func (r Reason) String() string {
	if r >= reasonEnd {
		r = ReasonNone
	}
	return reasonNames[r].label
}

func (r Reason) valid() bool { return r > ReasonNone && r < reasonEnd }

func (r Reason) text() string {
	if r >= reasonEnd {
		r = ReasonNone
	}
	return reasonNames[r].text
}

// RefusedError is a handshake that one of the two ends refused. Match a reason
// with errors.Is(err, &RefusedError{Reason: WrongSecret}) or with ReasonOf.
type RefusedError struct {
	Reason Reason
	// ByPeer is true if the other end refused and told us so.
	ByPeer bool
	// Detail is what this end knows besides, for people; never a secret.
	Detail string
	// Err is the TLS or QUIC error beneath, if there is one.
	Err error
}

func refused(r Reason, format string, args ...any) *RefusedError {
	return &RefusedError{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

func (e *RefusedError) Error() string {
	s := "refused: " + e.Reason.text()
	if e.ByPeer {
		s = "refused by the other end: " + e.Reason.text()
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *RefusedError) Unwrap() error { return e.Err }

// Is matches a *RefusedError of the same reason, whoever refused.
func (e *RefusedError) Is(target error) bool {
	t, ok := target.(*RefusedError)
	return ok && t.Reason == e.Reason
}

// ReasonOf finds the refusal in err's chain; ReasonNone if there is none.
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*RefusedError](err); ok {
		return r.Reason
	}
	return ReasonNone
}
