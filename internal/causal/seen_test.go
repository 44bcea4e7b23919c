package causal

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// issued draws a few instances' writes, each with the time of the one before.
func issued(t *rapid.T) []Ahead {
	var all []Ahead
	for instance := range uint64(3) {
		var last uint64
		for range rapid.IntRange(0, 6).Draw(t, "writes") {
			d := Dot{last + rapid.Uint64Range(1, 4).Draw(t, "apart"), instance + 1}
			all = append(all, Ahead{d, last})
			last = d.Time
		}
	}
	return all
}

// checkSeen compares what has been taken with what a Seen says: it covers these
// writes and no other, and its vector stands at the last one before a gap.
func checkSeen(t require.TestingT, s *Seen, all []Ahead, taken map[Dot]bool) {
	gap := map[uint64]bool{}
	base := map[uint64]uint64{}
	for _, a := range all {
		require.Equal(t, taken[a.Dot], s.Covers(a.Dot), "%v in %v", a, s)
		if gap[a.Instance] = gap[a.Instance] || !taken[a.Dot]; !gap[a.Instance] {
			base[a.Instance] = a.Time
		}
	}
	for instance := range uint64(4) {
		require.Equal(t, base[instance], s.Base.At(instance))
	}
	require.True(t, slices.IsSortedFunc(s.Base, func(a, b Dot) int { return int(a.Instance) - int(b.Instance) }))
}

func take(t *rapid.T, all []Ahead) (Seen, map[Dot]bool) {
	var s Seen
	taken := map[Dot]bool{}
	for _, a := range rapid.Permutation(all).Draw(t, "order") {
		if rapid.Bool().Draw(t, "arrives") {
			s.Take(a.Dot, a.Prev)
			taken[a.Dot] = true
			s.Take(a.Dot, a.Prev)
		}
	}
	return s, taken
}

func TestSeenCoversWhatWasTakenInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := issued(t)
		s, taken := take(t, all)
		checkSeen(t, &s, all, taken)
	})
}

func TestMergedSeenCoversBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := issued(t)
		a, takenA := take(t, all)
		b, takenB := take(t, all)
		ab, ba := a.Clone(), b.Clone()
		ab.Merge(&b)
		ba.Merge(&a)
		checkSeen(t, &a, all, takenA)
		for d := range takenB {
			takenA[d] = true
		}
		checkSeen(t, &ab, all, takenA)
		checkSeen(t, &ba, all, takenA)
		again := ab.Clone()
		again.Merge(&b)
		require.Equal(t, ab, again)
	})
}

func TestAProbeMovesTheVectorOverWhatWasNeverWritten(t *testing.T) {
	var s Seen
	s.Take(Dot{5, 1}, 0)
	s.Reach(1, 5, 9)
	require.Equal(t, uint64(9), s.Base.At(1))
	s.Reach(1, 12, 20)
	require.Equal(t, uint64(9), s.Base.At(1), "the write at 12 is still to come")
	s.Take(Dot{12, 1}, 5)
	s.Reach(1, 12, 20)
	require.Equal(t, uint64(20), s.Base.At(1))
	s.Reach(1, 12, 15)
	require.Equal(t, uint64(20), s.Base.At(1), "a late probe")
}

func TestAheadIsBounded(t *testing.T) {
	var k Knowledge
	for i := range uint64(MaxAhead) {
		w := Dot{2 + 2*i, 1}
		require.Equal(t, Replaces, k.Judge(&Push{Write: w, Prev: w.Time - 1}, Dot{}))
	}
	over := &Push{Write: Dot{4*MaxAhead + 2, 1}, Prev: 4*MaxAhead + 1}
	require.Equal(t, Held, k.Judge(over, Dot{}))
	require.False(t, k.Seen.Covers(over.Write))
	require.Equal(t, Replaces, k.Judge(&Push{Write: Dot{7, 2}}, Dot{}), "in order it needs no room")
	k.Seen.Take(Dot{1, 1}, 0)
	require.Len(t, k.Seen.Ahead, MaxAhead-1)
	require.Equal(t, Replaces, k.Judge(over, Dot{}))
}

func TestForgetLeavesTheOthers(t *testing.T) {
	var s Seen
	for instance := range uint64(3) {
		s.Take(Dot{1, instance + 1}, 0)
		s.Take(Dot{5, instance + 1}, 3)
	}
	s.Forget(2)
	require.Equal(t, Seen{Base: Vector{{1, 1}, {1, 3}}, Ahead: []Ahead{{Dot{5, 1}, 3}, {Dot{5, 3}, 3}}}, s)
}

func TestVectorMergesByTheGreater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instances := make([]uint64, rapid.SampledFrom([]int{3, 40}).Draw(t, "instances")) // walked, halved
		for i := range instances {
			instances[i] = uint64(2*i + 1)
		}
		draw := func(name string) (v Vector) {
			for _, instance := range rapid.Permutation(instances).Draw(t, name) {
				v.Raise(Dot{rapid.Uint64Range(0, 5).Draw(t, name), instance})
			}
			return v
		}
		a, b := draw("a"), draw("b")
		ab, ba := a.Clone(), b.Clone()
		ab.Merge(b)
		ba.Merge(a)
		require.Equal(t, ab, ba)
		require.True(t, ab.CoversAll(a) && ab.CoversAll(b))
		for i := range uint64(2*len(instances) + 2) {
			require.Equal(t, max(a.At(i), b.At(i)), ab.At(i))
		}
		forgot := ab.Clone()
		forgot.Forget(3)
		require.Zero(t, forgot.At(3))
		require.Equal(t, ab.At(5), forgot.At(5))
		require.Equal(t, a.CoversAll(b), len(ab) == len(a) && slices.Equal(a, ab))
	})
}

// Only a round that breaks off needs this, in histories that are too long for the
// exhaustive search.
func TestWhatARoundDropsIsHidden(t *testing.T) {
	var k Knowledge
	k.Seen.Take(Dot{3, 1}, 0)
	theirs := Seen{Base: Vector{{7, 1}}}
	require.Equal(t, Listing{Drop: true}, k.Listed(&theirs, Dot{}, Dot{3, 1}))
	require.Equal(t, Vector{{3, 1}}, k.Hidden)
	require.Equal(t, Listing{}, k.Listed(&theirs, Dot{}, Dot{8, 1}), "they have not seen it")
	require.Equal(t, Listing{Want: true}, k.Listed(&theirs, Dot{2, 2}, Dot{8, 1}))
	require.Equal(t, Listing{Drop: true, Want: true}, k.Listed(&theirs, Dot{2, 2}, Dot{6, 1}))
	require.Equal(t, Vector{{6, 1}}, k.Hidden)
	require.Equal(t, Listing{}, k.Listed(&theirs, Dot{6, 1}, Dot{6, 1}), "both hold it")
}
