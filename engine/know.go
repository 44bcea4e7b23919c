package engine

import (
	"sync"

	"github.com/tochemey/gokv/internal/causal"
)

// knowledge is what the engine knows of writes beyond the entries that it
// holds: docs/deletes.md. Its lock comes after a shard's w, and whoever changes
// an entry for a reason that the knowledge gives, or the reverse, does both
// under that w. So what a goroutine that holds every w reads here goes with the
// entries of that instant.
type knowledge struct {
	mu sync.Mutex
	// The engine's own instance stands at the end of time in Seen: it has seen
	// all that it wrote, and need not be told.
	causal.Knowledge

	watches []*Watch
}

// sequence hands out the versions of local writes. It keeps the clock's reading
// and the one before it together: a peer that has seen the write before knows
// with the next one that it has missed none.
type sequence struct {
	mu   sync.Mutex
	last uint64 // the time of the last local write
}

// next is a new reading and the one of the local write before it.
func (q *sequence) next(c *Clock, wall int64) (reading, prev uint64, err error) {
	return q.nextOf(c, wall, 1)
}

// nextOf is the first of n new readings that follow one another.
func (q *sequence) nextOf(c *Clock, wall int64, n int) (first, prev uint64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if first, err = c.take(wall, n); err != nil {
		return 0, 0, err
	}
	prev, q.last = q.last, first+uint64(n)-1
	return first, prev, nil
}

// Progress is what the engine's instance says of itself to the others: its
// clock's reading, and the time of the last write that it issued up to then.
// Whoever has seen that write and all before it has seen everything up to the
// reading.
func (e *Engine) Progress() (clock, last uint64) {
	e.sequence.mu.Lock()
	defer e.sequence.mu.Unlock()
	return e.clock.Read(), e.sequence.last
}

// Reach takes in another instance's Progress, and reports whether this engine has
// seen all of it.
func (e *Engine) Reach(instance, clock, last uint64) bool {
	k := &e.know
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Seen.Reach(instance, last, clock)
	return k.Seen.Base.At(instance) >= clock
}

// Hidden is what goes with the pushes of this engine's writes: whoever takes
// them in must have seen as much. It covers what was hidden when the last local
// write was issued, and perhaps more.
func (e *Engine) Hidden() causal.Vector {
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	return e.know.Hidden.Clone()
}

// covers reports whether this engine has seen a write.
func (e *Engine) covers(v Version) bool {
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	return e.know.Seen.Covers(dot(v))
}

// over is what a local write names of what it replaces: see causal.Knowledge.Over. The
// shard's w must be held.
func (e *Engine) over(v Version) Version {
	if v.Instance == e.instance {
		return v
	}
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	over := e.know.Over(dot(v))
	return Version{Time: over.Time, Instance: over.Instance}
}

func dot(v Version) causal.Dot { return causal.Dot{Time: v.Time, Instance: v.Instance} }

// hide notes that a write is no longer held. The shard's w must be held.
func (e *Engine) hide(v Version) {
	e.know.mu.Lock()
	e.know.Knowledge.Purged(dot(v))
	e.know.mu.Unlock()
}

// Report is what this engine tells the others of what it has seen: see
// causal.Report. counted are the instances that count.
func (e *Engine) Report(counted []uint64) causal.Report {
	clock, _ := e.Progress()
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	r := e.know.Knowledge.Report(e.instance, clock, counted)
	r.Departed.Forget(e.instance)
	return r
}

// Seen reports whether this engine has merged or superseded a write, or knows that
// all that it would merge it with has been.
func (e *Engine) Seen(v Version) bool { return e.covers(v) }

// SeenAll reports whether this engine has seen all that o has.
func (e *Engine) SeenAll(o *causal.Seen) bool {
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	if !e.know.Seen.CoversAll(o.Base) {
		return false
	}
	for _, a := range o.Ahead {
		if !e.know.Seen.Covers(a.Dot) {
			return false
		}
	}
	return true
}
