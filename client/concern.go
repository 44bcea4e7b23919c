package client

import "github.com/tochemey/gokv/client/wire"

// Concern is which members must hold a Put or a Delete before it returns. Members are
// all that have not left, been forgotten (Client.Forget) or been replaced under their
// name: those believed dead count too, so that the two halves of a split never both
// have a quorum. It is no transaction: a write that misses its concern stays. The zero
// Concern is local: the node that takes the write, and nobody else, must hold it.
type Concern struct{ is wire.Concern }

// The concerns beyond local, weakest first.
var (
	One    = Concern{wire.ConcernOne}    // one member more
	Quorum = Concern{wire.ConcernQuorum} // more than half of the members
	All    = Concern{wire.ConcernAll}
)

// String is the concern's name on command lines.
func (c Concern) String() string { return c.is.String() }

// ParseConcern is the concern of a name.
func ParseConcern(name string) (Concern, error) {
	for _, c := range []Concern{{}, One, Quorum, All} {
		if c.String() == name {
			return c, nil
		}
	}
	return Concern{}, invalid("write concern %q, there are local, one, quorum and all", name)
}

// WithConcern has the call return once so many members hold what it wrote, or with
// ErrTimeout when the context is about to end: the write is done then, and
// Error.Holders says how many are known to hold it.
func WithConcern(c Concern) ConcernOption { return ConcernOption{concern: c} }

// ConcernOption is what WithConcern returns: an option of Put and of Delete.
type ConcernOption struct {
	concern Concern
	into    *Holders
}

// Holders tells how many members are known to hold a write, the node that took it
// included, and how many there are.
type Holders struct{ Known, Members int }

// Into has the call tell how many hold what it wrote.
func (o ConcernOption) Into(h *Holders) ConcernOption {
	o.into = h
	return o
}

func (o ConcernOption) apply(r *wire.Request) error {
	r.Concern = o.concern.is
	return nil
}

func (o ConcernOption) applyPut(r *wire.Request) error    { return o.apply(r) }
func (o ConcernOption) applyDelete(r *wire.Request) error { return o.apply(r) }

// tell passes on what the answer says to whoever of a call's options asked.
func tell[T any](options []T, resp *wire.Response) {
	for _, o := range options {
		if c, ok := any(o).(ConcernOption); ok && c.into != nil {
			*c.into = Holders{max(int(resp.Holders), 1), max(int(resp.Members), 1)}
		}
	}
}
