package engine

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const wall = int64(1_700_000_000_000) // the tests' present

// The clock's laws under any wall clock, however it is stepped: every reading
// issued is above all that were issued or taken in before, none is issued or
// taken in that is further than the skew ahead of the wall, and a refusal
// changes nothing.
func TestClockLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		skew := rapid.Int64Range(0, 1000).Draw(t, "skew")
		c := NewClock(time.Duration(skew) * time.Millisecond)
		now, highest := wall, uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { require.Equal(t, highest, c.Read()) },
			"step the wall": func(t *rapid.T) {
				now += rapid.SampledFrom([]int64{0, 1, 7, 400, -400, 2000, -2000, 3_600_000, -3_600_000}).Draw(t, "step")
			},
			"issue": func(t *rapid.T) {
				r, err := c.Now(now)
				if err != nil {
					require.ErrorIs(t, err, ErrClockAhead)
					require.Greater(t, WallOf(highest+1), now+skew)
					return
				}
				require.Greater(t, r, highest)
				require.GreaterOrEqual(t, WallOf(r), now)
				require.LessOrEqual(t, WallOf(r), now+skew)
				highest = r
			},
			"observe": func(t *rapid.T) {
				r := Reading(now+rapid.Int64Range(-2000, 2000).Draw(t, "ahead"), rapid.Uint16().Draw(t, "counter"))
				err := c.Observe(now, r)
				if WallOf(r) > now+skew {
					require.ErrorIs(t, err, ErrClockAhead)
					return
				}
				require.NoError(t, err)
				highest = max(highest, r)
			},
		})
	})
}

func TestClockFollowsTheWallAndCountsWithinAMillisecond(t *testing.T) {
	c := NewClock(time.Second)
	for i, want := range []uint64{Reading(wall, 0), Reading(wall, 1), Reading(wall, 2)} {
		r, err := c.Now(wall)
		require.NoError(t, err)
		require.Equal(t, want, r, i)
	}
	r, err := c.Now(wall + 1)
	require.NoError(t, err)
	require.Equal(t, Reading(wall+1, 0), r)
}

func TestClockCounterOverflowBorrowsFromTheNextMillisecond(t *testing.T) {
	c := NewClock(2 * time.Millisecond)
	require.NoError(t, c.Observe(wall, Reading(wall, math.MaxUint16)))
	r, err := c.Now(wall)
	require.NoError(t, err)
	require.Equal(t, Reading(wall+1, 0), r)

	// It cannot borrow past the skew.
	require.NoError(t, c.Observe(wall, Reading(wall+2, math.MaxUint16)))
	_, err = c.Now(wall)
	require.ErrorIs(t, err, ErrClockAhead)
	require.Equal(t, Reading(wall+2, math.MaxUint16), c.Read())
	_, err = c.Now(wall + 1)
	require.NoError(t, err, "the wall clock has caught up")
}

func TestClockTakesInNothingPastTheSkew(t *testing.T) {
	c := NewClock(500 * time.Millisecond)
	require.NoError(t, c.Observe(wall, Reading(wall+500, math.MaxUint16)))
	err := c.Observe(wall, Reading(wall+501, 0))
	require.ErrorIs(t, err, ErrClockAhead)
	require.EqualError(t, err, "reading is 501ms ahead of the wall clock, the limit is 500ms: clock ahead")
	require.Equal(t, Reading(wall+500, math.MaxUint16), c.Read())
	require.Equal(t, uint64(1), c.Refused())
	require.Error(t, c.Observe(wall, math.MaxUint64))
}

func TestClockRefusesToIssueAfterTheWallWasSetBack(t *testing.T) {
	c := NewClock(500 * time.Millisecond)
	first, err := c.Now(wall)
	require.NoError(t, err)
	for _, back := range []int64{1, 400, 500} {
		r, err := c.Now(wall - back)
		require.NoError(t, err, "within the skew it goes on, above what was")
		require.Greater(t, r, first)
	}
	for _, back := range []int64{501, 3_600_000} {
		_, err = c.Now(wall - back)
		require.ErrorIs(t, err, ErrClockAhead)
	}
	_, err = c.Now(wall - 500)
	require.NoError(t, err)
}

func TestClockSurvivesAbsurdWallTimes(t *testing.T) {
	for _, now := range []int64{math.MinInt64, -1, 0, maxWall, maxWall + 1, math.MaxInt64} {
		c := NewClock(500 * time.Millisecond)
		require.NoError(t, c.Observe(now, 1))
		_, err := c.Now(now)
		require.NoError(t, err, now)
		require.NoError(t, c.Observe(math.MaxInt64, math.MaxUint64))
		_, err = c.Now(now)
		require.ErrorIs(t, err, ErrClockAhead, "the clock never wraps around")
	}
}

func TestClockNeverIssuesAReadingTwice(t *testing.T) {
	c := NewClock(time.Hour)
	const callers, each = 4, 2000
	issued := make([][]uint64, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for range each {
				r, err := c.Now(wall)
				if err != nil {
					return
				}
				issued[i] = append(issued[i], r)
			}
		})
	}
	wg.Wait()
	seen := make(map[uint64]bool)
	for _, readings := range issued {
		require.IsIncreasing(t, readings)
		for _, r := range readings {
			seen[r] = true
		}
	}
	require.Len(t, seen, callers*each)
}
