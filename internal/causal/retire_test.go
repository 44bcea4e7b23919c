package causal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a retired instance wrote counts as seen, and nothing that others say brings
// it back, until it is forgotten.
func TestARetiredInstanceStaysAwayUntilItIsForgotten(t *testing.T) {
	var k, other Knowledge
	for _, n := range []*Knowledge{&k, &other} {
		n.Seen.Base = Vector{{5, 7}, {6, 8}}
		n.Hidden = Vector{{4, 7}, {6, 8}}
	}
	other.Seen.Ahead = []Ahead{{Dot{9, 7}, 8}}
	require.True(t, k.Names(7))
	k.Retire(7)
	k.Retire(7)
	require.False(t, k.Names(7))
	require.True(t, k.Names(8))
	require.Equal(t, []uint64{7}, k.Seen.Retired)

	before := k.Clone()
	require.True(t, k.Accept(&other))
	k.Seen.Reach(7, 0, 20)
	k.Purged(Dot{5, 7})
	require.Equal(t, before, k)
	push := Push{Write: Dot{10, 9}, Over: Dot{5, 7}, Hidden: Vector{{4, 7}}}
	require.Equal(t, Replaces, k.Judge(&push, Dot{}), "it does not wait for what is gone")

	read, rest, err := ParseKnowledge(k.AppendTo(nil))
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Empty(t, read.Seen.Retired, "nobody else is told")
	require.False(t, read.Names(7))

	k.Forget(7)
	require.Empty(t, k.Seen.Retired)
	require.False(t, k.Seen.Covers(Dot{5, 7}))
	require.True(t, k.Accept(&other))
	require.True(t, k.Names(7), "it is a new one, for all that is known")
}
