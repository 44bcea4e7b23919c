package merkle

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRoundsMakeBothSidesEqual(t *testing.T) {
	for _, n := range []int{0, 1, 5, 16, 17, 100, 3000} {
		for _, d := range []int{1, 2, 16, 17, 40, 500} {
			for seed := range uint64(4) {
				t.Run(fmt.Sprintf("n=%d/d=%d/seed=%d", n, d, seed), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(seed, uint64(n*1000+d)))
					a, b := newStore(1, sharedKey), newStore(2, sharedKey)
					fill(n, a, b)
					diverge(rng, d, n, a, b)
					require.LessOrEqual(t, converge(t, a, b, seed, RoundConfig{}), 3)
				})
			}
		}
	}
}

// diverge makes d differences: missing here, missing there, newer here, newer
// there, the same version with another value.
func diverge(rng *rand.Rand, d, n int, a, b *store) {
	for i := range d {
		key := fmt.Sprintf("new-%05d", i)
		if n > 0 && rng.IntN(2) == 0 {
			key = fmt.Sprintf("key-%07d", rng.IntN(n))
		}
		at := uint64(n) + 1 + rng.Uint64N(50)
		switch rng.IntN(5) {
		case 0:
			a.putAt(at, key, fmt.Sprint("a", i))
		case 1:
			b.putAt(at, key, fmt.Sprint("b", i))
		case 2:
			a.putAt(at, key, fmt.Sprint("a", i))
			b.putAt(at+1, key, fmt.Sprint("b", i))
		case 3:
			a.putAt(at+1, key, fmt.Sprint("a", i))
			b.putAt(at, key, fmt.Sprint("b", i))
		default:
			a.merge(&row{key: key, value: fmt.Sprint("a", i), time: at, instance: 50})
			b.merge(&row{key: key, value: fmt.Sprint("b", i), time: at, instance: 50})
		}
	}
}

func TestAnyInterleavingOfFramesEndsTheSame(t *testing.T) {
	for seed := range uint64(80) {
		rng := rand.New(rand.NewPCG(seed, 5))
		a, b := newStore(1, sharedKey), newStore(2, sharedKey)
		n := rng.IntN(800)
		fill(n, a, b)
		diverge(rng, 1+rng.IntN(300), n, a, b)
		want := union(a, b)
		c := RoundConfig{MaxFrame: 1 + rng.IntN(2000), Window: 1 + rng.IntN(60)}
		for round := 0; ; round++ {
			require.Less(t, round, 4, "seed %d", seed)
			k := newTalk(t, a, b, rng.Uint64(), c)
			k.runRandomly(rng)
			if k.a.Stats().Converged {
				break
			}
		}
		a.want(t, want)
		b.want(t, want)
	}
}

func TestDisjointSetsAreExchanged(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	for i := range 5000 {
		a.put(fmt.Sprint("a-", i), "v")
		b.put(fmt.Sprint("b-", i), "v")
	}
	require.LessOrEqual(t, converge(t, a, b, 1, RoundConfig{}), 4)
}

func TestFewDifferencesAmongManyCostLittle(t *testing.T) {
	const n = 100_000
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(n, a, b)
	for _, tc := range []struct{ d, limit int }{{1, 250}, {10, 800}, {1000, 24_000}} {
		worst, total, rounds := 0, 0, 0
		for seed := range uint64(5) {
			rng := rand.New(rand.NewPCG(seed, uint64(tc.d)))
			for i := range tc.d {
				s := a
				if i%2 == 1 {
					s = b
				}
				if i%4 < 2 {
					s.put(fmt.Sprint("new-", tc.d, "-", seed, "-", i), "v")
				} else {
					s.put(fmt.Sprintf("key-%07d", rng.IntN(n)), "v")
				}
			}
			bytes := 0
			for converged := false; !converged; rounds++ {
				k := newTalk(t, a, b, rng.Uint64(), RoundConfig{})
				k.run()
				converged = k.a.Stats().Converged
				bytes += k.digestBytes()
				require.Less(t, k.digestBytes(), tc.limit, "d=%d seed=%d", tc.d, seed)
			}
			worst, total = max(worst, bytes), total+bytes
		}
		t.Logf("d=%d: %d bytes until the roots agree, %d at worst, %.1f a difference, %d rounds for 5", tc.d, total/5, worst, float64(total)/5/float64(tc.d), rounds)
	}
}

