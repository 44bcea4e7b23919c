package engine

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"
	"github.com/tochemey/gokv/merkle"
)

// stage is where a record stands in its life. It only moves down this list:
// once a node has seen a key expire it stays expired there, even if the wall
// clock is set back.
type stage uint8

const (
	stageLive    stage = iota // has a value, is in the ordered index
	stageExpired              // has a value that nobody gets any more, waits to be reaped
	stageDead                 // a tombstone or a reaped put
)

// record is an entry and what the engine keeps beside it. A new write of a key
// is a new record: the entry inside never changes, so that readers may keep it
// without a lock.
type record struct {
	Entry

	// Guarded by the shard's lock for the writing side, and by Engine.treeMu
	// for rounds, which hold no shard's lock. Only a rekey changes them once
	// the record is stored, and it holds both.
	pos    uint64
	digest merkle.Digest

	// Guarded by the shard's lock.
	heapIndex int32 // in shard.due; -1: nowhere
	stage     stage
}

func newRecord(ent Entry) *record { return &record{Entry: ent, heapIndex: -1} }

// item is the record as the hash tree sees it.
func (r *record) item() merkle.Item {
	return merkle.Item{Pos: r.pos, Digest: r.digest, Time: r.Version.Time, Instance: r.Version.Instance, Ref: r}
}

// liveAt reports whether readers get r. The shard's lock must be held; r may
// be nil, for a key that nobody ever wrote.
func (r *record) liveAt(now int64) bool {
	return r != nil && r.stage == stageLive && r.LiveAt(now)
}

// shard holds the keys whose hash ends in the shard's number.
type shard struct {
	// grace is how long after its expiry an entry keeps its value. Fixed.
	grace int64

	mu      sync.RWMutex
	records map[string]*record // every key ever written
	index   btree.Set[string]  // the keys in stageLive, in order
	due     dueHeap            // the puts with an expiry, soonest first, until they are reaped
	bytes   int                // keys and values held, in records

	// nextDue is when the first of due is to be swept, so that a sweep need
	// not lock a shard where nothing is. Written under mu.
	nextDue atomic.Int64

	_ [64]byte // keeps neighbours' locks off one cache line
}

const neverDue = math.MaxInt64

func (s *shard) init(grace int64) {
	s.grace = grace
	s.records = make(map[string]*record)
	s.due.grace = grace
	s.nextDue.Store(neverDue)
}

// replaceLocked makes r what its key holds, in place of old, which may be nil.
// The two agree on key and position, and r's digest is set. mu must be held.
func (s *shard) replaceLocked(tree *merkle.Tree[*record], old, r *record, now int64) {
	r.stage = initialStage(&r.Entry, now)
	wasLive := false
	if old == nil {
		tree.Insert(r.pos, r, r.digest)
	} else {
		tree.Replace(r.pos, old, r, old.digest, r.digest)
		wasLive = old.stage == stageLive
		s.due.remove(old)
		s.bytes -= old.size()
	}
	s.records[r.Key] = r
	s.bytes += r.size()
	if r.ExpiresAt != 0 && r.stage != stageDead {
		s.due.push(r)
	}
	switch isLive := r.stage == stageLive; {
	case isLive && !wasLive:
		s.index.Insert(r.Key)
	case wasLive && !isLive:
		s.index.Delete(r.Key)
	}
	s.nextDue.Store(s.due.next())
}

func initialStage(ent *Entry, now int64) stage {
	switch {
	case ent.Kind == KindTombstone || ent.reaped:
		return stageDead
	case !ent.LiveAt(now):
		return stageExpired
	}
	return stageLive
}

func (r *record) size() int { return len(r.Key) + len(r.Value) }
