package client

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/tochemey/gokv/client/wire"
)

// pageEntries is how many entries a list asks for at a time; the node ends a
// page earlier where it has grown to wire.MaxPageBytes.
const pageEntries = 1024

// listing is where a list stands.
type listing struct {
	prefix, after string
	limit         int // entries still wanted; zero: no limit
	keysOnly      bool
}

// List iterates over entries in bytewise order of their keys. It fetches a page
// at a time, each from whichever node answers, so a long list is no snapshot: it
// shows what each page's node held when it was asked. A key comes at most once.
//
// An error, the context's included, is the last thing that the iterator yields.
func (c *Client) List(ctx context.Context, options ...ListOption) iter.Seq2[Entry, error] {
	var start listing
	for _, o := range options {
		o.applyList(&start)
	}
	return func(yield func(Entry, error) bool) {
		l, x := start, new(exchange) // not pooled: the consumer may take its time
		for more := true; more; {
			var err error
			if more, err = c.page(ctx, &l, x, yield); err != nil {
				yield(Entry{}, err)
				return
			}
		}
	}
}

// page fetches and yields one page; more says whether another one is wanted.
func (c *Client) page(ctx context.Context, l *listing, x *exchange, yield func(Entry, error) bool) (more bool, err error) {
	limit := pageEntries
	if l.limit > 0 {
		limit = min(limit, l.limit)
	}
	x.req = wire.Request{
		Op: wire.OpList, Prefix: []byte(l.prefix), After: []byte(l.after),
		Limit: uint32(min(limit, math.MaxUint32)), KeysOnly: l.keysOnly,
	}
	x.resp.Reset()
	if err := c.do(ctx, x); err != nil {
		return false, err
	}
	if x.resp.More && len(x.resp.Entries) == 0 {
		return false, fail(&x.req, errEmptyPage)
	}
	for i := range x.resp.Entries {
		// A page is up to a mebibyte: an entry that is kept must not pin it, and
		// in process it must not be the store's own memory.
		e := &x.resp.Entries[i]
		if i > 0 || l.after != "" {
			if string(e.Key) <= l.after {
				return false, fail(&x.req, errPageOrder)
			}
		}
		l.after = string(e.Key)
		out := Entry{Key: l.after, Version: e.Version, ExpiresAt: unixMilli(e.ExpiresAt)}
		if !l.keysOnly {
			out.Value = bytes.Clone(e.Value)
		}
		if err := ctx.Err(); err != nil {
			return false, fail(&x.req, err)
		}
		if !yield(out, nil) {
			return false, nil
		}
		if l.limit > 0 {
			if l.limit--; l.limit == 0 {
				return false, nil
			}
		}
	}
	return x.resp.More, nil
}

var (
	errEmptyPage = fmt.Errorf("the node sent an empty page and says that more follows: %w", ErrInternal)
	errPageOrder = fmt.Errorf("the node sent a key that is not behind the one before: %w", ErrInternal)
)
