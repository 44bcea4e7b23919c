package merkle

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func digests() *rapid.Generator[Digest] {
	word := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, math.MaxUint64}))
	return rapid.Custom(func(t *rapid.T) Digest {
		return Digest{Hi: word.Draw(t, "hi"), Lo: word.Draw(t, "lo")}
	})
}

func TestDigestsFormACommutativeGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := digests().Draw(t, "a"), digests().Draw(t, "b"), digests().Draw(t, "c")
		require.Equal(t, a.Add(b), b.Add(a))
		require.Equal(t, a.Add(b).Add(c), a.Add(b.Add(c)))
		require.Equal(t, a, a.Add(Digest{}))
		require.Equal(t, a, a.Add(b).Sub(b))
		require.Equal(t, a, a.Sub(b).Add(b))
		require.True(t, a.Sub(a).IsZero())
		require.Equal(t, a == b, a.Sub(b).IsZero())
		require.Equal(t, a, DigestFrom(a.Bytes()))
		require.Len(t, a.String(), 32)
	})
}

func TestASetsDigestDoesNotDependOnOrderOrHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := rapid.SliceOf(digests()).Draw(t, "terms")
		extra := rapid.SliceOf(digests()).Draw(t, "extra")
		var want, got Digest
		for _, d := range terms {
			want = want.Add(d)
		}
		steps := append([]Digest(nil), terms...)
		for _, d := range extra { // came and went
			steps = append(steps, d, Digest{}.Sub(d))
		}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for _, i := range rng.Perm(len(steps)) {
			got = got.Add(steps[i])
		}
		require.Equal(t, want, got)
	})
}

func TestCarryAndBorrowGoBetweenTheWords(t *testing.T) {
	require.Equal(t, Digest{Hi: 1}, Digest{Lo: math.MaxUint64}.Add(Digest{Lo: 1}))
	require.Equal(t, Digest{Lo: math.MaxUint64}, Digest{Hi: 1}.Sub(Digest{Lo: 1}))
	require.Equal(t, "0000000000000001ffffffffffffffff", Digest{Hi: 1, Lo: math.MaxUint64}.String())
}

func TestKeysAreTotallyOrdered(t *testing.T) {
	keys := rapid.Custom(func(t *rapid.T) Key {
		k := Key{Created: rapid.SampledFrom([]uint64{0, 7, math.MaxUint64}).Draw(t, "created")}
		k.Secret[rapid.IntRange(0, 15).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		return k
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := keys.Draw(t, "a"), keys.Draw(t, "b"), keys.Draw(t, "c")
		require.False(t, a.Beats(a))
		if a != b {
			require.NotEqual(t, a.Beats(b), b.Beats(a))
		}
		if a.Beats(b) && b.Beats(c) {
			require.True(t, a.Beats(c))
		}
		require.Equal(t, a.Same(b), a.ID() == b.ID())
	})
	require.True(t, Key{Created: 1, Secret: [16]byte{9}}.Beats(Key{Created: 2}), "the older")
	require.True(t, Key{Created: 1}.Beats(Key{Created: math.MaxUint64}), "the settled")
}

// Nodes of different builds compare these: a change here is a new protocol.
func TestHashesStayWhatTheyAre(t *testing.T) {
	k := Key{Created: 1, Secret: [16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}
	h := NewHasher(k)
	var fixed [FixedSize]byte
	for i := range fixed {
		fixed[i] = byte(i)
	}
	require.Equal(t, uint64(0xdb079cded00af9e0), k.ID())
	require.Equal(t, uint64(0x5083d1eeba013af4), h.Position("key"))
	require.Equal(t, "755653eac557b41529d84111100b608c", h.Entry("key", &fixed).String())
	require.Equal(t, "9ce2e0533cdc5069883ee0c895e72e8f", h.Seal(Digest{Hi: 1, Lo: 2}).String())
	require.Equal(t, byte(0xfe), salt(3).partByte(cut{first: 0xabcd << 48, bits: 16}, Digest{Hi: 1, Lo: 2}))
	require.Equal(t, uint64(0x6abab794da91303d), salt(3).print(Digest{Hi: 1, Lo: 2}, true))
	require.Equal(t, uint64(0x3d), salt(3).print(Digest{Hi: 1, Lo: 2}, false))
	require.Equal(t, header{tag: 0x7c6, age: 4}, salt(3).header(&Item{Pos: 5, Time: 6}, 10, 2))
	require.Equal(t, header{tag: 0xc6, age: 4}, salt(3).header(&Item{Pos: 5, Time: 6}, 10, 1))
}

func TestEveryPartOfAnEntryCounts(t *testing.T) {
	h := NewHasher(sharedKey)
	other := NewHasher(Key{Created: sharedKey.Created, Secret: [16]byte{7, 7, 8}})
	var fixed [FixedSize]byte
	base := h.Entry("some key", &fixed)
	require.NotEqual(t, base, h.Entry("some kez", &fixed))
	require.NotEqual(t, base, other.Entry("some key", &fixed))
	require.NotEqual(t, h.Position("some key"), other.Position("some key"))
	require.NotEqual(t, base, h.Seal(base))
	for i := range fixed {
		changed := fixed
		changed[i] ^= 1
		require.NotEqual(t, base, h.Entry("some key", &changed), "byte %d", i)
	}
	// Past what fits on the stack.
	long := string(make([]byte, 4096))
	require.NotEqual(t, h.Entry(long, &fixed), h.Entry(long[1:], &fixed))
}

func TestHashingAllocatesNothing(t *testing.T) {
	h := NewHasher(sharedKey)
	var fixed [FixedSize]byte
	key := "services/web/instance-0017"
	require.Zero(t, testing.AllocsPerRun(100, func() {
		h.Position(key)
		h.Entry(key, &fixed)
	}))
}

func TestPositionsSpreadEvenly(t *testing.T) {
	h := NewHasher(sharedKey)
	var hits [256]int
	for i := range 64 * 256 {
		hits[h.Position(string([]byte{byte(i), byte(i >> 8)}))>>56]++
	}
	for stripe, n := range hits {
		require.InDelta(t, 64, n, 50, "stripe %d", stripe)
	}
}

func BenchmarkHasher(b *testing.B) {
	h := NewHasher(sharedKey)
	var fixed [FixedSize]byte
	key := "services/web/instance-0017"
	b.Run("position", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Position(key)
		}
	})
	b.Run("entry", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Entry(key, &fixed)
		}
	})
}
