package merkle

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestChildrenPartitionTheirRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := RangeOf(rapid.Uint64().Draw(t, "pos"), uint8(rapid.IntRange(0, MaxDepth-1).Draw(t, "depth")))
		require.True(t, r.Valid())
		next := r.First()
		for i := range Fanout {
			c := r.Child(i)
			require.True(t, c.Valid())
			require.Equal(t, next, c.First())
			require.Equal(t, i, r.Index(c.First()))
			require.Equal(t, i, r.Index(c.Last()))
			require.True(t, r.Contains(c.First()) && r.Contains(c.Last()))
			require.Equal(t, c, RangeOf(c.Last(), c.Depth))
			next = c.Last() + 1
		}
		require.Equal(t, r.Last()+1, next)
	})
}

func TestTheEndsOfTheRangeSpace(t *testing.T) {
	require.Equal(t, uint64(math.MaxUint64), Range{}.Last())
	require.True(t, Range{}.Contains(0))
	one := RangeOf(42, MaxDepth)
	require.Equal(t, uint64(42), one.First())
	require.Equal(t, uint64(42), one.Last())
	require.False(t, one.Contains(43))
	require.False(t, Range{Depth: MaxDepth + 1}.Valid())
	require.False(t, Range{Prefix: 1, Depth: 15}.Valid())
}

func TestARangeIsWrittenAsItsNibbles(t *testing.T) {
	require.Equal(t, "-", Range{}.String())
	require.Equal(t, "abc", RangeOf(0xabcd<<48, 3).String())
	require.Equal(t, "000000000000002a", RangeOf(42, MaxDepth).String())
}
