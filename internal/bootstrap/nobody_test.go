package bootstrap

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNobodyThreeTimesOverThreeSecondsEndsTheSearch(t *testing.T) {
	everySeed(t, func(t require.TestingT, seed uint64) {
		r := newRig(t, seed)
		answers := 0
		for !r.done() {
			r.untilAsked()
			require.False(t, r.done())
			answers++
			r.answer(selfAddr) // the own address is nobody
		}
		require.GreaterOrEqual(t, answers, 3)
		require.LessOrEqual(t, answers, 12, "it does not ask without need")
		require.Equal(t, Patience, r.now.Sub(start), "whatever is drawn")
		require.Empty(t, r.dialled)
	})
}

func TestSlowAnswersOfNobodyEndTheSearchAfterTheThird(t *testing.T) {
	everySeed(t, func(t require.TestingT, seed uint64) {
		r := begun(t, seed)
		for range 20 { // the pauses have become long
			r.fail()
			r.untilAsked()
		}
		var first time.Time
		for n := 1; n <= 3; n++ {
			require.False(t, r.done())
			r.untilAsked()
			r.now = r.now.Add(5 * time.Second)
			if n == 1 {
				first = r.now
			}
			r.answer()
		}
		require.True(t, r.done())
		require.LessOrEqual(t, r.now.Sub(first), 11*time.Second, "the backoff of the failures is forgotten")
	})
}

func TestThreeQuickAnswersAreNotEnough(t *testing.T) {
	r := newRig(t, 1)
	for n := 0; ; n++ { // ten a second
		r.untilAsked()
		if r.now.Sub(start) >= Patience {
			require.Greater(t, n, 20)
			break
		}
		r.answer()
		require.False(t, r.done())
		r.changed()
	}
	require.False(t, r.done(), "this question has not been answered")
	r.answer()
	require.True(t, r.done())
}

func TestSilenceOfTheProviderIsNotPatience(t *testing.T) {
	r := begun(t, 1)
	for range 5 {
		r.answer()
		r.changed()
		r.untilAsked()
	}
	r.pass(time.Minute)
	require.False(t, r.done(), "it said so for half a second, and nothing since")
	r.fail()
	require.False(t, r.done())
}

func TestAFailureInBetweenStartsOver(t *testing.T) {
	everySeed(t, func(t require.TestingT, seed uint64) {
		r := newRig(t, seed)
		for range 3 {
			r.untilAsked()
			r.answer()
		}
		r.untilAsked()
		require.False(t, r.done())
		r.fail()
		require.False(t, r.done())
		r.untilAsked()
		again := r.now
		for !r.done() {
			r.answer()
			if !r.done() {
				r.untilAsked()
			}
		}
		require.Equal(t, Patience, r.now.Sub(again))
	})
}

func TestAFailureNeverCounts(t *testing.T) {
	r := newRig(t, 1)
	for range 100 {
		r.untilAsked()
		r.fail()
		require.False(t, r.done())
	}
	require.Greater(t, r.now.Sub(start), time.Minute)
	for range 100 { // nor every other one
		r.untilAsked()
		r.answer()
		require.False(t, r.done())
		r.untilAsked()
		r.fail()
		require.False(t, r.done())
	}
}

func TestAFailureThatNamesNobodyEndsASearchThatWasDone(t *testing.T) {
	r := alone(t, 1)
	r.untilAsked()
	r.fail()
	require.False(t, r.done(), "for a node that is not ready yet nothing is known again")
}

func TestOneWhoIsNamedIsNotNobody(t *testing.T) {
	r := begun(t, 1)
	r.answer()
	r.untilAsked()
	r.answer()
	r.untilAsked()
	r.answer("b:1")
	r.untilAsked()
	again := r.now
	r.answer()
	for !r.done() {
		r.untilAsked()
		r.answer()
	}
	require.Equal(t, Patience, r.now.Sub(again))
}

func TestAnAliasOfTheOwnAddressIsNobodyAndIsDialledOnce(t *testing.T) {
	r := begun(t, 1)
	r.answer("alias:1")
	require.Equal(t, []string{"alias:1"}, r.dialled)
	r.ends("alias:1", Own, 1)
	require.False(t, r.done(), "nobody is there: that is to be said three times")
	r.untilAsked()
	again := r.now
	r.answer("alias:1", selfAddr)
	for !r.done() {
		r.untilAsked()
		r.answer("alias:1", selfAddr)
	}
	require.Equal(t, Patience, r.now.Sub(again))
	require.Equal(t, []string{"alias:1"}, r.dialled)
}

func TestWhoeverIsAloneAndNotReadyAsksOnWithTheBackoff(t *testing.T) {
	r := alone(t, 1) // more members are expected
	before := len(r.asked)
	for r.now.Sub(start) < 5*time.Minute {
		r.untilAsked()
		r.answer()
		require.True(t, r.done())
	}
	require.Less(t, len(r.asked)-before, 5*60/3)
	require.Greater(t, len(r.asked)-before, 5*60/10)
}

func TestWhoeverServesHurriesForNobody(t *testing.T) {
	r := alone(t, 1)
	r.m.Ready()
	longest := time.Duration(0)
	for range 50 {
		r.untilAsked()
		r.fail()
		r.untilAsked()
		r.answer()
		longest = max(longest, r.untilAsked())
	}
	require.Greater(t, longest, 5*time.Second, "the backoff holds")
}
