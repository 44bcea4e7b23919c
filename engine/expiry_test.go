package engine

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/merkle"
)

func TestExpiryIsExact(t *testing.T) {
	e := newEngine(t, Config{})
	mustPut(t, e, wall, "ttl", "v", PutOptions{TTL: 1500 * time.Millisecond})
	mustPut(t, e, wall, "at", "v", PutOptions{ExpiresAt: wall + 1500})
	mustPut(t, e, wall, "brief", "v", PutOptions{TTL: time.Nanosecond})
	mustPut(t, e, wall, "rounded up", "v", PutOptions{TTL: time.Millisecond + 1})
	mustPut(t, e, wall, "past", "v", PutOptions{ExpiresAt: 1})

	for key, last := range map[string]int64{"ttl": 1499, "at": 1499, "brief": 0, "rounded up": 1} {
		requireValue(t, e, wall+last, key, "v")
		requireAbsent(t, e, wall+last+1, key)
	}
	requireAbsent(t, e, wall, "past")
	page, _ := e.List(wall+1, ListOptions{})
	require.Len(t, page, 3, "a list is as exact, before any sweep")
	page, _ = e.List(wall+1500, ListOptions{})
	require.Empty(t, page)
}

func TestAPutWithoutAnExpiryClearsTheOldOne(t *testing.T) {
	e := newEngine(t, Config{})
	mustPut(t, e, wall, "k", "1", PutOptions{TTL: time.Second})
	ent := mustPut(t, e, wall, "k", "2", PutOptions{})
	require.Zero(t, ent.ExpiresAt)
	e.Sweep(wall+10_000, math.MaxInt)
	requireValue(t, e, wall+10_000, "k", "2")
}

func TestKeepTTLKeepsTheExpiryOfALiveKeyOnly(t *testing.T) {
	e := newEngine(t, Config{})
	keep := PutOptions{KeepTTL: true}
	require.Zero(t, mustPut(t, e, wall, "new", "1", keep).ExpiresAt)

	mustPut(t, e, wall, "live", "1", PutOptions{TTL: time.Second})
	require.Equal(t, wall+1000, mustPut(t, e, wall+999, "live", "2", keep).ExpiresAt)
	requireValue(t, e, wall+999, "live", "2")
	requireAbsent(t, e, wall+1000, "live")

	now := wall + 1000
	for _, swept := range []int64{0, 1000, 5000} {
		key := fmt.Sprint("expired, swept after ms: ", swept)
		mustPut(t, e, now, key, "1", PutOptions{ExpiresAt: now + 1000})
		e.Sweep(now+swept, math.MaxInt)
		now += 1000
		require.Zero(t, mustPut(t, e, now, key, "2", keep).ExpiresAt)
		requireValue(t, e, now+9000, key, "2")
	}

	mustPut(t, e, now, "deleted", "1", PutOptions{TTL: time.Hour})
	_, _, err := e.Delete(now, "deleted")
	require.NoError(t, err)
	require.Zero(t, mustPut(t, e, now, "deleted", "2", keep).ExpiresAt)
}

func TestTouchAndPersistChangeTheExpiryAlone(t *testing.T) {
	e := newEngine(t, Config{})
	put := mustPut(t, e, wall, "k", "v", PutOptions{})
	touched, err := e.Touch(wall, "k", PutOptions{TTL: time.Second})
	require.NoError(t, err)
	require.Equal(t, wall+1000, touched.ExpiresAt)
	require.Equal(t, put.Version, touched.Over)
	require.True(t, put.Version.Less(touched.Version))
	require.Equal(t, put.Value, touched.Value)
	require.Equal(t, put.Checksum, touched.Checksum)
	require.Zero(t, put.ExpiresAt, "the old entry never changes")

	persisted, err := e.Persist(wall+999, "k")
	require.NoError(t, err)
	require.Zero(t, persisted.ExpiresAt)
	requireValue(t, e, wall+5000, "k", "v")

	touched, err = e.Touch(wall+999, "k", PutOptions{ExpiresAt: wall})
	require.NoError(t, err, "touching into the past ends a key")
	require.Equal(t, wall, touched.ExpiresAt)
	requireAbsent(t, e, wall+999, "k")
	_, err = e.Persist(wall+999, "k")
	require.ErrorIs(t, err, ErrNotFound, "an expired key cannot be kept after all")
	_, err = e.Touch(wall+999, "k", PutOptions{TTL: time.Hour})
	require.ErrorIs(t, err, ErrNotFound)
}

// second is a whole second: expiry goes by those.
const second = wall / 1000 * 1000

func TestTheCutMakesExpiredEntriesDead(t *testing.T) {
	e := newEngine(t, Config{MaxClockSkew: 500 * time.Millisecond})
	mustPut(t, e, second, "k", "value", PutOptions{ExpiresAt: second + 1500})
	mustPut(t, e, second, "later", "value", PutOptions{ExpiresAt: second + 2001})
	_, count := e.Root()
	require.Equal(t, uint64(2), count)

	require.Zero(t, e.Sweep(second+2999, 100), "the cut is a whole second, twice the skew behind")
	require.Equal(t, second+1000, e.Summary().Cut)
	require.Equal(t, Stats{Entries: 2, EntryBytes: 16}, e.Stats())

	require.Equal(t, 1, e.Sweep(second+3000, 100))
	require.Equal(t, second+2000, e.Summary().Cut)
	require.Equal(t, Stats{Entries: 1, Tombstones: 1, EntryBytes: 11}, e.Stats())
	_, count = e.Root()
	require.Equal(t, uint64(1), count, "it does not count any more")
	require.Equal(t, 1, e.Sweep(math.MaxInt64, 100))
	require.Zero(t, e.Sweep(math.MaxInt64, 100))
}

