package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/merkle"
)

const mebi = 1 << 20

// fill puts values of that size under new keys until one is refused, and returns
// the refusal and how many were taken.
func fill(t testing.TB, e *Engine, size int) (n int, err error) {
	t.Helper()
	for ; ; n++ {
		if _, err = e.Put(wall+int64(n>>10), fmt.Sprintf("key-%08d", n), make([]byte, size), PutOptions{}); err != nil {
			require.ErrorIs(t, err, ErrOverloaded)
			return n, err
		}
		require.Less(t, n, 10_000_000, "nothing is ever refused")
	}
}

func TestUsedIsWhatAWalkOverTheShardsFinds(t *testing.T) {
	e := newEngine(t, Config{Beside: func() int64 { return 1000 }})
	rng := rand.New(rand.NewPCG(1, 1))
	now := wall
	for i := range 20_000 {
		key := fmt.Sprint(rng.IntN(4000))
		switch now += int64(i & 1); rng.IntN(8) {
		case 0:
			_, _, err := e.Delete(now, key)
			require.NoError(t, err)
		case 1:
			_, err := e.Put(now, key, make([]byte, rng.IntN(100_000)), PutOptions{TTL: time.Second})
			require.NoError(t, err)
		case 2:
			e.Sweep(now, 100)
		default:
			_, err := e.Put(now, key, make([]byte, rng.IntN(300)), PutOptions{})
			require.NoError(t, err)
		}
		if i%1000 == 0 {
			require.Equal(t, int64(e.memory().Total())+1000, e.Used())
		}
	}
	e.Rekey(merkle.Key{Created: 1, Secret: [16]byte{9}})
	require.Equal(t, int64(e.memory().Total())+1000, e.Used())
}

func TestPutsThatGrowTheStoreAreRefusedAbove85Percent(t *testing.T) {
	for _, size := range []int{100, 1000, 100_000, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			e := newEngine(t, Config{MaxMemory: 64 * mebi})
			n, err := fill(t, e, size)
			require.ErrorContains(t, err, "of 64 MiB are in use, what grows is refused above 54.4 MiB: no memory left")
			require.ErrorContains(t, err, fmt.Sprintf("put %q: ", fmt.Sprintf("key-%08d", n)))
			require.Equal(t, uint64(1), e.Stats().OverloadedPuts)
			require.LessOrEqual(t, e.Used(), int64(64*mebi*86/100), "a little more than 85 %, at most a page of the slab")
			require.GreaterOrEqual(t, e.Used(), int64(64*mebi*82/100))

			mustPut(t, e, wall+1e6, "key-00000000", strings.Repeat("x", size), PutOptions{})
			mustPut(t, e, wall+1e6, "key-00000000", "", PutOptions{})
			_, err = e.Touch(wall+1e6, "key-00000001", PutOptions{TTL: time.Hour})
			require.NoError(t, err)
			for i := range n {
				_, existed, err := e.Delete(wall+1e6, fmt.Sprintf("key-%08d", i))
				require.NoError(t, err)
				require.True(t, existed)
			}
		})
	}
}

func TestADeleteOfAKeyThatIsNotThereAlwaysPasses(t *testing.T) {
	full := atomic.Int64{}
	e := newEngine(t, Config{MaxMemory: 64 * mebi, Beside: full.Load})
	full.Store(100 * mebi)
	_, _, err := e.Delete(wall, "k")
	require.NoError(t, err)
	requireOutcome(t, e, wall, remoteDelete("other", wall), merkle.Applied)
}