func TestWritesDuringARoundAreNoHarm(t *testing.T) {
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 9))
		a, b := newStore(1, sharedKey), newStore(2, sharedKey)
		n := 500 + rng.IntN(1500)
		fill(n, a, b)
		diverge(rng, 200, n, a, b)
		c := RoundConfig{MaxFrame: 100 + rng.IntN(1000), Window: 1 + rng.IntN(100)}
		k := newTalk(t, a, b, rng.Uint64(), c)
		k.between = func() {
			for i, s := range []*store{a, b} {
				switch rng.IntN(4) {
				case 0:
					s.put(fmt.Sprintf("key-%07d", rng.IntN(n)), fmt.Sprint("during", i, rng.Uint32()))
				case 1:
					s.put(fmt.Sprint("during-", rng.IntN(200)), fmt.Sprint(i, rng.Uint32()))
				}
			}
		}
		k.runRandomly(rng)
		require.LessOrEqual(t, converge(t, a, b, seed, RoundConfig{}), 3, "seed %d", seed)
	}
}

func TestMoreRangesThanTheWindowWait(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	for i := range 4000 {
		a.put(fmt.Sprint("a-", i), "v")
		b.put(fmt.Sprint("b-", i), "v")
	}
	want := union(a, b)
	k := newTalk(t, a, b, 5, RoundConfig{Window: 8})
	k.run()
	require.LessOrEqual(t, k.maxClaims, 8+windowSlack)
	require.Positive(t, k.maxLater)
	require.Less(t, k.maxLater, 8*MaxDepth)
	if !k.a.Stats().Converged {
		converge(t, a, b, 6, RoundConfig{Window: 8})
	}
	a.want(t, want)
	b.want(t, want)
}

func TestRefusedEntriesLeaveTheRootsApart(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(200, a, b)
	a.put("too new", "v")
	a.put("fine", "v")
	b.refuse = func(key string) bool { return key == "too new" }
	k := newTalk(t, a, b, 1, RoundConfig{})
	k.run()
	require.Equal(t, uint64(1), k.b.Stats().Refused)
	require.Equal(t, uint64(1), k.b.Stats().Applied)
	require.False(t, k.a.Stats().Converged)
	require.False(t, k.b.Stats().Converged)
	b.refuse = nil
	require.Equal(t, 1, converge(t, a, b, 2, RoundConfig{}))
}

func TestKeysOfOnePositionAreToldApart(t *testing.T) {
	for _, n := range []int{2, 10, 40} {
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			a, b := newStore(1, sharedKey), newStore(2, sharedKey)
			crowd := func(key string) uint64 { return uint64(len(key)%3) << 60 } // three positions in all
			a.position, b.position = crowd, crowd
			for i := range n {
				key := fmt.Sprintf("k%0*d", 1+i%3, i)
				for _, s := range []*store{a, b} {
					if rng.IntN(3) > 0 {
						s.put(key, fmt.Sprint(s.instance, rng.Uint32()))
					}
				}
			}
			require.LessOrEqual(t, converge(t, a, b, seed, RoundConfig{}), 3)
		}
	}
}

// Rounds of one node with several others run side by side, in any order and
// with keys that change under them. Each ends well or with ErrKeyChanged, and
// repeating them ends in one root under the oldest key.
func TestRoundsSideBySideConverge(t *testing.T) {
	changed := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 8))
		var stores []*store
		for i := range 3 {
			s := newStore(uint64(i+1), Key{Created: rng.Uint64N(3), Secret: [16]byte{byte(rng.Uint32())}})
			fill(rng.IntN(300), s)
			for j := range 50 {
				s.put(fmt.Sprint("own-", rng.IntN(100)), fmt.Sprint(i, j))
			}
			stores = append(stores, s)
		}
		want := union(stores...)
		equal := false
		for attempt := 0; !equal; attempt++ {
			require.Less(t, attempt, 8, "seed %d", seed)
			var talks []*talk
			for a := range stores {
				for b := range stores {
					if a != b {
						c := RoundConfig{MaxFrame: 300, Window: 20}
						talks = append(talks, newTalk(t, stores[a], stores[b], rng.Uint64(), c))
					}
				}
			}
			for len(talks) > 0 {
				i := rng.IntN(len(talks))
				over, err := talks[i].once()
				if err != nil {
					require.ErrorIs(t, err, ErrKeyChanged)
					changed++
				}
				if over || err != nil {
					talks = append(talks[:i], talks[i+1:]...)
				}
			}
			root, _ := stores[0].Root()
			equal = true
			for _, s := range stores[1:] {
				r, _ := s.Root()
				equal = equal && r == root && s.key == stores[0].key
			}
		}
		for _, s := range stores {
			s.want(t, want)
		}
	}
	require.Positive(t, changed, "the fault struck")
}

// once passes one frame in either direction.
func (k *talk) once() (over bool, err error) {
	for _, way := range [][2]*side{{k.a, k.b}, {k.b, k.a}} {
		if frame, ok := way[0].Next(nil); ok {
			return false, way[1].Receive(frame)
		}
		if err := way[0].Err(); err != nil {
			return true, err
		}
	}
	if !k.a.Done() || !k.b.Done() {
		k.t.Errorf("both sides wait")
	}
	return true, nil
}
