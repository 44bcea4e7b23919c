package engine

import (
	"container/heap"

	"github.com/tochemey/gokv/internal/slab"
)

// Expiry has two steps, so that it is exact and yet cheap. From ExpiresAt on
// no reader gets the entry, whatever was swept. The first step, due at that
// time, takes the key out of the ordered index. The second, due twice the
// allowed clock skew later, drops the value: by then the entry has expired by
// every clock within the skew, so a peer that gets it without its value had no
// use for one.

// sweepBatch is how many steps are done under one hold of a shard's lock.
const sweepBatch = 128

// Sweep does the steps that are due at now, at most budget of them, and
// returns how many it did. It costs a look at each shard and then what there
// is to do; nothing depends on how often it is called but memory and counters.
func (e *Engine) Sweep(now int64, budget int) int {
	now = boundWall(now) // below neverDue
	// Each call begins at another shard: a budget that is always used up
	// would otherwise never reach the last ones.
	first := int(e.sweepFrom.Add(1) % shardCount)
	done := 0
	for i := 0; i < shardCount && done < budget; i++ {
		s := &e.shards[(first+i)%shardCount]
		for done < budget && s.nextDue.Load() <= now {
			done += e.sweepShard(s, now, min(budget-done, sweepBatch))
		}
	}
	return done
}

func (e *Engine) sweepShard(s *shard, now int64, budget int) int {
	s.w.Lock()
	defer s.w.Unlock()
	due := e.dueOf(s)
	done := 0
	for ; done < budget && due.next() <= now; done++ {
		ref := due.refs[0]
		r := e.slab.at(ref)
		if r.stage() == stageLive {
			s.mu.Lock()
			r.setStage(stageExpired)
			s.mu.Unlock()
			s.live--
			e.unlist(r.key())
			heap.Fix(due, 0)
		} else {
			due.remove(r)
			e.reapLocked(s, ref, r)
		}
	}
	s.nextDue.Store(due.next())
	return done
}

// reapLocked drops the value of an expired entry. s.w must be held.
func (e *Engine) reapLocked(s *shard, ref slab.Ref, r record) {
	ent := r.entry()
	ent.Key = r.keyView()
	s.bytes -= len(ent.Value)
	ent.Value, ent.reaped = nil, true
	is := e.slab.store(&ent, stageDead, r.digest())
	if is == 0 { // no memory, of all times: the value goes where it stands
		s.mu.Lock()
		r.write(&ent, stageDead, r.digest(), false)
		s.mu.Unlock()
		return
	}
	slot, _, _ := s.find(e.slab, e.keyed.Load().hasher.Position(ent.Key), ent.Key)
	s.mu.Lock()
	s.table.refs[slot] = is
	s.mu.Unlock()
	e.slab.Free(ref)
}

// dueHeap orders the records of a shard that have an expiry and a value by when
// their next step is due. Each knows its place, so that overwriting a key with
// an expiry a thousand times leaves one.
type dueHeap struct {
	refs  []slab.Ref
	slab  records
	grace int64
}

// dueOf is the shard's heap, told where the records are. s.w must be held.
func (e *Engine) dueOf(s *shard) *dueHeap {
	s.due.slab, s.due.grace = e.slab, e.grace
	return &s.due
}

// at is when a record's next step is due.
func (h *dueHeap) at(ref slab.Ref) int64 {
	r := h.slab.at(ref)
	if r.stage() == stageLive {
		return r.expiresAt()
	}
	return r.expiresAt() + h.grace
}

// next is when the first step is due, neverDue when there is none.
func (h *dueHeap) next() int64 {
	if len(h.refs) == 0 {
		return neverDue
	}
	return h.at(h.refs[0])
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
