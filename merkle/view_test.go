package merkle

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whether parts are added up from ranges or from entries, they come out the same.
func TestPartsAreWhatTheirEntriesComeTo(t *testing.T) {
	for _, n := range []int{0, 10, 3000} {
		s := newStore(1, sharedKey)
		fill(n, s)
		r := NewRound(RoundConfig{Source: s})
		r.own.count = uint64(n)
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		for range 500 {
			k := uint8(1 + rng.IntN(maxFanBits))
			c := cut{bits: uint8(rng.IntN(positionBits + 1 - int(k)))}
			if rng.IntN(4) > 0 {
				c.bits %= 14
			}
			c.first = rng.Uint64() &^ c.below()
			var want, got [Fanout]Node
			held := 0
			for _, row := range s.rows {
				if c.contains(row.pos) {
					want[c.index(k, row.pos)].add(row.digest, 1)
					held++
				}
			}
			name := fmt.Sprintf("n=%d cut=%s k=%d", n, c, k)
			r.sumRanges(c, k, &got)
			require.Equal(t, want, got, name)
			items, read := r.parts(c, k, &got, nil)
			require.Equal(t, want, got, name)
			if read {
				require.Len(t, items, held, name)
			}
			items, read = r.read(c, nil, 0)
			if held <= 4*pageSize {
				require.True(t, read, name)
			}
			if read {
				require.Len(t, items, held, name)
			}
		}
	}
}

func TestACrowdedPositionIsNotReadWhole(t *testing.T) {
	s := newStore(1, sharedKey)
	s.position = func(key string) uint64 { return uint64(len(key)) << 40 }
	for i := range 5000 {
		s.put(fmt.Sprintf("%0*d", 4+i%8, i), "v")
	}
	r := NewRound(RoundConfig{Source: s})
	r.own.count = 4
	_, read := r.read(cut{}, nil, 4)
	require.False(t, read)
	var got [Fanout]Node
	_, read = r.parts(cut{}, 4, &got, nil)
	require.False(t, read)
	require.Equal(t, uint64(5000), got[0].Count)
}
