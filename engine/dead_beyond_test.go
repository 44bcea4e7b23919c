package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/merkle"
)

func TestDeadEntriesBeyondTheLimitGoTheOldestFirst(t *testing.T) {
	e := newEngine(t, Config{})
	const keys, most = 50_000, 10_000
	put := remotePut("key-0", "v", wall, 0)
	requireOutcome(t, e, wall, put, merkle.Applied)
	for i := range keys {
		_, _, err := e.Delete(wall+1, fmt.Sprintf("key-%d", i))
		require.NoError(t, err)
	}
	live := mustPut(t, e, wall+1, "live", "v", PutOptions{})
	gone := e.PurgeBeyond(most)
	left := e.Stats().Tombstones
	require.Equal(t, uint64(keys-gone), left)
	require.LessOrEqual(t, left, uint64(most))
	require.Greater(t, left, uint64(most*9/10))
	oldestLeft := map[int]uint64{}
	for part := range DeadParts {
		for _, ent := range e.Dead(part, nil) {
			if at, ok := oldestLeft[part]; !ok || ent.Version.Time < at {
				oldestLeft[part] = ent.Version.Time
			}
		}
	}
	for i := range keys {
		key := fmt.Sprintf("key-%d", i)
		part := shardOf(e.Hasher().Position(key))
		if ent, held := e.Held(key, nil); held {
			require.GreaterOrEqual(t, ent.Version.Time, oldestLeft[part])
		}
	}
	require.Zero(t, e.PurgeBeyond(most))
	requireValue(t, e, wall+1, live.Key, "v")
	_, held := e.Held("key-0", nil)
	require.False(t, held, "the first that was deleted")
	require.NoError(t, e.Check())
}

func TestWhatADeleteHadSeenStaysAwayThoughItWentEarly(t *testing.T) {
	a, b := newEngine(t, Config{Instance: 1}), newEngine(t, Config{Instance: 2})
	put := mustPut(t, a, wall, "k", "v", PutOptions{})
	outcome, _ := b.Push(wall, put, nil, false)
	require.Equal(t, merkle.Applied, outcome)
	_, _, err := b.Delete(wall+1, "k")
	require.NoError(t, err)
	require.Equal(t, 1, b.PurgeBeyond(0))
	outcome, _ = b.Merge(wall+1, put, nil)
	require.Equal(t, merkle.Ignored, outcome)
	outcome, _ = b.Push(wall+1, put, nil, false)
	require.Equal(t, merkle.Ignored, outcome)
	_, err = b.Get(wall+1, "k", nil)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestADeleteThatIsNotSeenYetDoesNotGoEarly(t *testing.T) {
	e := newEngine(t, Config{})
	requireOutcome(t, e, wall, remoteDelete("k", wall), merkle.Applied)
	require.Zero(t, e.PurgeBeyond(0), "nothing else here knows of it")
	_, held := e.Held("k", nil)
	require.True(t, held)
	require.True(t, e.Reach(99, Reading(wall+1, 0), 0))
	gone := 0
	for range restAfterVain {
		gone += e.PurgeBeyond(0)
	}
	require.Equal(t, 1, gone)
}
