package merkle

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHalfBytesComeBackAsTheyWere(t *testing.T) {
	type item struct {
		v    uint64
		size int
	}
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.Custom(func(t *rapid.T) item {
			size := rapid.IntRange(1, 16).Draw(t, "size")
			return item{rapid.Uint64().Draw(t, "v") >> (64 - 4*size), size}
		})).Draw(t, "items")
		var w nibbles
		for _, it := range items {
			w.put(it.v, it.size)
		}
		r := newNibbleReader(w.b, w.odd)
		for _, it := range items {
			require.True(t, r.more())
			require.Equal(t, it.v, r.take(it.size))
		}
		require.False(t, r.more())
		require.NoError(t, r.err)
		require.Zero(t, r.take(1))
		require.ErrorIs(t, r.err, errShort)
	})
}

// What is said comes back as it was meant, and nothing is left over.
func TestStatementsComeBackAsTheyWereMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w nibbles
		reader := func() *nibbleReader {
			r := newNibbleReader(w.b, w.odd)
			return &r
		}
		done := func(r *nibbleReader) {
			require.NoError(t, r.err)
			require.False(t, r.more())
			w.reset()
		}
		some := func(n int, least uint64) uint64 {
			return rapid.Uint64Range(least, 1<<n-1).Draw(t, "set")
		}

		k := uint8(rapid.IntRange(1, maxFanBits).Draw(t, "k"))
		set := some(1<<k, 1)
		w.putParts(set, k)
		r := reader()
		require.Equal(t, set, r.takeParts(r.take(1), k))
		done(r)

		wide := rapid.Bool().Draw(t, "wide")
		n := rapid.IntRange(1, maxPrints).Draw(t, "n")
		if wide {
			n = min(n, maxWide)
		}
		w.putList(n, wide)
		r = reader()
		gotN, gotWide := r.takeList(r.take(1))
		require.Equal(t, n, gotN)
		require.Equal(t, wide, gotWide)
		done(r)

		set = some(n, 0)
		w.putWant(set, n)
		r = reader()
		if code := r.take(1); set == 0 {
			require.Equal(t, uint64(answerSame), code)
		} else {
			require.Equal(t, set, r.takeWant(code, n))
		}
		done(r)

		set = some(n, 1)
		m := rapid.IntRange(1, maxHeaders).Draw(t, "m")
		h := header{tag: uint16(rapid.IntRange(0, 0xff).Draw(t, "tag")), age: uint32(rapid.IntRange(0, 0xfffff).Draw(t, "age"))}
		w.putHeads(set, n, m)
		for range m {
			w.putHeader(h, m)
		}
		r = reader()
		gotSet, gotM := r.takeHeads(r.take(1), n)
		require.Equal(t, set, gotSet)
		require.Equal(t, m, gotM)
		for range m {
			require.Equal(t, h, r.takeHeader(m))
		}
		done(r)

		c := drawCut(t)
		w.putCut(c)
		r = reader()
		require.Equal(t, c, r.takeCut())
		done(r)
	})
}
