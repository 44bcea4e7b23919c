package client

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// fakeStore is a handler that keeps entries in a map, and misbehaves on demand.
// Several nodes may share one, as if they replicated without delay.
type fakeStore struct {
	mu      sync.Mutex
	entries map[string]wire.Entry
	writes  uint64
	clock   uint64
	clocks  []uint64 // that requests carried
}

func newFakeStore() *fakeStore { return &fakeStore{entries: map[string]wire.Entry{}} }

// fakeNode answers requests from a store.
type fakeNode struct {
	*fakeStore
	name     string
	calls    atomic.Int64
	pages    atomic.Int64
	notReady atomic.Bool
	busy     atomic.Int64  // so many requests are answered overloaded, with a hint
	pageMax  int           // entries of a page; zero: no limit
	held     chan struct{} // where not nil, requests but pings wait for it or their context
	holding  atomic.Int64
	ended    chan error // what ended the contexts of held requests
}

func (n *fakeNode) Handle(ctx context.Context, req *wire.Request, resp *wire.Response) {
	if req.Op != wire.OpPing {
		n.calls.Add(1)
		if n.held != nil {
			n.holding.Add(1)
			select {
			case <-n.held:
			case <-ctx.Done():
				n.ended <- ctx.Err()
				resp.Fail(wire.CodeTimeout, "given up")
				return
			}
		}
		if n.notReady.Load() {
			resp.Fail(wire.CodeNotReady, n.name+" is starting")
			return
		}
		if n.busy.Add(-1) >= 0 {
			resp.Fail(wire.CodeOverloaded, "no room")
			resp.RetryAfter = time.Millisecond
			return
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if req.Op == wire.OpPing {
		return
	}
	n.clocks = append(n.clocks, req.Clock)
	n.clock = max(n.clock, req.Clock) + 1
	n.answer(req, resp)
	resp.Clock = n.clock
}

func (n *fakeNode) answer(req *wire.Request, resp *wire.Response) {
	key := string(req.Key)
	e, ok := n.entries[key]
	switch req.Op {
	case wire.OpPut:
		if len(req.Value) > 1<<20 {
			resp.Fail(wire.CodeTooLarge, "value is too long")
			return
		}
		next := wire.Entry{Key: []byte(key), Value: append([]byte{}, req.Value...), ExpiresAt: req.ExpiresAt}
		if req.TTL > 0 {
			next.ExpiresAt = int64(req.TTL / time.Millisecond)
		}
		if req.KeepTTL {
			next.ExpiresAt = e.ExpiresAt
		}
		n.put(next, resp)
	case wire.OpGet, wire.OpTouch, wire.OpPersist:
		if !ok {
			resp.Fail(wire.CodeNotFound, "")
			return
		}
		if req.Op == wire.OpGet {
			resp.Value, resp.Version, resp.ExpiresAt = e.Value, e.Version, e.ExpiresAt
			return
		}
		e.ExpiresAt = int64(req.TTL / time.Millisecond)
		n.put(e, resp)
	case wire.OpExists:
		resp.Existed = ok
	case wire.OpDelete:
		resp.Existed = ok
		delete(n.entries, key)
	case wire.OpList:
		n.pages.Add(1)
		n.list(req, resp)
	case wire.OpMembers:
		resp.Body, _ = wire.EncodeInfo([]wire.MemberInfo{{Name: n.name, State: "alive", Leader: true}})
	case wire.OpStatus:
		resp.Body, _ = wire.EncodeInfo(wire.StatusInfo{Name: n.name, Entries: uint64(len(n.entries))})
	case wire.OpSync:
		resp.Body, _ = wire.EncodeInfo([]wire.SyncInfo{{Peer: "b", Result: "equal"}})
	}
}

func (n *fakeNode) put(e wire.Entry, resp *wire.Response) {
	n.writes++
	e.Version = [16]byte{15: byte(n.writes), 14: byte(n.writes >> 8)}
	n.entries[string(e.Key)] = e
	resp.Version = e.Version
}

func (n *fakeNode) list(req *wire.Request, resp *wire.Response) {
	var keys []string
	for k := range n.entries {
		if strings.HasPrefix(k, string(req.Prefix)) && k > string(req.After) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	limit := int(req.Limit)
	if n.pageMax > 0 {
		limit = min(limit, n.pageMax)
	}
	if limit > 0 && len(keys) > limit {
		keys, resp.More = keys[:limit], true
	}
	for _, k := range keys {
		e := n.entries[k]
		if req.KeysOnly {
			e.Value = nil
		}
		resp.Entries = append(resp.Entries, e)
	}
}

// quickNode answers at once what the fake node would not hold.
type quickNode struct{ *fakeNode }

func (q quickNode) HandleImmediate(ctx context.Context, req *wire.Request, resp *wire.Response) bool {
	if req.Op == wire.OpList || q.held != nil && req.Op != wire.OpPing {
		return false
	}
	q.Handle(ctx, req, resp)
	return true
}
