package merkle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEqualSetsOpenNoTurn(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(1000, a, b)
	k := newTalk(t, a, b, 1, RoundConfig{})
	k.run()
	for _, s := range []RoundStats{k.a.Stats(), k.b.Stats()} {
		require.True(t, s.Equal)
		require.True(t, s.Converged)
		require.Zero(t, s.Turns)
		require.Equal(t, s.OwnRoot, s.PeerRoot)
	}
	require.Equal(t, 2, k.frames)
	require.Less(t, k.digestBytes(), 90)
}

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

func TestAnEmptySideIsFilledInBulk(t *testing.T) {
	const n = 20_000
	for name, fullFirst := range map[string]bool{"full to empty": true, "empty to full": false} {
		t.Run(name, func(t *testing.T) {
			full, empty := newStore(1, sharedKey), newStore(2, sharedKey)
			fill(n, full)
			a, b := full, empty
			if !fullFirst {
				a, b = empty, full
			}
			k := newTalk(t, a, b, 3, RoundConfig{})
			k.run()
			require.True(t, k.a.Stats().Converged)
			empty.want(t, union(full))
			require.Zero(t, empty.ignored)
			require.Equal(t, uint64(n), k.a.Stats().EntriesSent+k.b.Stats().EntriesSent)
			require.LessOrEqual(t, k.a.Stats().Turns, 5)
			// One length byte an entry, one type byte a frame.
			require.Less(t, k.digestBytes(), n+400)
			require.LessOrEqual(t, k.maxFrame, DefaultMaxFrame+100)
			require.LessOrEqual(t, k.maxClaims, 20)
		})
	}
}

