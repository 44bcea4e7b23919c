package engine

import (
	"container/heap"

	"github.com/tochemey/gokv/internal/slab"
)

// Expiry is exact for readers, whatever was swept: from ExpiresAt on nobody gets
// the entry. What a sweep does is that the entry is dead: out of the ordered
// index and out of the digests, its value dropped. That is due when the cut
// passes ExpiresAt, so that expiry never shows as a difference between nodes.
//
// The cut is a whole second, and stands twice the allowed clock skew behind the
// wall clock: an entry that it has passed has expired by every clock within the
// skew. The digests cover what is live as of the cut. It moves on for all
// entries of a second together, and while it does so the root can be compared
// with nobody's (Root). Two nodes whose cuts differ bring the older one up to
// the other (SweepTo).

// sweepBatch is how many entries are swept under one hold of a shard's lock.
const sweepBatch = 128

// cutEvery is the distance between cuts, in ms.
const cutEvery = 1000

// cutOf is the first cut that passes an expiry.
func cutOf(expiresAt int64) int64 { return (expiresAt + cutEvery - 1) / cutEvery * cutEvery }

// Sweep makes dead what has expired and is due at now, at most budget entries,
// and returns how many. It costs a look at each shard and then what there is to
// do. How often it is called decides on memory, on counters, and on how soon the
// cut follows the clock.
func (e *Engine) Sweep(now int64, budget int) int {
	return e.sweep(max(boundWall(now)-e.grace, 0)/cutEvery*cutEvery, budget)
}

// SweepTo brings the cut up to another node's, unless some of what that passes
// has not expired by now.
func (e *Engine) SweepTo(now, cut int64) {
	if cut > boundWall(now) || cut%cutEvery != 0 {
		return
	}
	for e.cut.Load() < cut {
		e.sweep(cut, sweepBatch*shardCount)
	}
}

func (e *Engine) sweep(cut int64, budget int) int {
	e.sweepMu.Lock()
	defer e.sweepMu.Unlock()
	cut = max(cut, e.cut.Load())
	// Each call begins at another shard: a budget that is always used up
	// would otherwise never reach the last ones.
	first := int(e.sweepFrom.Add(1) % shardCount)
	done, left := 0, false
	for i := range shardCount {
		s := &e.shards[(first+i)%shardCount]
		for done < budget && s.nextCut.Load() <= cut {
			done += e.sweepShard(s, cut, min(budget-done, sweepBatch))
		}
		left = left || s.nextCut.Load() <= cut
	}
	if !left {
		e.moveCut(cut)
	}
	return done
}

// moveCut ends a sweep up to a cut, unless something has been written meanwhile
// that it passes too.
func (e *Engine) moveCut(cut int64) {
	e.lockAll()
	defer e.unlockAll()
	for i := range e.shards {
		if e.shards[i].nextCut.Load() <= cut {
			return
		}
	}
	e.cut.Store(cut)
	e.cutting.Store(false)
}

func (e *Engine) sweepShard(s *shard, cut int64, budget int) int {
	s.w.Lock()
	defer s.w.Unlock()
	due := e.dueOf(s)
	done := 0
	for ; done < budget && due.next() <= cut; done++ {
		e.cutting.Store(true)
		e.expireLocked(s, due.refs[0])
	}
	e.settleLocked(s)
	return done
}

// expireLocked makes a record dead whose expiry has passed. s.w must be held.
func (e *Engine) expireLocked(s *shard, ref slab.Ref) {
	k := e.keyed.Load()
	r := e.slab.at(ref)
	ent := r.entry()
	ent.Key = string(r.key())
	ent.Value, ent.reaped = nil, true
	p := e.placeOf(s, k, k.hasher.Position(ent.Key), ent.Key)
	if e.reserveLocked(&p, &ent, ceilingNone) != nil {
		panic(failed("engine: no room for an entry without its value", ent.Key, ErrOverloaded))
	}
	digest := r.digest()
	e.detachLocked(&p, stageDead)
	e.writeLocked(&p, &ent, stageDead, digest)
	s.dead.add(e.slab, p.room)
	if !s.stripe.Fits() {
		e.rebuildStripe(s, k)
	}
}

// dueHeap orders the live records of a shard that expire, soonest first. Each
// knows its place, so that overwriting a key with an expiry a thousand times
// leaves one.
type dueHeap struct {
	refs []slab.Ref
	slab records
}

// dueOf is the shard's heap, told where the records are. s.w must be held.
func (e *Engine) dueOf(s *shard) *dueHeap {
	s.due.slab = e.slab
	return &s.due
}

func (h *dueHeap) at(ref slab.Ref) int64 { return h.slab.at(ref).expiresAt() }

// next is the cut that passes the first of them, neverDue when there is none.
func (h *dueHeap) next() int64 {
	if len(h.refs) == 0 {
		return neverDue
	}
	return cutOf(h.at(h.refs[0]))
}

// add puts a record in. It is heap.Push without what boxing a number costs.
func (h *dueHeap) add(ref slab.Ref) {
	last := len(h.refs)
	h.refs = append(h.refs, ref)
	h.slab.at(ref).setPlace(last)
	heap.Fix(h, last)
}

// remove takes r out, if it is in.
func (h *dueHeap) remove(r record) {
	if i := r.place(); i >= 0 {
		heap.Remove(h, i)
	}
}

// The methods of heap.Interface.

func (h *dueHeap) Len() int { return len(h.refs) }

func (h *dueHeap) Less(i, j int) bool { return h.at(h.refs[i]) < h.at(h.refs[j]) }

func (h *dueHeap) Swap(i, j int) {
	h.refs[i], h.refs[j] = h.refs[j], h.refs[i]
	h.slab.at(h.refs[i]).setPlace(i)
	h.slab.at(h.refs[j]).setPlace(j)
}

func (h *dueHeap) Push(x any) { h.add(x.(slab.Ref)) }

func (h *dueHeap) Pop() any {
	last := len(h.refs) - 1
	ref := h.refs[last]
	h.refs = h.refs[:last]
	h.slab.at(ref).setPlace(-1)
	if keep := cap(h.refs); keep > 16 && last < keep/4 {
		h.refs = append(make([]slab.Ref, 0, keep/2), h.refs...)
	}
	return nil
}
