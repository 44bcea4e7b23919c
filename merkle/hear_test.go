package merkle

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAStaleValueIsSentOnlyWhereFingerprintsCollide(t *testing.T) {
	stale, ignored := 0, 0
	for seed := range uint64(10) {
		a, b := newStore(1, sharedKey), newStore(2, sharedKey)
		fill(5000, a, b)
		for i := range 60 {
			a.put(fmt.Sprintf("key-%07d", i*7), "newer at a")
			b.put(fmt.Sprintf("key-%07d", 4000+i*3), "newer at b")
		}
		converge(t, a, b, seed, RoundConfig{})
		stale += a.stale + b.stale
		ignored += a.ignored + b.ignored
	}
	// An entry takes another one's fingerprint once in 4,096 times the length of
	// a list: here some 1,200 × 5 times in all.
	require.LessOrEqual(t, stale, 3)
	require.LessOrEqual(t, ignored, 6)
}

func TestOnlyAPlainPairDecidesWhichEntryIsStale(t *testing.T) {
	at := func(pos, time uint64) Item { return Item{Pos: pos, Time: time} }
	for name, tc := range map[string]struct {
		mine       []Item
		theirs     []Item
		send, want uint64
	}{
		"mine newer":             {[]Item{at(1, 5)}, []Item{at(1, 4)}, 1, 0},
		"theirs newer":           {[]Item{at(1, 4)}, []Item{at(1, 5)}, 0, 1},
		"one time":               {[]Item{at(1, 4)}, []Item{at(1, 4)}, 1, 1},
		"two positions":          {[]Item{at(1, 4)}, []Item{at(2, 5)}, 1, 1},
		"two of mine":            {[]Item{at(1, 4), at(1, 8)}, []Item{at(1, 5)}, 3, 1},
		"two of theirs":          {[]Item{at(1, 5)}, []Item{at(1, 4), at(1, 8)}, 1, 3},
		"a pair among others":    {[]Item{at(1, 4), at(2, 4), at(3, 9)}, []Item{at(0, 1), at(2, 5), at(3, 5)}, 5, 3},
		"as many as may be told": {[]Item{at(99, 1)}, manyItems(maxHeaders), 1, 1<<maxHeaders - 1},
	} {
		t.Run(name, func(t *testing.T) {
			const now = 1000
			headers := func(items []Item) (out []header) {
				for _, it := range items {
					out = append(out, salt(3).header(&it, now, len(tc.theirs)))
				}
				return out
			}
			send, want := judge(headers(tc.mine), 1<<len(tc.mine)-1, headers(tc.theirs))
			require.Equal(t, tc.send, send)
			require.Equal(t, tc.want, want)
		})
	}
}

func manyItems(n int) (items []Item) {
	for i := range n {
		items = append(items, Item{Pos: uint64(i), Time: 1})
	}
	return items
}

func TestAgesGrowWithAgeAndAreExactWhileTheyAreSmall(t *testing.T) {
	const now = math.MaxUint64
	last := uint32(0)
	for old := uint64(0); old < 1<<14; old++ {
		require.Equal(t, uint32(old), age(now, now-old))
	}
	for bits := range 64 {
		for _, old := range []uint64{1 << bits, 1<<bits | 1<<bits>>1, 1<<bits | (1<<bits - 1)} {
			got := age(now, now-old)
			require.GreaterOrEqual(t, got, last)
			require.Less(t, got, uint32(1)<<(4*ageSize))
			last = got
		}
	}
	// A second between two versions of four hours shows.
	require.Less(t, age(now, now-4*3600*1000<<16), age(now, now-4*3601*1000<<16))
	require.Zero(t, age(5, 5))
	require.Zero(t, age(5, 9), "newer than both clocks")
}