func TestWhatComesAfterTheCutCountsAsOfTheCut(t *testing.T) {
	swept, late := newEngine(t, Config{Instance: 1}), newEngine(t, Config{Instance: 2})
	brief := remotePut("k", "value", second, second+1000)
	requireOutcome(t, swept, second, brief, merkle.Applied)
	swept.Sweep(second+2000, 100)
	late.Sweep(second+2000, 100)
	requireOutcome(t, late, second+2000, brief, merkle.Applied)
	requireSameRoot(t, swept, late)
	require.True(t, late.held("k").reaped, "the value is not even kept")
	_, err := late.Put(second+2000, "own", []byte("v"), PutOptions{ExpiresAt: 1})
	require.NoError(t, err)
	requireSameRoot(t, swept, late)
}

func TestEnginesOfDifferentCutsAreBroughtTogether(t *testing.T) {
	a, b := newEngine(t, Config{Instance: 1}), newEngine(t, Config{Instance: 2})
	for i := range 300 {
		ent := mustPut(t, a, second, fmt.Sprint(i), "value", PutOptions{ExpiresAt: second + 1000 + int64(i)})
		requireOutcome(t, b, second, ent, merkle.Applied)
	}
	require.Equal(t, 300, a.Sweep(second+3000, math.MaxInt))
	b.SweepTo(second+1999, a.Summary().Cut)
	require.Zero(t, b.Summary().Cut, "by its clock not all of that has expired")
	b.SweepTo(second+2000, a.Summary().Cut)
	requireSameRoot(t, a, b)
	require.Equal(t, a.Summary(), b.Summary())
	b.SweepTo(second+2000, second)
	require.Equal(t, a.Summary().Cut, b.Summary().Cut, "it never goes back")
}

func TestSweepKeepsToItsBudgetAndReachesEveryShard(t *testing.T) {
	e := newEngine(t, Config{})
	const keys = 1000
	for i := range keys {
		mustPut(t, e, wall, fmt.Sprint(i), "v", PutOptions{TTL: time.Second})
	}
	before := e.Summary()
	done, calls := 0, 0
	for done < keys {
		n := e.Sweep(wall+10_000, 7)
		require.LessOrEqual(t, n, 7)
		require.Positive(t, n)
		done += n
		calls++
		if now := e.Summary(); done < keys {
			require.Equal(t, int64(-1), now.Cut, "as long as it moves, the root is no cut's")
			require.NotEqual(t, before.Root, now.Root)
		}
	}
	require.Equal(t, keys, done)
	require.GreaterOrEqual(t, calls, keys/7)
	require.Equal(t, uint64(keys), e.Stats().Tombstones)
	require.Zero(t, e.Sweep(wall+10_000, 0))
	require.Equal(t, (wall+9000)/1000*1000, e.Summary().Cut)
}

func TestAKeyThatTheCutPassedStaysDeadWhenTheWallClockIsSetBack(t *testing.T) {
	e := newEngine(t, Config{})
	mustPut(t, e, wall, "k", "v", PutOptions{TTL: time.Second})
	require.Equal(t, 1, e.Sweep(wall+4000, 100))
	requireAbsent(t, e, wall, "k")
	page, _ := e.List(wall, ListOptions{})
	require.Empty(t, page)
	require.Zero(t, mustPut(t, e, wall, "k", "new", PutOptions{KeepTTL: true}).ExpiresAt)
	requireValue(t, e, wall, "k", "new")
}

func TestOverwritingAnExpiringKeyLeavesOneThingToSweep(t *testing.T) {
	e := newEngine(t, Config{})
	for range 100 {
		mustPut(t, e, wall, "k", "v", PutOptions{TTL: time.Hour})
	}
	s := e.shardOfKey("k")
	require.Len(t, s.due.refs, 1)
	mustPut(t, e, wall, "k", "v", PutOptions{})
	require.Empty(t, s.due.refs)
	require.Equal(t, int64(neverDue), s.nextCut.Load())
}

func TestAReapedEntryTravelsWithoutItsValueAndStaysAbsent(t *testing.T) {
	a, b := newEngine(t, Config{Instance: 1}), newEngine(t, Config{Instance: 2})
	mustPut(t, a, second, "k", "value", PutOptions{TTL: time.Second})
	requireOutcome(t, b, second, remotePut("k", "older", second-5, 0), merkle.Applied)
	a.Sweep(second+2000, 100)

	held := a.held("k")
	wire := AppendEntry(nil, &held)
	require.NotContains(t, string(wire), "value")
	ent, err := ParseEntry(wire, 0)
	require.NoError(t, err)
	require.True(t, ent.Reaped())
	require.False(t, ent.LiveAt(0))

	// A clock that is an hour behind would serve what it cannot get.
	requireOutcome(t, b, second-3_600_000, ent, merkle.Refused)
	requireOutcome(t, b, second+1500, ent, merkle.Applied)
	requireAbsent(t, b, second, "k")
	requireSameRoot(t, a, b)

	full := remotePut("k", "value", second, second+1000)
	full.Version.Instance = 1
	requireOutcome(t, b, second+1500, full, merkle.Ignored)
}
