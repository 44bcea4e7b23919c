package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/merkle"
)

const skewMS = int64(DefaultMaxClockSkew / time.Millisecond)

func TestAVersionAheadIsParkedAndMergedWhenItIsDue(t *testing.T) {
	e := newEngine(t, Config{})
	ahead := remotePut("k", "v", wall+2000, 0)
	outcome, _ := e.Push(wall, ahead, nil, true)
	require.Equal(t, merkle.Parked, outcome)
	require.Equal(t, uint64(1), e.Stats().Parked)
	require.Zero(t, e.Stats().Refused)
	require.Less(t, e.Clock().Read(), ahead.Version.Time, "the clock does not follow it")
	require.False(t, e.Seen(ahead.Version))

	require.Zero(t, e.Unpark(wall+2000-skewMS-1, nil))
	_, err := e.Get(wall, "k", nil)
	require.ErrorIs(t, err, ErrNotFound)
	require.Equal(t, 1, e.Unpark(wall+2000-skewMS, nil))
	got, err := e.Get(wall+2000, "k", nil)
	require.NoError(t, err)
	require.Equal(t, "v", string(got.Value))
	require.True(t, e.Seen(ahead.Version), "it was pushed, with what it builds upon")
	require.Zero(t, e.Stats().Parked)
}

func TestWhatARoundBroughtAheadOfTimeIsMergedButNotSeen(t *testing.T) {
	e := newEngine(t, Config{})
	ahead := remotePut("k", "v", wall+2000, 0)
	for range 3 { // each round brings it again
		requireOutcome(t, e, wall, ahead, merkle.Parked)
	}
	require.Equal(t, uint64(1), e.Stats().Parked)
	require.Equal(t, 1, e.Unpark(wall+5000, nil))
	_, err := e.Get(wall+5000, "k", nil)
	require.NoError(t, err)
	require.False(t, e.Seen(ahead.Version))
}

func TestWhatIsParkedIsTheParkingsOwn(t *testing.T) {
	e := newEngine(t, Config{})
	value := []byte("value")
	ahead := remotePut("k", "", wall+2000, 0)
	ahead.Value, ahead.Checksum = value, Checksum(value)
	requireOutcome(t, e, wall, ahead, merkle.Parked)
	value[0] = 'X'
	e.Unpark(wall+2000, nil)
	got, err := e.Get(wall+2000, "k", nil)
	require.NoError(t, err)
	require.Equal(t, "value", string(got.Value))
}

func TestParkedPushesAreMergedInTheOrderOfTheirVersions(t *testing.T) {
	e := newEngine(t, Config{})
	first, second := remotePut("a", "1", wall+2000, 0), remotePut("b", "2", wall+2001, 0)
	second.Prev = first.Version.Time
	for _, ent := range []*Entry{second, first} {
		outcome, _ := e.Push(wall, ent, nil, true)
		require.Equal(t, merkle.Parked, outcome)
	}
	require.Equal(t, 2, e.Unpark(wall+3000, nil))
	require.True(t, e.Seen(second.Version))
}

func TestALaterWriteIsNotUndoneByWhatWasParkedBefore(t *testing.T) {
	e := newEngine(t, Config{})
	requireOutcome(t, e, wall, remotePut("k", "parked", wall+2000, 0), merkle.Parked)
	mustPut(t, e, wall+2500, "k", "later", PutOptions{})
	e.Unpark(wall+3000, nil)
	got, err := e.Get(wall+3000, "k", nil)
	require.NoError(t, err)
	require.Equal(t, "later", string(got.Value))
}

func TestWhatIsTooFarAheadOrHasNoRoomIsRefused(t *testing.T) {
	e := newEngine(t, Config{})
	requireOutcome(t, e, wall, remotePut("k", "v", wall+maxParkedAhead.Milliseconds()+1, 0), merkle.Refused)
	for i := range maxParked {
		requireOutcome(t, e, wall, remotePut(fmt.Sprint(i), "v", wall+60_000-int64(i), 0), merkle.Parked)
	}
	requireOutcome(t, e, wall, remotePut("one more", "v", wall+50_000, 0), merkle.Refused)
	require.Equal(t, uint64(2), e.Stats().Refused)
	require.Equal(t, maxParked, e.Unpark(wall+60_000, nil))
	requireOutcome(t, e, wall+60_000, remotePut("one more", "v", wall+50_000, 0), merkle.Applied)

	large := string(make([]byte, maxParkedBytes/4))
	for i := range 3 {
		requireOutcome(t, e, wall, remotePut(fmt.Sprint("large", i), large, wall+10_000+int64(i), 0), merkle.Parked)
	}
	requireOutcome(t, e, wall, remotePut("large", large, wall+20_000, 0), merkle.Refused)
}