func TestOtherMembersEntriesAreRefusedAboveTheLimitAlone(t *testing.T) {
	beside := atomic.Int64{}
	e := newEngine(t, Config{MaxMemory: 64 * mebi, Beside: beside.Load})
	mustPut(t, e, wall, "k", "value", PutOptions{})
	beside.Store(60 * mebi)
	require.True(t, e.Full())
	_, err := e.Put(wall, "new", nil, PutOptions{})
	require.ErrorIs(t, err, ErrOverloaded)
	requireOutcome(t, e, wall, remotePut("new", "v", wall, 0), merkle.Applied)

	beside.Store(64 * mebi)
	requireOutcome(t, e, wall, remotePut("newer", "v", wall, 0), merkle.Refused)
	push := remotePut("newest", "v", wall, 0)
	outcome, _ := e.Push(wall, push, nil, false)
	require.Equal(t, merkle.Refused, outcome)
	require.False(t, e.Seen(push.Version), "it is to come again")
	requireOutcome(t, e, wall, remotePut("k", "VALUE", wall+1, 0), merkle.Applied)
	requireOutcome(t, e, wall, remoteDelete("new", wall+1), merkle.Applied)
	require.Equal(t, uint64(2), e.Stats().OverloadedEntries)
	require.Zero(t, e.Stats().Refused, "that is for clocks and sizes")

	beside.Store(0)
	require.False(t, e.Full())
	requireOutcome(t, e, wall, remotePut("newer", "v", wall, 0), merkle.Applied)
}

func TestWhatDoesNotGrowNeverPassesTheLimit(t *testing.T) {
	beside := atomic.Int64{}
	e := newEngine(t, Config{MaxMemory: 64 * mebi, Beside: beside.Load})
	n, _ := fill(t, e, 1000)
	beside.Store(64*mebi - e.Used()) // what the others wrote has filled it
	most := e.Used()
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range 2 * n {
		key := fmt.Sprintf("key-%08d", rng.IntN(n))
		if i%3 == 0 {
			_, _, err := e.Delete(wall+1e6, key)
			require.NoError(t, err)
		} else if _, err := e.Put(wall+1e6, key, make([]byte, rng.IntN(1000)), PutOptions{}); err != nil {
			require.ErrorIs(t, err, ErrOverloaded) // it was deleted before
		}
		require.LessOrEqual(t, e.Used(), most+mebi, "the lists of what is dead, and a page or two")
	}
}

func TestADeleteOfALargeValueFreesItThoughTheMemoryIsFull(t *testing.T) {
	beside := atomic.Int64{}
	e := newEngine(t, Config{MaxMemory: 64 * mebi, Beside: beside.Load})
	mustPut(t, e, wall, "k", strings.Repeat("x", mebi), PutOptions{})
	beside.Store(64 * mebi)
	before := e.Used()
	_, _, err := e.Delete(wall, "k")
	require.NoError(t, err)
	require.Less(t, e.Used(), before-mebi/2)
}

func TestLargeValuesOfManyWritersDoNotPassTheLimitTogether(t *testing.T) {
	e := newEngine(t, Config{MaxMemory: 64 * mebi, MaxValueSize: 15 * mebi})
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			value := make([]byte, 9*mebi)
			for i := range 4 {
				_, _ = e.Put(wall, fmt.Sprint(w, " ", i), value, PutOptions{})
			}
		})
	}
	writers.Wait()
	require.Equal(t, uint64(6), e.Stats().Entries)
	require.LessOrEqual(t, e.Used(), int64(64*mebi*85/100))
}

func TestAnotherMembersMemoryRefusesWhatGrowsAndNothingElse(t *testing.T) {
	e := newEngine(t, Config{})
	mustPut(t, e, wall, "k", "value", PutOptions{})
	e.RefuseGrowth("member b is full")
	_, err := e.Put(wall, "new", nil, PutOptions{})
	require.EqualError(t, err, `put "new": member b is full, and what grows is refused until it is not: no memory left`)
	mustPut(t, e, wall, "k", "VALUE", PutOptions{})
	requireOutcome(t, e, wall, remotePut("theirs", "v", wall, 0), merkle.Applied)
	_, _, err = e.Delete(wall, "unknown")
	require.NoError(t, err)
	require.False(t, e.Full(), "it is not this one")
	e.RefuseGrowth("")
	mustPut(t, e, wall, "new", "", PutOptions{})
}
