package client

import (
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// PutOption is a choice of one Put. At most one of them may be given: a put
// without any clears the entry's expiry.
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
