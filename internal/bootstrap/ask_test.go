package bootstrap

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheFirstTickAsks(t *testing.T) {
	r := newRig(t, 1)
	require.Equal(t, start, r.m.NextDeadline())
	r.tick()
	require.True(t, r.asking)
	require.True(t, r.m.NextDeadline().IsZero(), "nothing is due but the answer")
}

func TestAMachineNeedsRandomness(t *testing.T) {
	_, err := New(start, Config{Addr: selfAddr})
	require.ErrorContains(t, err, "rand: required")
}

func TestThePauseIsDrawnFromZeroToALimitThatDoubles(t *testing.T) {
	limits := []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond,
		1600 * time.Millisecond, 3200 * time.Millisecond, 6400 * time.Millisecond, 10 * time.Second, 10 * time.Second, 10 * time.Second,
	}
	sum, least, most := make([]time.Duration, len(limits)), make([]time.Duration, len(limits)), make([]time.Duration, len(limits))
	const draws = 500
	for seed := range uint64(draws) {
		r := begun(t, seed)
		for i, limit := range limits {
			r.fail()
			pause := r.untilAsked()
			require.LessOrEqual(t, pause, limit, "question %d", i)
			if seed == 0 || pause < least[i] {
				least[i] = pause
			}
			most[i] = max(most[i], pause)
			sum[i] += pause
		}
	}
	for i, limit := range limits {
		require.Less(t, least[i], limit/20, "full jitter begins at zero")
		require.Greater(t, most[i], limit*19/20)
		require.InDelta(t, limit/2, sum[i]/draws, float64(limit)/15)
	}
}

func TestASettledNodeAsksAboutEveryThirtySeconds(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	everySeed(t, func(t require.TestingT, seed uint64) {
		r := settled(t, seed)
		r.untilAsked()
		for range 10 {
			r.answer("b:1", selfAddr)
			pause := r.untilAsked()
			least, most = min(least, pause), max(most, pause)
		}
		require.Len(t, r.dialled, 1)
	})
	require.GreaterOrEqual(t, least, 15*time.Second)
	require.LessOrEqual(t, most, 45*time.Second)
	require.Greater(t, most-least, 25*time.Second)
}

// longest returns the longest of some pauses between questions.
func longest(r *rig, addrs ...string) (pause time.Duration) {
	for range 50 {
		r.untilAsked()
		r.answer(addrs...)
		r.all(Silent)
		pause = max(pause, r.untilAsked())
		r.answer(addrs...)
		r.all(Silent)
	}
	return pause
}

func TestWhoeverIsNotSettledAsksWithinTenSeconds(t *testing.T) {
	notReady := begun(t, 1)
	notReady.answer("b:1")
	notReady.members(1, Live{2, "b:1"})
	notReady.ends("b:1", Met, 2)
	require.True(t, notReady.done())
	require.LessOrEqual(t, longest(notReady, "b:1"), lastPause)

	alone := alone(t, 1)
	alone.m.Ready()
	require.LessOrEqual(t, longest(alone), lastPause)

	lost := settled(t, 1)
	lost.members(3, Live{2, "b:1"})
	require.LessOrEqual(t, longest(lost, "b:1"), lastPause, "one of three is out of most members' reach")

	unmet := settled(t, 1)
	unmet.untilAsked()
	unmet.answer("b:1", "c:1")
	unmet.all(Silent)
	require.LessOrEqual(t, longest(unmet, "b:1", "c:1"), lastPause, "somebody may come up at c")

	most := settled(t, 1)
	most.members(4, Live{2, "b:1"}, Live{3, "c:1"})
	require.Greater(t, longest(most, "b:1"), lastPause, "half of them is not few")
}

func TestForeignersAndTheOwnAliasDoNotUnsettle(t *testing.T) {
	r := settled(t, 1)
	r.untilAsked()
	r.answer("b:1", "foreign:1", "alias:1")
	r.ends("foreign:1", Foreign, 0)
	r.ends("alias:1", Own, 0)
	r.untilAsked() // the question that was due while they were unknown
	r.answer("b:1", "foreign:1", "alias:1")
	for range 20 {
		require.GreaterOrEqual(t, r.untilAsked(), settledPause/2)
		for len(r.dialing) > 0 {
			r.ends("foreign:1", Foreign, 0)
		}
		r.answer("b:1", "foreign:1", "alias:1")
	}
}

func TestAFailureOfASettledNodeStartsTheBackoffAtItsBeginning(t *testing.T) {
	everySeed(t, func(t require.TestingT, seed uint64) {
		r := settled(t, seed)
		r.untilAsked()
		r.answer("b:1")
		r.untilAsked()
		r.fail()
		require.LessOrEqual(t, r.untilAsked(), firstPause)
		r.fail()
		require.LessOrEqual(t, r.untilAsked(), 2*firstPause)
		r.answer("b:1")
		require.GreaterOrEqual(t, r.untilAsked(), settledPause/2)
	})
}

