package merkle

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawCut(t *rapid.T) cut {
	c := cut{bits: uint8(rapid.IntRange(0, positionBits).Draw(t, "bits"))}
	c.first = rapid.Uint64().Draw(t, "prefix") &^ c.below()
	return c
}

func TestThePartsOfACutTileIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCut(t)
		if c.bits == positionBits {
			c = cut{first: c.first &^ 0xf, bits: positionBits - 4}
		}
		k := uint8(rapid.IntRange(1, min(maxFanBits, positionBits-int(c.bits))).Draw(t, "k"))
		next := c.first
		for i := range 1 << k {
			part := c.part(k, i)
			require.True(t, part.valid())
			require.Equal(t, next, part.first)
			require.Equal(t, i, c.index(k, part.first))
			require.Equal(t, i, c.index(k, part.last()))
			require.True(t, c.contains(part.first))
			require.True(t, c.contains(part.last()))
			next = part.last() + 1
		}
		require.Equal(t, c.last()+1, next)
		cover := c.cover()
		require.True(t, cover.Valid())
		require.True(t, cover.Contains(c.first))
		require.True(t, cover.Contains(c.last()))
		require.LessOrEqual(t, cover.Depth*nibbleBits, c.bits)
	})
}

func TestTheWholeSpaceAndASinglePositionAreCuts(t *testing.T) {
	require.True(t, cut{}.valid())
	require.Equal(t, uint64(math.MaxUint64), cut{}.last())
	require.True(t, cut{}.contains(math.MaxUint64))
	one := cut{first: 5, bits: positionBits}
	require.True(t, one.valid())
	require.Equal(t, uint64(5), one.last())
	require.True(t, one.contains(5))
	require.False(t, one.contains(6))
	require.False(t, cut{bits: 65}.valid())
	require.False(t, cut{first: 1, bits: 63}.valid())
}
