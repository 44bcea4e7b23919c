package engine

import (
	"cmp"
	"math"
	"slices"

	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/internal/slab"
)

// deadList is the dead records of a shard, in no order. Each knows its place.
type deadList struct {
	refs []slab.Ref
	// oldest is a lower bound of their version times: nothing below it can be
	// purged here.
	oldest uint64
	rest   int // see worthIt
}

func (l *deadList) add(rec records, ref slab.Ref) {
	r := rec.at(ref)
	if t := r.version().Time; len(l.refs) == 0 || t < l.oldest {
		l.oldest = t
	}
	r.setPlace(len(l.refs))
	l.refs = append(l.refs, ref)
}

func (l *deadList) remove(rec records, r record) {
	at, last := r.place(), len(l.refs)-1
	moved := l.refs[last]
	l.refs[at] = moved
	rec.at(moved).setPlace(at)
	r.setPlace(-1)
	l.refs = l.refs[:last]
	switch {
	case last == 0:
		*l = deadList{}
	case cap(l.refs) > 16 && last < cap(l.refs)/4:
		l.refs = append(make([]slab.Ref, 0, cap(l.refs)/2), l.refs...)
	}
}

// restAfterVain is how many times PurgeBeyond passes a list over in which it found
// nothing to purge.
const restAfterVain = 40

// worthIt reports whether PurgeBeyond is to look, and tried notes what it purged.
func (l *deadList) worthIt() bool {
	l.rest = max(l.rest-1, 0)
	return l.rest == 0
}

func (l *deadList) tried(purged int) {
	if purged == 0 {
		l.rest = restAfterVain
	}
}

// renew makes oldest exact.
func (l *deadList) renew(rec records) {
	l.oldest = math.MaxUint64
	for _, ref := range l.refs {
		l.oldest = min(l.oldest, rec.at(ref).version().Time)
	}
}

// oldestOf lists the n oldest of those whose versions have been seen, or all of these.
func (l *deadList) oldestOf(rec records, seen func(Version) bool, n int) []slab.Ref {
	var all []slab.Ref
	for _, ref := range l.refs {
		if seen(rec.at(ref).version()) {
			all = append(all, ref)
		}
	}
	slices.SortFunc(all, func(a, b slab.Ref) int {
		return cmp.Compare(rec.at(a).version().Time, rec.at(b).version().Time)
	})
	return all[:min(n, len(all))]
}

// purgeBatch is how many dead records are looked at under one hold of a shard's
// lock.
const purgeBatch = 256

// Purge forgets the dead entries that may go by causal.Knowledge.Purgeable, and
// hides them: a push of theirs that is still on its way is ignored. own is what
// this engine last reported, others what the other members that count did;
// counts tells which instances count. It returns how many went.
func (e *Engine) Purge(own causal.Report, others []causal.Report, counts func(instance uint64) bool) int {
	least := own.Least
	for i := range others {
		least = min(least, others[i].Least)
	}
	may := func(v Version) bool {
		e.know.mu.Lock()
		defer e.know.mu.Unlock()
		return e.know.Purgeable(dot(v), counts(v.Instance), own, others)
	}
	done := 0
	for i := range e.shards {
		done += e.purgeShard(&e.shards[i], least, may)
	}
	return done
}

// purgeShard purges what may go of the dead entries up to a time.
func (e *Engine) purgeShard(s *shard, upto uint64, may func(Version) bool) int {
	done := 0
	for from := 0; ; {
		s.w.Lock()
		if len(s.dead.refs) == 0 || s.dead.oldest > upto {
			s.w.Unlock()
			return done
		}
		k := e.keyed.Load()
		for n := 0; n < purgeBatch && from < len(s.dead.refs); n++ {
			r := e.slab.at(s.dead.refs[from])
			v := r.version()
			if v.Time > upto || !may(v) {
				from++
				continue
			}
			key := r.keyView()
			p := e.placeOf(s, k, k.hasher.Position(key), key)
			e.letGoLocked(&p) // another one takes its place in the list
			done++
		}
		if from >= len(s.dead.refs) {
			s.dead.renew(e.slab)
			s.w.Unlock()
			return done
		}
		s.w.Unlock()
	}
}

// PurgeBeyond forgets the dead entries beyond some number, the oldest of each shard
// first, and hides them. It goes shard by shard: each keeps its part of most, and a
// sixteenth less once it is over that. What was merged and not seen yet stays: it is all
// that this engine knows of the delete. Nothing comes back for the rest, as Seen stays; but a
// put that such a delete had not seen, and that is lower and comes later, lives. It
// returns how many went.
func (e *Engine) PurgeBeyond(most int) int {
	each, done := most/shardCount, 0
	for i := range e.shards {
		s := &e.shards[i]
		s.w.Lock()
		if beyond := len(s.dead.refs) - each; beyond > 0 && s.dead.worthIt() {
			beyond += each / 16
			k := e.keyed.Load()
			oldest := s.dead.oldestOf(e.slab, e.covers, beyond)
			for _, ref := range oldest {
				key := e.slab.at(ref).keyView()
				p := e.placeOf(s, k, k.hasher.Position(key), key)
				e.letGoLocked(&p)
			}
			s.dead.renew(e.slab)
			s.dead.tried(len(oldest))
			done += len(oldest)
		}
		s.w.Unlock()
	}
	return done
}

// DeadAfter counts the dead entries whose version is later than a clock reading:
// those that wait for somebody who has seen everything up to it and no further.
func (e *Engine) DeadAfter(reading uint64) (n uint64) {
	for i := range e.shards {
		s := &e.shards[i]
		s.w.Lock()
		if s.dead.oldest > reading {
			n += uint64(len(s.dead.refs))
		} else {
			for _, ref := range s.dead.refs {
				if e.slab.at(ref).version().Time > reading {
					n++
				}
			}
		}
		s.w.Unlock()
	}
	return n
}

// DeadParts is in how many parts Dead hands the dead entries out.
const DeadParts = shardCount

// Dead appends the dead entries of a part, from zero on, in no order.
func (e *Engine) Dead(part int, dst []Entry) []Entry {
	s := &e.shards[part]
	s.w.Lock()
	defer s.w.Unlock()
	for _, ref := range s.dead.refs {
		r := e.slab.at(ref)
		ent := r.entry()
		ent.Key = string(r.key())
		dst = append(dst, ent)
	}
	return dst
}
