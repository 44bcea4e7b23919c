package merkle

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

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
			require.EqualValues(t, n, empty.expected, "it can make room")
			require.Zero(t, full.expected)
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
			if k.a.Stats().Converged {
				break
			}
		}
	}
	t.Logf("%d rounds, %d entries sent", rounds, came)
	require.Greater(t, rounds, 2)
	// Each break loses at most the frame in flight and nothing is sent twice.
	require.LessOrEqual(t, came, 10_000+rounds*200)
	require.LessOrEqual(t, empty.ignored, rounds*40)
	empty.want(t, union(full))
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
