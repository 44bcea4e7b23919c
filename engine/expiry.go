package engine

import (
	"container/heap"

	"github.com/tochemey/gokv/merkle"
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
	first := int(e.sweepFrom.Add(1) % uint64(len(e.shards)))
	done := 0
	for i := 0; i < len(e.shards) && done < budget; i++ {
		s := &e.shards[(first+i)%len(e.shards)]
		for done < budget && s.nextDue.Load() <= now {
			done += e.sweepShard(s, now, min(budget-done, sweepBatch))
		}
	}
	return done
}

func (e *Engine) sweepShard(s *shard, now int64, budget int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := 0
	for ; done < budget && s.due.next() <= now; done++ {
		r := s.due.first()
		s.due.remove(r)
		if r.stage == stageLive {
			r.stage = stageExpired
			s.index.Delete(r.Key)
			s.due.push(r)
		} else {
			s.reapLocked(e.tree, r)
		}
	}
	s.nextDue.Store(s.due.next())
	return done
}

// reapLocked drops the value of an expired entry. Readers may still hold the
// entry, so it is replaced by one of the same digest. s.mu must be held.
func (s *shard) reapLocked(tree *merkle.Tree[*record], old *record) {
	r := newRecord(old.Entry)
	r.Value, r.reaped = nil, true
	r.pos, r.digest, r.stage = old.pos, old.digest, stageDead
	tree.Replace(r.pos, old, r, old.digest, r.digest)
	s.records[r.Key] = r
	s.bytes -= len(old.Value)
}

// dueHeap orders records by when their next step is due. Each knows its place,
// so that overwriting a key with an expiry a thousand times leaves one.
type dueHeap struct {
	records []*record
	grace   int64
}

// at is when r's next step is due.
func (h *dueHeap) at(r *record) int64 {
	if r.stage == stageLive {
		return r.ExpiresAt
	}
	return r.ExpiresAt + h.grace
}

// next is when the first step is due, neverDue when there is none.
func (h *dueHeap) next() int64 {
	if len(h.records) == 0 {
		return neverDue
	}
	return h.at(h.records[0])
}

func (h *dueHeap) first() *record { return h.records[0] }

func (h *dueHeap) push(r *record) { heap.Push((*dueOrder)(h), r) }

// remove takes r out, if it is in.
func (h *dueHeap) remove(r *record) {
	if r.heapIndex >= 0 {
		heap.Remove((*dueOrder)(h), int(r.heapIndex))
	}
}

// dueOrder is dueHeap as package heap wants it.
type dueOrder dueHeap

func (h *dueOrder) Len() int { return len(h.records) }

func (h *dueOrder) Less(i, j int) bool {
	d := (*dueHeap)(h)
	return d.at(h.records[i]) < d.at(h.records[j])
}

func (h *dueOrder) Swap(i, j int) {
	h.records[i], h.records[j] = h.records[j], h.records[i]
	h.records[i].heapIndex, h.records[j].heapIndex = int32(i), int32(j)
}

func (h *dueOrder) Push(x any) {
	r := x.(*record)
	r.heapIndex = int32(len(h.records))
	h.records = append(h.records, r)
}

func (h *dueOrder) Pop() any {
	last := len(h.records) - 1
	r := h.records[last]
	h.records[last] = nil
	h.records = h.records[:last]
	r.heapIndex = -1
	return r
}