func TestWhoeverIsAloneAllOfASuddenAsksSoon(t *testing.T) {
	everySeed(t, func(t require.TestingT, seed uint64) {
		r := settled(t, seed)
		r.untilAsked()
		r.answer("b:1")
		r.pass(time.Second)
		r.members(1)
		require.LessOrEqual(t, r.untilAsked(), firstPause)
		r.answer("b:1")
		require.Equal(t, []string{"b:1"}, r.dialing)
		require.LessOrEqual(t, r.untilAsked(), firstPause, "and again: the backoff is at its beginning")
	})
}

func TestWhoeverLosesMostMembersAsksSoonAndOnlyThen(t *testing.T) {
	r := settled(t, 1)
	five := []Live{{2, "b:1"}, {3, "c:1"}, {4, "d:1"}, {5, "e:1"}}
	r.members(4, five...)
	r.untilAsked()
	r.answer("b:1", "c:1", "d:1", "e:1")
	r.pass(time.Second)
	r.members(4, five[:2]...)
	due := r.m.NextDeadline()
	require.Greater(t, due.Sub(r.now), 10*time.Second, "half are there")
	r.members(4, five[0])
	require.LessOrEqual(t, r.m.NextDeadline().Sub(r.now), firstPause)

	// It stays so: telling the same again brings no question forward.
	for range 20 {
		r.untilAsked()
		r.answer("b:1")
		r.all(Silent)
	}
	due = r.m.NextDeadline()
	for range 100 {
		r.members(4, five[1])
		r.members(5)
		require.Equal(t, due, r.m.NextDeadline())
	}
}

func TestALossWhileAskingStartsTheBackoffAtItsBeginning(t *testing.T) {
	everySeed(t, func(t require.TestingT, seed uint64) {
		r := settled(t, seed)
		for range 20 { // a dead address: it asks every few seconds
			r.untilAsked()
			r.answer("b:1", "dead:1")
			r.all(Silent)
		}
		r.untilAsked()
		r.members(1)
		r.answer("b:1", "dead:1")
		require.Contains(t, r.dialing, "b:1")
		require.LessOrEqual(t, r.untilAsked(), firstPause)
	})
}

func TestAChangeIsAskedForAtOnce(t *testing.T) {
	r := settled(t, 1)
	r.untilAsked()
	r.answer("b:1")
	r.pass(time.Second)
	r.changed()
	require.True(t, r.asking)
}

func TestAChangeWhileAskingIsAskedForAfterwards(t *testing.T) {
	r := settled(t, 1)
	r.untilAsked()
	r.changed()
	r.changed()
	require.True(t, r.asking)
	r.pass(time.Second)
	r.answer("b:1")
	require.True(t, r.asking, "at once: the last question is a second old")
	r.answer("b:1")
	require.False(t, r.asking, "once")
	require.GreaterOrEqual(t, r.untilAsked(), settledPause/2)

	r.changed()
	r.answer("b:1")
	require.False(t, r.asking)
	require.Equal(t, firstPause, r.untilAsked(), "the last question was put just now")
}

func TestChangesWithoutEndAreAskedForTenTimesASecond(t *testing.T) {
	for _, failing := range []bool{false, true} {
		for _, lag := range []time.Duration{0, 30 * time.Millisecond, 250 * time.Millisecond} {
			r := settled(t, 1)
			r.untilAsked()
			r.answer("b:1")
			r.pass(time.Second)
			before, from := len(r.asked), r.now
			for r.now.Sub(from) < 10*time.Second {
				r.changed()
				if r.asking && r.now.Sub(r.asked[len(r.asked)-1]) >= lag {
					r.end([]string{"b:1"}, failing)
				}
				r.pass(time.Millisecond)
			}
			asked := len(r.asked) - before
			early := 0 // the jitter after a failure may be short, and is not often
			require.GreaterOrEqual(t, asked, int(10*time.Second/max(lag+2*time.Millisecond, firstPause))-1)
			for i := before + 1; i < len(r.asked); i++ {
				if r.asked[i].Sub(r.asked[i-1]) < firstPause {
					early++
				}
			}
			require.LessOrEqual(t, asked-early, 101)
			if !failing || lag > 0 {
				require.Zero(t, early)
			}
			require.LessOrEqual(t, early, 3)
		}
	}
}

func TestATickThatComesEarlyDoesNothing(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1")
	r.all(Silent)
	for range 200 {
		next := r.m.NextDeadline()
		r.now = next.Add(-time.Nanosecond)
		r.tick()
		require.False(t, r.asking)
		require.Equal(t, next, r.m.NextDeadline())
		r.now = next
		r.tick()
		if r.asking {
			r.fail("b:1")
			r.all(Silent)
		}
		require.True(t, r.m.NextDeadline().After(r.now))
	}
}
