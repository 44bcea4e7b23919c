package causal

import (
	"cmp"
	"slices"
)

// MaxAhead is how many runs of writes a Seen remembers beyond what its vector
// covers. It bounds memory, never what is right: a push that would need one
// more waits for a round.
const MaxAhead = 4096

// mostAhead bounds what several members have taken ahead and then told each other:
// what is read, and what Accept takes in. It takes sixteen members that are full, each
// with other writes, to come to it.
const mostAhead = 16 * MaxAhead

// Ahead is a write that came before one that its issuer wrote earlier, or a run of
// them in which each is the issuer's next: all its writes after Prev up to Time.
type Ahead struct {
	Dot
	Prev uint64 // the time of its issuer's write before the first, zero if there was none
}

// Seen is a dotted version vector (Preguiça et al., "Dotted Version Vectors",
// 2010; Malkhi and Terry's exceptions, 2005, turned round): the writes that were
// merged or superseded here. The zero Seen has seen nothing.
type Seen struct {
	// Base covers, of each instance, every write up to a time.
	Base Vector
	// Ahead are runs of writes above Base, sorted by instance, then by time. No
	// two of them touch.
	Ahead []Ahead
	// Retired are instances of which no write is left anywhere, sorted. All their
	// writes count as seen, and what others say of them is not taken in. It is not
	// told to anybody.
	Retired []uint64
}

// Covers reports whether a write has been seen. The zero Dot always has.
func (s *Seen) Covers(d Dot) bool {
	if s.Base.Covers(d) || s.retired(d.Instance) {
		return true
	}
	if broken(unknownIsSeen) && len(s.Base) > 0 && s.Base.At(d.Instance) == 0 {
		return d.Time <= slices.MinFunc(s.Base, Dot.Compare).Time
	}
	return s.runs(d)
}

// CoversAll reports whether all that v covers has been seen, as far as the vector
// tells.
func (s *Seen) CoversAll(v Vector) bool {
	for _, d := range v {
		if !s.Base.Covers(d) && !s.retired(d.Instance) {
			return false
		}
	}
	return true
}

func (s *Seen) retired(instance uint64) bool {
	if len(s.Retired) == 0 {
		return false
	}
	_, ok := slices.BinarySearch(s.Retired, instance)
	return ok
}

// runs reports whether a run covers a write.
func (s *Seen) runs(d Dot) bool {
	i := s.ahead(d)
	return i < len(s.Ahead) && s.Ahead[i].Instance == d.Instance && s.Ahead[i].Prev < d.Time
}

// ahead is where the first run is that ends with d or later.
func (s *Seen) ahead(d Dot) int {
	i, _ := slices.BinarySearchFunc(s.Ahead, d, func(a Ahead, d Dot) int {
		if c := cmp.Compare(a.Instance, d.Instance); c != 0 {
			return c
		}
		return cmp.Compare(a.Time, d.Time)
	})
	return i
}

// AheadOf reports whether anything of an instance was seen ahead of a gap.
func (s *Seen) AheadOf(instance uint64) bool {
	i := s.ahead(Dot{0, instance})
	return i < len(s.Ahead) && s.Ahead[i].Instance == instance
}

// HasRoom reports whether Take can note a write: there is room ahead, or none is
// needed.
func (s *Seen) HasRoom(d Dot, prev uint64) bool {
	return prev <= s.Base.At(d.Instance) || len(s.Ahead) < MaxAhead || s.runs(Dot{prev, d.Instance})
}

// Take notes that a write has been seen. The vector moves up to it if its issuer
// wrote nothing between prev and d that is still to come.
func (s *Seen) Take(d Dot, prev uint64) {
	if s.Covers(d) {
		return
	}
	if prev <= s.Base.At(d.Instance) || broken(noPrev) {
		s.Base.Raise(d)
		s.settle()
		return
	}
	s.Ahead = slices.Insert(s.Ahead, s.ahead(d), Ahead{d, prev})
	s.join()
}

// join makes one run of those that touch.
func (s *Seen) join() {
	joined := s.Ahead[:0]
	for _, a := range s.Ahead {
		for n := len(joined) - 1; n >= 0 && joined[n].Instance == a.Instance && joined[n].Time >= a.Prev; n-- {
			a.Prev = min(a.Prev, joined[n].Prev)
			joined = joined[:n]
		}
		joined = append(joined, a)
	}
	s.Ahead = joined
}

// Reach notes what an instance said of itself: its clock stands at now, and its
// last write so far was last. If that has been seen with all before it, so has
// everything up to now.
func (s *Seen) Reach(instance, last, now uint64) {
	if s.retired(instance) {
		return
	}
	if last <= s.Base.At(instance) || broken(probeWithoutLast) {
		s.Base.Raise(Dot{now, instance})
		s.settle()
	}
}

// Merge takes in all that o has seen.
func (s *Seen) Merge(o *Seen) {
	s.raise(&s.Base, o.Base)
	if broken(aheadAsBase) {
		for _, a := range o.Ahead {
			s.Base.Raise(a.Dot)
		}
	}
	if len(o.Ahead) > 0 {
		for _, a := range o.Ahead {
			if !s.retired(a.Instance) {
				s.Ahead = append(s.Ahead, a)
			}
		}
		slices.SortFunc(s.Ahead, compareAhead)
		s.join()
	}
	s.settle()
}

// raise makes one of a node's vectors cover another's, but for retired instances.
func (s *Seen) raise(v *Vector, with Vector) {
	for _, d := range with {
		if !s.retired(d.Instance) {
			v.Raise(d)
		}
	}
}

// joint is how many single writes would be ahead after Merge.
func (s *Seen) joint(o *Seen) int {
	if n := len(s.Ahead) + len(o.Ahead); n <= mostAhead {
		return n // at most
	}
	both := s.Clone()
	both.Merge(o)
	return len(both.Ahead)
}

func compareAhead(a, b Ahead) int {
	return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Time, b.Time))
}

// settle moves into Base what is no longer ahead of it.
func (s *Seen) settle() {
	s.Ahead = slices.DeleteFunc(s.Ahead, func(a Ahead) bool {
		if a.Prev <= s.Base.At(a.Instance) {
			s.Base.Raise(a.Dot)
		}
		return s.Base.Covers(a.Dot)
	})
}

// Forget drops all that was seen of an instance.
func (s *Seen) Forget(instance uint64) {
	s.Base.Forget(instance)
	s.Ahead = slices.DeleteFunc(s.Ahead, func(a Ahead) bool { return a.Instance == instance })
}

// retire makes one word of all that was seen of an instance.
func (s *Seen) retire(instance uint64) {
	s.Forget(instance)
	if i, ok := slices.BinarySearch(s.Retired, instance); !ok {
		s.Retired = slices.Insert(s.Retired, i, instance)
	}
}

// Clone is a copy that shares nothing with s.
func (s *Seen) Clone() Seen {
	return Seen{s.Base.Clone(), slices.Clone(s.Ahead), slices.Clone(s.Retired)}
}
