package engine

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/internal/slab"
)

// Gone is how an engine stands to an instance whose process is gone for good, as of
// a clock reading: docs/deletes.md, Retirement of instances.
type Gone struct {
	Instance uint64
	// Place is up to which time every write of the instance has been seen; what it
	// was last, once it is retired.
	Place uint64
	// Since is a clock reading since which Place has stood still, nothing of the
	// instance was seen ahead of it, and no entry of the instance was held, dead and
	// parked ones included. 0: that is not so, or not known.
	Since uint64
	// Unnamed is a clock reading since which the instance is retired here, or nothing
	// is kept of it. 0: it is named.
	Unnamed uint64
}

// goneList is the instances that are gone and not yet forgotten. Its lock comes
// after a shard's w and before that of the knowledge.
type goneList struct {
	watched atomic.Bool // all is not empty
	mu      sync.Mutex
	all     []goneInstance // by instance
	pass    gonePass
}

type goneInstance struct {
	Gone
	passing bool // the pass under way goes for it
	came    bool // an entry of it was met, or came, in that pass
	none    bool // a whole pass has met none, and none has come since
}

// gonePass goes over all records, in the order of their positions.
type gonePass struct {
	active bool
	keyed  *keyed // positions are those of this digest key
	next   uint64 // the position where it goes on
}

func (l *goneList) find(instance uint64) (int, bool) {
	return slices.BinarySearchFunc(l.all, instance, func(g goneInstance, id uint64) int { return cmp.Compare(g.Instance, id) })
}

// WatchGone has the engine know from now on how it stands to an instance that is
// gone. It costs writes of the engine's own nothing, and merges a look at a list.
func (e *Engine) WatchGone(instance uint64) {
	l := &e.gone
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.find(instance); !ok {
		l.all = slices.Insert(l.all, i, goneInstance{Gone: Gone{Instance: instance}})
		l.watched.Store(true)
	}
}

// cameLocked notes an entry of a gone instance. mu must be held.
func (l *goneList) cameLocked(instance uint64) {
	if i, ok := l.find(instance); ok {
		l.all[i].came, l.all[i].none, l.all[i].Since = true, false, 0
	}
}

// noteGone notes an entry that is stored or parked. A shard's w may be held.
func (e *Engine) noteGone(v Version) {
	if v.Instance == e.instance || !e.gone.watched.Load() {
		return
	}
	e.gone.mu.Lock()
	e.gone.cameLocked(v.Instance)
	e.gone.mu.Unlock()
}

// gonePart is about how many records a pass looks at under one hold of a shard's
// lock.
const gonePart = 256

// SeekGone looks at about so many records more, whether they are of instances that
// are gone. A pass over all of them that meets none of an instance, while none
// comes, shows that none is held. Nothing is looked at while all is known. begun
// reports whether a pass is under way, ended whether it is over. SeekGone and Unpark must not overlap: an entry
// that is about to be merged is parked no longer, and not yet stored.
func (e *Engine) SeekGone(records int) (begun, ended bool) {
	l := &e.gone
	if !l.watched.Load() || !l.begins(e) {
		return false, false
	}
	for records > 0 {
		n, more := e.seekPart()
		if records -= n + 1; !more || l.vain() {
			e.endPass()
			return true, true
		}
	}
	return true, false
}

// begins reports whether a pass is under way, and begins one if it is wanted.
func (l *goneList) begins(e *Engine) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pass.active {
		return true
	}
	for i := range l.all {
		g := &l.all[i]
		g.came, g.passing = false, !g.none && g.Unnamed == 0
		l.pass.active = l.pass.active || g.passing
	}
	l.pass.keyed, l.pass.next = e.keyed.Load(), 0
	return l.pass.active
}

// vain reports whether entries of all that the pass goes for have been met.
func (l *goneList) vain() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.all {
		if g := &l.all[i]; g.passing && !g.came {
			return false
		}
	}
	return true
}

