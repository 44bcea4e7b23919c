package engine

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

const (
	// shardBits are the first bits of a position, which choose its shard: a
	// shard is a stripe of the digests.
	shardBits  = 8
	shardCount = 1 << shardBits

	orderBits  = 4
	orderCount = 1 << orderBits
)

// shard holds the keys whose positions begin with the shard's number.
//
// Two locks guard it. Whoever writes, scans, sweeps or serves a round holds w,
// so that of these one goes on at a time; readers hold mu for reading, and a
// writer holds mu besides w for the moment in which it changes what readers
// see. So a reader never waits for a scan or a round.
type shard struct {
	w  sync.Mutex
	mu sync.RWMutex

	// Read under w or mu, written under both; so are the records' bytes, their
	// places in due aside, which are guarded by w alone.
	table table

	// Guarded by w.
	stripe merkle.Stripe
	due    dueHeap
	dead   deadList
	live   int // records in stageLive
	bytes  int // keys and values held

	counted int // what budget.index has of indexBytes

	// nextCut is the cut that passes the first of due, so that a sweep need
	// not lock a shard where nothing is. Written under w.
	nextCut atomic.Int64

	_ [64]byte // keeps neighbours' locks off one cache line
}

const neverDue = math.MaxInt64

// find is the slot of the record of a key, and the record; nil if there is
// none. w or mu must be held.
func (s *shard) find(slab records, pos uint64, key string) (slot int, ref slab.Ref, r record) {
	t := &s.table
	if len(t.slots) == 0 {
		return -1, 0, nil
	}
	tag := tagOf(pos)
	slots := t.slots
	for i := t.home(tag); i < len(slots) && slots[i] != 0; i++ {
		if slots[i].tag() != tag {
			continue
		}
		ref := slots[i].ref()
		if r := slab.at(ref); string(r.key()) == key {
			return i, ref, r
		}
	}
	return -1, 0, nil
}

// between calls visit with each record that may be at a position from first to
// last, in no order. Tags alone are compared. w must be held.
func (s *shard) between(first, last uint64, visit func(ref slab.Ref)) {
	t := &s.table
	if len(t.slots) == 0 {
		return
	}
	low, high := tagOf(first), tagOf(last)
	end := t.home(high)
	for i := t.home(low); i < len(t.slots); i++ {
		is := t.slots[i]
		if is == 0 {
			if i >= end {
				return
			}
			continue
		}
		if tag := is.tag(); low <= tag && tag <= high {
			visit(is.ref())
		}
	}
}