func TestANewcomersOwnWritesAreNotLostInTheBulk(t *testing.T) {
	for seed := range uint64(4) {
		full, newcomer := newStore(1, sharedKey), newStore(2, sharedKey)
		fill(15_000, full)
		for i := range 12 {
			newcomer.put(fmt.Sprint("own-", i), "v")
		}
		want := union(full, newcomer)
		k := newTalk(t, newcomer, full, seed, RoundConfig{})
		k.run()
		require.True(t, k.a.Stats().Converged, "seed %d", seed)
		full.want(t, want)
		newcomer.want(t, want)
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

func TestAStaleValueIsNotSent(t *testing.T) {
	ignored := 0
	for seed := range uint64(10) {
		a, b := newStore(1, sharedKey), newStore(2, sharedKey)
		fill(5000, a, b)
		for i := range 60 {
			a.put(fmt.Sprintf("key-%07d", i*7), "newer at a")
			b.put(fmt.Sprintf("key-%07d", 4000+i*3), "newer at b")
		}
		converge(t, a, b, seed, RoundConfig{})
		ignored += a.ignored + b.ignored
	}
	require.Zero(t, ignored)
}

func TestFewDifferencesAmongManyCostLittle(t *testing.T) {
	const n = 100_000
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(n, a, b)
	for _, tc := range []struct{ d, limit int }{{1, 400}, {10, 3000}, {1000, 80_000}} {
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

func TestTheOlderKeyWinsWhoeverOpens(t *testing.T) {
	older := Key{Created: 5, Secret: [16]byte{9}}
	younger := Key{Created: 6, Secret: [16]byte{1}}
	twin := Key{Created: 5, Secret: [16]byte{10}}
	unsettled := Key{Created: math.MaxUint64, Secret: [16]byte{0}}
	for _, tc := range []struct {
		name       string
		a, b, wins Key
		frames     int // of two equal sets
	}{
		{"responder younger", older, younger, older, 4},
		{"responder older", younger, older, older, 4},
		{"one age, initiator wins", older, twin, older, 4},
		{"one age, responder wins", twin, older, older, 4},
		{"responder not settled", older, unsettled, older, 4},
		{"initiator not settled", unsettled, older, older, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, differ := range []bool{false, true} {
				a, b := newStore(1, tc.a), newStore(2, tc.b)
				fill(300, a, b)
				if differ {
					a.put("x", "1")
					b.put("y", "1")
				}
				want := union(a, b)
				k := newTalk(t, a, b, 77, RoundConfig{})
				k.run()
				require.Equal(t, tc.wins, a.key)
				require.Equal(t, tc.wins, b.key)
				require.Equal(t, 1, a.rekeyed+b.rekeyed)
				require.Equal(t, a.rekeyed == 1, k.a.Stats().Rekeyed)
				require.Equal(t, b.rekeyed == 1, k.b.Stats().Rekeyed)
				require.True(t, k.a.Stats().Converged)
				require.True(t, k.b.Stats().Converged)
				if !differ {
					require.Equal(t, tc.frames, k.frames)
				}
				a.want(t, want)
				b.want(t, want)
			}
		})
	}
}

func TestOneSecretOfTwoAgesTakesTheLower(t *testing.T) {
	settled := Key{Created: 5, Secret: [16]byte{9}}
	early := Key{Created: math.MaxUint64, Secret: [16]byte{9}}
	for _, differ := range []bool{false, true} {
		for _, keys := range [][2]Key{{settled, early}, {early, settled}} {
			a, b := newStore(1, keys[0]), newStore(2, keys[1])
			if differ {
				a.put("x", "1")
			}
			k := newTalk(t, a, b, 77, RoundConfig{})
			k.run()
			require.Equal(t, settled, a.key)
			require.Equal(t, settled, b.key)
			require.Zero(t, a.rekeyed+b.rekeyed)
			require.True(t, k.b.Stats().Converged)
		}
	}
}

func TestAKeyReplacedMeanwhileEndsTheRound(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(500, a, b)
	a.put("x", "1")
	k := newTalk(t, a, b, 1, RoundConfig{})
	for range 2 { // open, accept
		k.speak(k.a, k.b)
		k.hear(k.b)
		k.speak(k.b, k.a)
		k.hear(k.a)
	}
	a.Rekey(Key{Created: 1, Secret: [16]byte{1}})
	k.speak(k.b, k.a)
	require.ErrorIs(t, k.a.Receive(k.a.inbox[0]), ErrKeyChanged)
	require.False(t, k.a.Done())
	_, ok := k.a.Next(nil)
	require.False(t, ok)
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

func TestABrokenRoundKeepsWhatCame(t *testing.T) {
	full, empty := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(10_000, full)
	came, rounds := 0, 0
	for {
		rounds++
		require.Less(t, rounds, 20)
		k := newTalk(t, full, empty, uint64(rounds), RoundConfig{MaxFrame: 8 << 10})
		broken := false
		for more := true; more; {
			if k.frames >= 20 {
				broken = true
				break
			}
			more = k.speak(k.a, k.b)
			more = k.hear(k.b) || more
			more = k.speak(k.b, k.a) || more
			more = k.hear(k.a) || more
		}
		sent := int(k.a.Stats().EntriesSent)
		came += sent
		if !broken {
			k.wantDone()
			require.True(t, k.a.Stats().Converged)
			break
		}
	}
	t.Logf("%d rounds, %d entries sent", rounds, came)
	require.Greater(t, rounds, 2)
	// Each break loses at most the frame in flight and nothing is sent twice.
	require.LessOrEqual(t, came, 10_000+rounds*200)
	require.LessOrEqual(t, empty.ignored, rounds*40)
	empty.want(t, union(full))
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

func TestOnlyAPlainPairDecidesWhichEntryIsStale(t *testing.T) {
	at := func(pos, time uint64) Item { return Item{Pos: pos, Time: time} }
	for name, tc := range map[string]struct {
		mine       []Item
		theirs     []Item
		send, want uint32
	}{
		"mine newer":             {[]Item{at(1, 5)}, []Item{at(1, 4)}, 1, 0},
		"theirs newer":           {[]Item{at(1, 4)}, []Item{at(1, 5)}, 0, 1},
		"one time":               {[]Item{at(1, 4)}, []Item{at(1, 4)}, 1, 1},
		"two positions":          {[]Item{at(1, 4)}, []Item{at(2, 5)}, 1, 1},
		"two of mine":            {[]Item{at(1, 4), at(1, 8)}, []Item{at(1, 5)}, 3, 1},
		"two of theirs":          {[]Item{at(1, 5)}, []Item{at(1, 4), at(1, 8)}, 1, 3},
		"a pair among others":    {[]Item{at(1, 4), at(2, 4), at(3, 9)}, []Item{at(0, 1), at(2, 5), at(3, 5)}, 5, 3},
		"as many as may be told": {[]Item{at(40, 1)}, manyItems(maxHeaders), 1, 1<<maxHeaders - 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRound(RoundConfig{Salt: 3})
			r.ear.listed = tc.mine
			var theirs []header
			for _, it := range tc.theirs {
				theirs = append(theirs, header{tag: r.salt.tag(it.Pos), time: it.Time})
			}
			r.owe(claim{kind: claimPrints, span: between(0, len(tc.mine))}, 1<<len(tc.mine)-1, theirs)
			d := r.mouth.debts[0]
			require.Equal(t, tc.want, d.want)
			var send []Item
			for i, it := range tc.mine {
				if tc.send&(1<<i) != 0 {
					send = append(send, it)
				}
			}
			require.Equal(t, send, append([]Item(nil), r.mouth.items[d.from:d.to]...))
		})
	}
}

func manyItems(n int) (items []Item) {
	for i := range n {
		items = append(items, Item{Pos: uint64(i), Time: 1})
	}
	return items
}

func TestABulkEndsAtTheLastPosition(t *testing.T) {
	for _, n := range []int{pageSize - 1, pageSize, pageSize + 1, 2 * pageSize, 3*pageSize + 1} {
		a, b := newStore(1, sharedKey), newStore(2, sharedKey)
		end := func(key string) uint64 { return math.MaxUint64 - uint64(n-1) + uint64(len(key)-1) }
		a.position, b.position = end, end
		for i := range n {
			a.put(fmt.Sprintf("%0*d", i+1, i), "v")
		}
		k := newTalk(t, a, b, 1, RoundConfig{})
		k.run()
		require.True(t, k.a.Stats().Converged)
		require.Equal(t, uint64(n), k.a.Stats().EntriesSent)
	}
}

func TestClocksTravelBothWays(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	a.clock = 500
	k := newTalk(t, a, b, 1, RoundConfig{})
	k.run()
	require.Equal(t, uint64(500), b.clock)
	b.clock = 900
	b.put("x", "y")
	k = newTalk(t, a, b, 1, RoundConfig{})
	k.run()
	require.Equal(t, uint64(901), a.clock)
}
