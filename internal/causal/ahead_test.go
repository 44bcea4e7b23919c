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
		require.Equal(t, Replaces, a.Judge(&Push{Write: Dot{10 + i, 7}, Prev: 9 + i}, Dot{}))
		require.Equal(t, Replaces, b.Judge(&Push{Write: Dot{10 + i, 8}, Prev: 9 + i}, Dot{}))
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
			k.Seen.Ahead = append(k.Seen.Ahead, Ahead{Dot{10 + i, instance}, 9 + i})
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
