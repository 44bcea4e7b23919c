package gokv

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/engine"
)

// concerns are the writes whose callers wait until other members hold them.
type concerns struct {
	waiting atomic.Int32 // so that pushes pay nothing while nobody waits

	mu sync.Mutex
	of map[string][]*concern // by key
}

// concern is one of them.
type concern struct {
	key     string
	version engine.Version
	since   time.Time
	holders map[uint64]bool // the others that are known to hold it, or what superseded it
	news    chan struct{}
}

// begin is to be called before the write is handed to the peers.
func (c *concerns) begin(w *concern, e *engine.Entry) {
	*w = concern{key: e.Key, version: e.Version, since: time.Now(), holders: make(map[uint64]bool), news: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = make(map[string][]*concern)
	}
	c.of[w.key] = append(c.of[w.key], w)
	c.waiting.Add(1)
}

func (c *concerns) end(w *concern) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[w.key] = slices.DeleteFunc(c.of[w.key], func(o *concern) bool { return o == w })
	if len(c.of[w.key]) == 0 {
		delete(c.of, w.key)
	}
	c.waiting.Add(-1)
}

// acknowledged notes that a member has taken pushed entries in.
func (c *concerns) acknowledged(instance uint64, entries []*engine.Entry) {
	if c.waiting.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		for _, w := range c.of[e.Key] {
			if !e.Version.Less(w.version) {
				w.heldBy(instance)
			}
		}
	}
}

// equal notes that a member holds all that this node held when a round with it began.
func (c *concerns) equal(instance uint64, began time.Time) {
	if c.waiting.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, all := range c.of {
		for _, w := range all {
			if w.since.Before(began) {
				w.heldBy(instance)
			}
		}
	}
}

// heldBy notes a holder. The lock must be held.
func (w *concern) heldBy(instance uint64) {
	w.holders[instance] = true
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// known is how many members are known to hold the write, and of how many.
func (c *concerns) known(w *concern, electorate []uint64) (holders, members int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	holders, members = 1, 1+len(electorate)
	for _, id := range electorate {
		if w.holders[id] {
			holders++
		}
	}
	return holders, members
}

// recount is how often who the members are is looked at again while nobody new holds
// a write.
const recount = 100 * time.Millisecond

// await waits until enough members hold a write, and tells how many are known to.
func (n *Node) await(ctx context.Context, w *concern, req *wire.Request, resp *wire.Response) error {
	defer n.concerns.end(w)
	if end, ok := ctx.Deadline(); ok { // the answer has to reach the client by then
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-min(time.Until(end)/10, 100*time.Millisecond)))
		defer cancel()
	}
	tick := time.NewTicker(recount)
	defer tick.Stop()
	for {
		holders, members := n.concerns.known(w, n.replication.horizon.Electorate())
		if holders >= req.Concern.Needs(members) {
			tellHolders(resp, holders, members)
			return nil
		}
		select {
		case <-w.news:
		case <-tick.C:
		case <-ctx.Done():
			return &concernError{req.Concern, holders, members, resp.Version}
		}
	}
}

func tellHolders(resp *wire.Response, holders, members int) {
	resp.Holders, resp.Members = uint16(min(holders, math.MaxUint16)), uint16(min(members, math.MaxUint16))
}

// concernError says what is known of a write that too few members are known to hold.
type concernError struct {
	concern          wire.Concern
	holders, members int
	version          [16]byte
}

// Unwrap makes it the code that a time-out has.
func (e *concernError) Unwrap() error { return context.DeadlineExceeded }

func (e *concernError) Error() string {
	return fmt.Sprintf("written; %d of %d members are known to hold it, %v needs %d: whether others do is not known",
		e.holders, e.members, e.concern, e.concern.Needs(e.members))
}
