package causal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Two nodes that lack the first write of an instance each, and have as much of what
// came after it as they may, tell each other. What they know then is said and read
// as before.
func TestWhatTwoNodesKnowAheadTogetherGoesOverTheWire(t *testing.T) {
	var a, b Knowledge
	for i := range uint64(MaxAhead) {
		require.Equal(t, Replaces, a.Judge(&Push{Write: Dot{10 + 3*i, 7}, Prev: 9 + 3*i}, Dot{}))
		require.Equal(t, Replaces, b.Judge(&Push{Write: Dot{10 + 3*i, 8}, Prev: 9 + 3*i}, Dot{}))
	}
	require.Equal(t, Held, a.Judge(&Push{Write: Dot{1 << 20, 7}, Prev: 1<<20 - 1}, Dot{}), "it is full")
	a.Accept(&b)
	k, rest, err := ParseKnowledge(a.AppendTo(nil))
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, a, k)
}

func TestAStatementThatThereIsNoRoomForChangesNothing(t *testing.T) {
	of := func(instance uint64, n int) (k Knowledge) {
		for i := range uint64(n) {
			k.Seen.Ahead = append(k.Seen.Ahead, Ahead{Dot{10 + 3*i, instance}, 9 + 3*i})
		}
		return k
	}
	a, b, c := of(7, mostAhead/2), of(8, mostAhead/2), of(9, 1)
	require.True(t, a.Accept(&b))
	before := a.Clone()
	require.False(t, a.Accept(&c))
	require.Equal(t, before, a)
	require.True(t, a.Accept(&b), "it has all of that")
	b.Seen.Base.Raise(Dot{9, 7})
	require.True(t, a.Accept(&b), "what was missing makes room")
	require.True(t, a.Accept(&c))
}

// A node that lacks one write of an instance, and gets all that it writes after
// it, in any order, has one run of them.
func TestWritesThatFollowEachOtherAreOneRun(t *testing.T) {
	var s Seen
	s.Base.Raise(Dot{5, 7})
	for _, i := range []uint64{3, 1, 2, 4, 0, 6} {
		s.Take(Dot{20 + 10*i, 7}, 10+10*i)
	}
	require.Equal(t, []Ahead{{Dot{60, 7}, 10}, {Dot{80, 7}, 70}}, s.Ahead)
	require.True(t, s.Covers(Dot{40, 7}))
	require.False(t, s.Covers(Dot{70, 7}))
	require.False(t, s.Covers(Dot{10, 7}))
	s.Take(Dot{70, 7}, 60)
	require.Equal(t, []Ahead{{Dot{80, 7}, 10}}, s.Ahead)
	s.Take(Dot{10, 7}, 5)
	require.Empty(t, s.Ahead)
	require.Equal(t, uint64(80), s.Base.At(7))
}
