package engine

import (
	"bytes"
	"container/heap"
	"strings"
	"sync"
	"time"

	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/merkle"
)

// A version that is further ahead of the wall time than the allowed skew is not
// merged: the clock would have to follow it, and with it every later write here.
// Either clock may be wrong, and the writer's writes are not to be lost because of
// it: up to maxParkedAhead ahead they are parked until they are due, a bounded
// number of them. Those further ahead, and those for which there is no room, are
// refused; rounds bring them again.
const (
	maxParkedAhead = time.Minute
	maxParked      = 4096    // entries
	maxParkedBytes = 4 << 20 // of keys and values
)

// parking holds entries that are not due yet. Its lock is taken alone, or before that of the gone
// instances.
type parking struct {
	mu     sync.Mutex
	queue  parkedQueue
	bytes  int
	parked map[Version]bool // rounds bring them again, as long as they are not due
}

// parkedEntry is one of them. Its key and value are the parking's own.
type parkedEntry struct {
	ent    Entry
	pushed bool          // else a round brought it, and what it builds upon is not known
	hidden causal.Vector // that came with the push
}

// park keeps a copy of an entry until it is due, and reports whether it does.
func (e *Engine) park(now int64, ent *Entry, pushed bool, hidden causal.Vector) bool {
	if ahead := ent.Version.Wall() - boundWall(now); ahead <= e.clock.skew.Milliseconds() || ahead > maxParkedAhead.Milliseconds() {
		return false
	}
	p := &e.parking
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parked[ent.Version] {
		return true
	}
	size := len(ent.Key) + len(ent.Value)
	if len(p.queue) >= maxParked || p.bytes+size > maxParkedBytes {
		return false
	}
	own := parkedEntry{ent: *ent, pushed: pushed, hidden: hidden.Clone()}
	own.ent.Key, own.ent.Value = strings.Clone(ent.Key), bytes.Clone(ent.Value)
	heap.Push(&p.queue, own)
	if p.parked == nil {
		p.parked = make(map[Version]bool)
	}
	p.parked[ent.Version] = true
	p.bytes += size
	e.noteGone(ent.Version)
	return true
}

// Unpark merges the parked entries that are due at now, and returns how many were.
// They are late: what they build upon, unless it has been seen by now, is left to a
// round. merged, if not nil, is told of each what became of it, as by Apply.
func (e *Engine) Unpark(now int64, merged func(ent *Entry, outcome merkle.Outcome, lag int64)) int {
	p := &e.parking
	due := 0
	for ; ; due++ {
		p.mu.Lock()
		if len(p.queue) == 0 || e.clock.ahead(now, p.queue[0].ent.Version.Time) {
			p.mu.Unlock()
			return due
		}
		next := heap.Pop(&p.queue).(parkedEntry)
		delete(p.parked, next.ent.Version)
		p.bytes -= len(next.ent.Key) + len(next.ent.Value)
		p.mu.Unlock()
		var outcome merkle.Outcome
		var lag int64
		if next.pushed {
			outcome, lag = e.Push(now, &next.ent, next.hidden, false)
		} else {
			outcome, lag = e.Merge(now, &next.ent, nil)
		}
		if merged != nil {
			merged(&next.ent, outcome, lag)
		}
	}
}

// instances are those of which entries are parked.
func (p *parking) instances() map[uint64]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[uint64]bool)
	for i := range p.queue {
		all[p.queue[i].ent.Version.Instance] = true
	}
	return all
}

// count is how many entries are parked.
func (p *parking) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue)
}

// parkedQueue orders by version, the soonest due first: one issuer's writes come in
// the order in which they were issued.
type parkedQueue []parkedEntry

func (q parkedQueue) Len() int           { return len(q) }
func (q parkedQueue) Less(i, j int) bool { return q[i].ent.Version.Compare(q[j].ent.Version) < 0 }
func (q parkedQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *parkedQueue) Push(x any)        { *q = append(*q, x.(parkedEntry)) }
func (q *parkedQueue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	(*q)[last] = parkedEntry{}
	*q = (*q)[:last]
	return x
}
