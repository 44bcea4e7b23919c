package bootstrap

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestASearchThatHasNotBegunIsNotDone(t *testing.T) {
	r := newRig(t, 1)
	r.now = r.now.Add(time.Hour)
	require.False(t, r.done())
	r.tick()
	r.pass(time.Hour)
	require.False(t, r.done(), "the provider does not answer")
}

func TestWhoeverIsMetEndsTheSearchAtOnce(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1", "c:1")
	require.False(t, r.done())
	r.ends("b:1", Met, 2)
	require.False(t, r.done(), "the other one may yet answer")
	r.ends("c:1", Met, 3)
	require.True(t, r.done())
}

func TestWhereNoneOfOursIsFoundIsTriedForThreeSeconds(t *testing.T) {
	for _, none := range []Outcome{Silent, Foreign} {
		everySeed(t, func(t require.TestingT, seed uint64) { triedForThreeSeconds(t, seed, none) })
	}
}

func triedForThreeSeconds(t require.TestingT, seed uint64, none Outcome) {
	r := begun(t, seed)
	r.answer("b:1", "c:1")
	for r.now.Before(start.Add(Patience - time.Millisecond)) {
		r.pass(10 * time.Millisecond)
		if r.asking {
			r.answer("b:1", "c:1")
		}
		r.all(none)
		require.Equal(t, r.now.Sub(start) >= Patience, r.done())
	}
	r.pass(time.Millisecond)
	require.True(t, r.done())
	require.Greater(t, len(r.dialled), 4, "more than once each")
}

func TestTheEndOfPatienceIsADeadline(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1", "c:1")
	r.ends("b:1", Met, 2)
	r.ends("c:1", Silent, 0)
	r.untilAsked() // and the provider does not answer any more
	require.Equal(t, start.Add(Patience), r.m.NextDeadline())
	r.pass(Patience)
	require.True(t, r.m.NextDeadline().IsZero())
	require.True(t, r.done())

	r = settled(t, 1)
	r.untilAsked()
	r.answer("b:1", "c:1")
	r.ends("c:1", Silent, 0)
	r.untilAsked()
	require.True(t, r.m.NextDeadline().IsZero(), "whoever serves waits for nobody")
}

func TestADialThatTakesLongerThanPatienceEndsTheSearchWhenItEnds(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1")
	r.pass(Patience + time.Second)
	require.False(t, r.done())
	if r.asking {
		r.answer("b:1")
	}
	r.ends("b:1", Silent, 0)
	require.True(t, r.done())
}

func TestWhoeverAnsweredOnceIsGivenTimeAgainWhenSilent(t *testing.T) {
	for _, before := range []Outcome{Met, Refused} {
		r := begun(t, 1)
		r.answer("b:1")
		r.ends("b:1", before, 2)
		r.pass(time.Minute)
		r.answer("b:1")
		again := r.now
		r.ends("b:1", Silent, 0)
		require.False(t, r.done(), "it may just be restarting")
		for r.now.Before(again.Add(Patience)) {
			require.False(t, r.done())
			r.pass(50 * time.Millisecond)
			if r.asking {
				r.answer("b:1")
			}
			r.all(Silent)
		}
		require.True(t, r.done())
	}
}

func TestARefusalAloneDoesNotEndTheSearch(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1", "silent:1", "foreign:1")
	for range 100 {
		for len(r.dialing) > 0 {
			switch addr := r.dialing[0]; addr {
			case "b:1":
				r.ends(addr, Refused, 0)
			case "silent:1":
				r.ends(addr, Silent, 0)
			default:
				r.ends(addr, Foreign, 0)
			}
		}
		r.untilAsked()
		r.answer("b:1", "silent:1", "foreign:1")
		require.False(t, r.done(), "a wrong secret makes no cluster of one")
	}
	require.Greater(t, r.now.Sub(start), time.Minute)
}

func TestARefusalCountsOnceSomebodyIsMet(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1", "c:1")
	r.ends("b:1", Refused, 0)
	require.False(t, r.done())
	r.ends("c:1", Met, 3)
	require.True(t, r.done())

	r = begun(t, 1)
	r.answer("b:1")
	r.ends("b:1", Refused, 0)
	require.False(t, r.done())
	r.members(1, Live{4, "d:1"}) // came by itself
	require.True(t, r.done())
}

func TestARefusalWhileOneIsUntriedIsNotTheEnd(t *testing.T) {
	r := begun(t, 1)
	r.members(1, Live{4, "d:1"})
	r.answer("b:1", "c:1")
	r.ends("b:1", Refused, 0)
	require.False(t, r.done())
}

func TestANewAddressOpensTheSearchAgainUntilItIsTried(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1")
	r.members(1, Live{2, "b:1"})
	r.ends("b:1", Met, 2)
	require.True(t, r.done())
	r.untilAsked()
	require.True(t, r.done(), "asking is not doubting")
	r.answer("b:1", "c:1")
	require.False(t, r.done())
	require.Equal(t, []string{"c:1"}, r.dialing)
	r.ends("c:1", Silent, 0)
	require.False(t, r.done())
	r.pass(Patience)
	require.True(t, r.done())

	r = alone(t, 1)
	r.untilAsked()
	r.answer("b:1")
	require.False(t, r.done(), "nobody has become somebody")
	r.ends("b:1", Met, 2)
	require.True(t, r.done())
}

func TestAnAddressThatIsNoLongerNamedIsNotWaitedFor(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1", "c:1")
	r.ends("b:1", Met, 2)
	r.untilAsked()
	r.answer("b:1")
	require.True(t, r.done())
	r.ends("c:1", Silent, 0)
	require.True(t, r.done())
	require.Len(t, r.m.seeds, 1)
}

func TestALiveMemberAtAnAddressCountsAsMet(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1", "c:1")
	r.ends("c:1", Silent, 0)
	r.ends("b:1", Silent, 0)
	require.False(t, r.done())
	r.members(2, Live{2, "b:1"}, Live{3, "c:1"}) // they came by themselves
	require.True(t, r.done())
}

func TestAddressesOfAFailureAreDialledButDoNotEndTheSearch(t *testing.T) {
	r := begun(t, 1)
	r.fail("b:1", "c:1")
	require.Equal(t, []string{"b:1", "c:1"}, slices.Sorted(slices.Values(r.dialing)))
	r.ends("b:1", Met, 2)
	r.ends("c:1", Foreign, 0)
	require.False(t, r.done(), "there may be others whom it did not name")
	r.pass(time.Minute)
	require.False(t, r.done())
	r.answer("b:1")
	r.all(Met)
	require.True(t, r.done())

	r.untilAsked()
	r.fail()
	require.False(t, r.done(), "what the last answer named is not known to be all")
}

func TestAFailureForgetsNobody(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1")
	r.ends("b:1", Silent, 0)
	for r.now.Before(start.Add(Patience)) {
		r.untilAsked()
		r.fail()
	}
	r.untilAsked()
	r.answer("b:1")
	require.True(t, r.done(), "its three seconds have gone by")
}