// seekPart looks at the next records of the pass, all of one shard.
func (e *Engine) seekPart() (looked int, more bool) {
	l := &e.gone
	l.mu.Lock()
	from := l.pass.next
	l.mu.Unlock()
	s := &e.shards[shardOf(from)]
	s.w.Lock()
	defer s.w.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := e.keyed.Load(); k != l.pass.keyed { // records have moved
		l.pass.keyed, l.pass.next = k, 0
		return 0, true
	}
	end := lastOf(shardOf(from))
	if used := uint64(s.table.used); used > gonePart {
		if up := (from + gonePart*(math.MaxUint64>>shardBits/used)) | tagMask; up > from && up < end {
			end = up
		}
	}
	s.between(from, end, func(ref slab.Ref) {
		looked++
		if id := e.slab.at(ref).version().Instance; id != e.instance {
			l.cameLocked(id)
		}
	})
	l.pass.next = end + 1
	return looked, l.pass.next != 0
}

// endPass notes of which instances nothing is held.
func (e *Engine) endPass() {
	parked := e.parking.instances()
	l := &e.gone
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass = gonePass{}
	for i := range l.all {
		if g := &l.all[i]; g.passing {
			g.passing, g.none = false, !g.came && !parked[g.Instance]
		}
	}
}

// Gone is a clock reading, and how the engine stands to each watched instance as of
// that reading, by instance. busy says of which something is still on its way here.
// now is the wall time in ms.
//
// What has begun to hold gets a reading of its own, above all that the clock has
// seen: whatever this engine sent before is below it.
func (e *Engine) Gone(now int64, busy func(instance uint64) bool) (reading uint64, all []Gone) {
	reading = e.clock.Read()
	l := &e.gone
	if !l.watched.Load() {
		return reading, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var fresh uint64
	since := func() uint64 {
		if fresh == 0 {
			fresh, _ = e.clock.take(now, 1) // zero if the clock is too far ahead: a later time
		}
		return fresh
	}
	for i := range l.all {
		g := &l.all[i]
		place, ahead, named := e.standing(g.Instance)
		switch {
		case named:
			g.Unnamed = 0
			if !g.none || ahead || busy(g.Instance) {
				g.Since = 0
			} else if g.Since == 0 || g.Place != place {
				g.Since = since()
			}
			g.Place = place
		case g.Unnamed == 0:
			g.Unnamed = since()
		}
		all = append(all, g.Gone)
	}
	if fresh != 0 {
		reading = e.clock.Read()
	}
	return reading, all
}

// standing is what is kept of an instance.
func (e *Engine) standing(instance uint64) (place uint64, ahead, named bool) {
	k := &e.know
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.Seen.Base.At(instance), k.Seen.AheadOf(instance), k.Names(instance)
}

// Names reports whether anything is kept of an instance that is not retired.
func (e *Engine) Names(instance uint64) bool {
	_, _, named := e.standing(instance)
	return named
}

// SeenAhead reports whether something of an instance was seen ahead of a gap.
func (e *Engine) SeenAhead(instance uint64) bool {
	_, ahead, _ := e.standing(instance)
	return ahead
}

// Named are the instances of which anything is kept that are not retired. One may
// be there twice.
func (e *Engine) Named() (ids []uint64) {
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	for _, v := range []causal.Vector{e.know.Seen.Base, e.know.Hidden} {
		for _, d := range v {
			ids = append(ids, d.Instance)
		}
	}
	for _, a := range e.know.Seen.Ahead {
		ids = append(ids, a.Instance)
	}
	return ids
}

// KeepNamed drops from s all instances of which nothing is kept here.
func (e *Engine) KeepNamed(s *causal.Seen) {
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	e.know.KeepNamed(s)
}

// Retire drops what is known of a watched instance: see causal.Knowledge.Retire for
// when it may. The instance is watched on.
func (e *Engine) Retire(instance uint64) {
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	e.know.Retire(instance)
}

// ForgetGone ends the watch of an instance, and the last word on it: see
// causal.Knowledge.Forget.
func (e *Engine) ForgetGone(instance uint64) {
	l := &e.gone
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.find(instance); ok {
		l.all = slices.Delete(l.all, i, i+1)
		l.watched.Store(len(l.all) > 0)
	}
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	e.know.Forget(instance)
}
