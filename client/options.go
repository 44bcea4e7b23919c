package client

import (
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// PutOption is a choice of one Put: at most one about expiry, without which a put
// clears the entry's, and at most one condition.
type PutOption interface{ applyPut(*wire.Request) error }

type putOption func(*wire.Request) error

func (o putOption) applyPut(r *wire.Request) error { return o(r) }

// WithTTL makes the entry expire after d, which must be positive; it is rounded
// up to whole milliseconds.
func WithTTL(d time.Duration) PutOption {
	return putOption(func(r *wire.Request) error {
		if d <= 0 {
			return invalid("TTL is %v, it must be positive", d)
		}
		r.TTL = d
		return nil
	})
}

// WithExpiry makes the entry expire at t, to the millisecond.
func WithExpiry(t time.Time) PutOption {
	return putOption(func(r *wire.Request) error {
		ms := t.UnixMilli()
		if ms <= 0 {
			return invalid("expiry is %v, it must be after 1970", t)
		}
		r.ExpiresAt = ms
		return nil
	})
}

// KeepTTL keeps the expiry of the entry that the put replaces.
func KeepTTL() PutOption {
	return putOption(func(r *wire.Request) error {
		r.KeepTTL = true
		return nil
	})
}

// DeleteOption is a choice of one Delete: a condition.
type DeleteOption interface{ applyDelete(*wire.Request) error }

// Condition is what a Put or a Delete demands of what its key holds. Where it does
// not hold, nothing is done, and the error, which is ErrConditionFailed, has what
// the key holds: Error.Current. The node that takes the write judges, by what it
// holds at that moment: a condition is no lock, and what another node has taken
// meanwhile may win over the write (docs/conditions.md). A key that was deleted or
// has expired is absent.
type Condition struct{ apply func(*wire.Request) error }

func (c Condition) applyPut(r *wire.Request) error    { return c.apply(r) }
func (c Condition) applyDelete(r *wire.Request) error { return c.apply(r) }

// IfAbsent demands that there is no entry of the key.
func IfAbsent() Condition {
	return Condition{func(r *wire.Request) error {
		r.IfAbsent = true
		return nil
	}}
}

// IfVersion demands that the key's entry is the one of that version, as Get and List
// tell it.
func IfVersion(v Version) Condition {
	return Condition{func(r *wire.Request) error {
		if v.IsZero() {
			return invalid("the version that is demanded is zero; for a key without an entry there is IfAbsent")
		}
		r.IfVersion = v
		return nil
	}}
}

// ListOption is a choice of one List.
type ListOption interface{ applyList(*listing) }

type listOption func(*listing)

func (o listOption) applyList(l *listing) { o(l) }

// WithPrefix lists the keys that begin with prefix; without it, all.
func WithPrefix(prefix string) ListOption {
	return listOption(func(l *listing) { l.prefix = prefix })
}

// WithLimit ends the list after n entries; zero or less: no limit.
func WithLimit(n int) ListOption {
	return listOption(func(l *listing) { l.limit = max(n, 0) })
}

// KeysOnly lists entries without their values.
func KeysOnly() ListOption {
	return listOption(func(l *listing) { l.keysOnly = true })
}

// After lists the keys behind key: the last key of an earlier list, to go on
// with it, on whichever node.
func After(key string) ListOption {
	return listOption(func(l *listing) { l.after = key })
}
