package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/merkle"
)

const away = 55 // the instance that is gone

func nobody(uint64) bool { return false }

func ofAway(key string, time int64) *Entry {
	e := remotePut(key, "v", time, 0)
	e.Version.Instance = away
	return e
}

func put(t *testing.T, e *Engine, key, value string) {
	t.Helper()
	_, err := e.Put(wall, key, []byte(value), PutOptions{})
	require.NoError(t, err)
}

// seekAll runs a pass to its end.
func seekAll(t *testing.T, e *Engine, records int) {
	t.Helper()
	for range 1 << 20 {
		if begun, ended := e.SeekGone(records); !begun || ended {
			return
		}
	}
	t.Fatal("the pass does not end")
}

func standingTo(t *testing.T, e *Engine) Gone {
	t.Helper()
	_, all := e.Gone(wall, nobody)
	require.Len(t, all, 1)
	return all[0]
}

func TestAnInstanceIsClearOnceAPassHasMetNoneOfItsEntries(t *testing.T) {
	e := newEngine(t, Config{})
	for i := range 5000 {
		put(t, e, fmt.Sprint("own", i), "v")
	}
	requireOutcome(t, e, wall, ofAway("k", wall-10), merkle.Applied)
	requireOutcome(t, e, wall, remotePut("other", "v", wall-5, 0), merkle.Applied)
	e.Reach(away, uint64(wall-100)<<16, 0)
	begun, _ := e.SeekGone(100)
	require.False(t, begun, "nobody is watched")

	e.WatchGone(away)
	seekAll(t, e, 100)
	require.Zero(t, standingTo(t, e).Since, "one is held")
	before := e.Clock().Read()
	put(t, e, "k", "mine")
	require.Zero(t, standingTo(t, e).Since, "no pass has shown that it has gone")
	seekAll(t, e, 100)
	got := standingTo(t, e)
	require.Greater(t, got.Since, before)
	require.Equal(t, got, standingTo(t, e), "what holds on has held since then")
	begun, _ = e.SeekGone(100)
	require.False(t, begun, "all is known")

	requireOutcome(t, e, wall, ofAway("k2", wall-9), merkle.Applied)
	require.Zero(t, standingTo(t, e).Since, "one has come")
}

func TestWhatComesWhereAPassHasBeenIsNotOverlooked(t *testing.T) {
	for _, when := range []int{0, 1, 3, 10, 40} {
		e := newEngine(t, Config{})
		for i := range 5000 {
			put(t, e, fmt.Sprint("own", i), "v")
		}
		e.Reach(away, uint64(wall)<<16, 0)
		e.WatchGone(away)
		for range when {
			e.SeekGone(100)
		}
		for i := range 64 { // in all parts of the store
			requireOutcome(t, e, wall, ofAway(fmt.Sprint("k", i), wall-10), merkle.Applied)
		}
		seekAll(t, e, 100)
		require.Zero(t, standingTo(t, e).Since, "after %d steps", when)
	}
}

func TestAPassBeginsAnewWhenRecordsMove(t *testing.T) {
	e := newEngine(t, Config{})
	for i := range 2000 {
		requireOutcome(t, e, wall, ofAway(fmt.Sprint("k", i), wall-10), merkle.Applied)
		put(t, e, fmt.Sprint("k", i), "own")
	}
	last := ofAway("the only one", wall-10)
	requireOutcome(t, e, wall, last, merkle.Applied)
	e.WatchGone(away)
	for range 64 { // wherever the entry is, before the move and after it
		e.SeekGone(50)
		e.Rekey(merkle.Key{Created: e.Key().Created - 1, Secret: [16]byte{byte(e.Key().Created)}})
		seekAll(t, e, 1000)
		require.Zero(t, standingTo(t, e).Since)
	}
}

func TestAParkedEntryCountsAsHeld(t *testing.T) {
	e := newEngine(t, Config{})
	e.Reach(away, uint64(wall)<<16, 0)
	e.WatchGone(away)
	seekAll(t, e, 100)
	require.NotZero(t, standingTo(t, e).Since)
	requireOutcome(t, e, wall, ofAway("k", wall+2000), merkle.Parked)
	require.Zero(t, standingTo(t, e).Since)
	seekAll(t, e, 100)
	require.Zero(t, standingTo(t, e).Since, "it is parked still")
}

func TestWhatIsOnItsWayAndWhatIsSeenTakeTheClaimBack(t *testing.T) {
	e := newEngine(t, Config{})
	e.Reach(away, uint64(wall-100)<<16, 0)
	e.WatchGone(away)
	seekAll(t, e, 100)
	first := standingTo(t, e)
	require.NotZero(t, first.Since)
	_, all := e.Gone(wall, func(id uint64) bool { return id == away })
	require.Zero(t, all[0].Since)

	again := standingTo(t, e)
	require.Greater(t, again.Since, first.Since)
	e.Reach(away, uint64(wall-50)<<16, 0)
	moved := standingTo(t, e)
	require.Greater(t, moved.Since, again.Since)
	require.NotEqual(t, again.Place, moved.Place)
}

func TestARetiredInstanceIsNamedNoMore(t *testing.T) {
	e := newEngine(t, Config{})
	e.Reach(away, uint64(wall-100)<<16, 0)
	e.WatchGone(away)
	require.True(t, e.Names(away))
	require.Contains(t, e.Named(), uint64(away))
	require.Zero(t, standingTo(t, e).Unnamed)
	e.Retire(away)
	require.False(t, e.Names(away))
	require.NotContains(t, e.Named(), uint64(away))
	require.NotZero(t, standingTo(t, e).Unnamed)
	require.True(t, e.Seen(ofAway("k", wall).Version), "until it is forgotten")
	e.ForgetGone(away)
	_, all := e.Gone(wall, nobody)
	require.Empty(t, all)
	require.False(t, e.Seen(ofAway("k", wall).Version))
}

func TestSomethingAheadOfAGapKeepsAnInstance(t *testing.T) {
	e := newEngine(t, Config{})
	var know causal.Knowledge
	know.Seen.Take(causal.Dot{Time: uint64(wall-10) << 16, Instance: away}, uint64(wall-20)<<16)
	_, since := e.Watch()
	require.True(t, e.Accept(&know, since))
	require.True(t, e.SeenAhead(away))
	e.WatchGone(away)
	seekAll(t, e, 100)
	require.Zero(t, standingTo(t, e).Since)
}

func TestAWatchCostsWritesNoAllocation(t *testing.T) {
	e := newEngine(t, Config{})
	e.WatchGone(away)
	value := []byte("v")
	put(t, e, "k", "v")
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if _, err := e.Put(wall, "k", value, PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}), 1.0)
}
