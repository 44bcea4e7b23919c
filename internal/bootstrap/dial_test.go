package bootstrap

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAtMostSixteenAreDialledAtATime(t *testing.T) {
	r := begun(t, 1)
	r.answer(addrs(100)...)
	require.Len(t, r.dialing, MaxDials)
	for n := MaxDials; n < 100; n++ {
		r.ends(r.dialing[n%MaxDials], Silent, 0)
		require.Len(t, r.dialing, MaxDials, "the next takes the place")
	}
	r.all(Silent)
	require.Equal(t, addrs(100), slices.Sorted(slices.Values(r.dialled)), "each once")
}

func TestAddressesAreDialledInRandomOrder(t *testing.T) {
	orders := map[string]bool{}
	for seed := range uint64(20) {
		r := begun(t, seed)
		r.answer(addrs(10)...)
		require.Len(t, r.dialing, 10)
		orders[fmt.Sprint(r.dialing)] = true

		again := begun(t, seed)
		again.answer(addrs(10)...)
		require.Equal(t, r.dialing, again.dialing, "the seed decides it")
	}
	require.Len(t, orders, 20)
}

func TestEachOfAnAnswerIsDialledOnce(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1", "c:1", "b:1", "", "c:1", selfAddr, "b:1")
	require.Len(t, r.dialled, 2)
	r.ends("b:1", Silent, 0)
	r.pass(Patience)
	require.Len(t, r.dialled, 2, "not again before the next answer")
	r.answer("b:1", "c:1")
	require.Equal(t, []string{"c:1", "b:1"}, r.dialing, "the dial of c has not ended")
	r.all(Silent)
	require.Len(t, r.dialled, 3)
}

func TestThoseWhoWaitAreNotQueuedTwice(t *testing.T) {
	r := begun(t, 1)
	r.answer(addrs(40)...)
	for range 10 {
		r.untilAsked()
		r.answer(addrs(40)...)
	}
	require.Len(t, r.m.queue, 40-MaxDials)
	r.all(Silent)
	require.Len(t, r.dialled, 40)
}

func TestTheOwnAddressIsNeverDialled(t *testing.T) {
	r := begun(t, 1)
	for range 100 {
		r.answer(selfAddr, "b:1", selfAddr)
		r.all(Silent)
		r.untilAsked()
		r.fail(selfAddr)
		r.all(Silent)
		r.untilAsked()
	}
	require.NotContains(t, r.dialled, selfAddr)
}

func TestAnAliasOfALiveMemberIsNotDialled(t *testing.T) {
	r := begun(t, 1)
	r.answer("alias:1")
	r.members(1, Live{2, "b:1"})
	r.ends("alias:1", Met, 2)
	r.untilAsked()
	r.answer("alias:1", "b:1")
	require.Empty(t, r.dialing)
	r.untilAsked()

	r.members(1, Live{3, "c:1"}) // 2 has died
	r.answer("alias:1", "b:1", "c:1")
	require.Equal(t, []string{"alias:1", "b:1"}, slices.Sorted(slices.Values(r.dialing)))
}

func TestOneWhoComesByItselfIsTakenOffTheQueue(t *testing.T) {
	r := begun(t, 1)
	r.answer(addrs(MaxDials + 2)...)
	waiting := r.m.queue[0]
	r.members(1, Live{2, waiting})
	r.all(Silent)
	require.Len(t, r.dialled, MaxDials+1)
	require.NotContains(t, r.dialled, waiting)
}

func TestAMemberThatDiedIsDialledAgain(t *testing.T) {
	r := settled(t, 1)
	r.untilAsked()
	r.answer("b:1")
	require.Empty(t, r.dialing)
	r.members(1)
	r.untilAsked()
	r.answer("b:1")
	require.Equal(t, []string{"b:1"}, r.dialing)
}

func TestAnAddressIsForgottenWhenItIsNoLongerNamed(t *testing.T) {
	r := begun(t, 1)
	r.answer(addrs(30)...)
	r.untilAsked()
	r.answer("b:1")
	require.Len(t, r.m.seeds, MaxDials+1, "dials that are under way keep their place")
	require.Len(t, r.m.queue, 1)
	r.all(Silent)
	require.Len(t, r.m.seeds, 1)
	require.Len(t, r.dialled, MaxDials+1)
	r.untilAsked()
	r.answer()
	r.all(Silent)
	require.Empty(t, r.m.seeds)
}

func TestAForgottenAddressThatIsNamedAgainIsNew(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1")
	r.ends("b:1", Silent, 0)
	r.untilAsked()
	r.answer()
	r.pass(time.Minute)
	r.answer("b:1")
	r.ends("b:1", Silent, 0)
	require.False(t, r.done(), "three seconds from now")

	r = begun(t, 1)
	r.answer("alias:1")
	r.untilAsked()
	r.answer() // forgotten while it is dialled
	r.untilAsked()
	r.answer("alias:1") // and remembered
	require.Len(t, r.dialled, 1)
	r.ends("alias:1", Own, 0)
	require.Len(t, r.m.seeds, 1)
}

func TestAnEndThatNobodyWaitsForChangesNothing(t *testing.T) {
	r := begun(t, 1)
	r.answer("b:1", "c:1")
	r.ends("b:1", Silent, 0)
	var out Effects
	r.m.Dialled(r.now, "b:1", Met, 2, &out)
	r.m.Dialled(r.now, "never:1", Met, 2, &out)
	require.Equal(t, Effects{}, out)
	require.Equal(t, 1, r.m.dialing)
	require.Equal(t, Silent, r.m.seeds["b:1"].outcome)
}

func TestTenThousandAddressesAreAllTried(t *testing.T) {
	list := addrs(10_000)
	r := begun(t, 1)
	r.answer(list...)
	for len(r.dialled) < len(list) {
		require.False(t, r.m.Done(r.now))
		for _, addr := range slices.Clone(r.dialing) {
			r.ends(addr, Silent, 0)
		}
	}
	r.all(Silent)
	r.pass(Patience)
	require.True(t, r.done())
	require.Equal(t, list, slices.Sorted(slices.Values(r.dialled)))
}

func TestNoMoreThanTenThousandAddressesAreKept(t *testing.T) {
	list := addrs(50_000)
	r := begun(t, 1)
	r.answer(list...)
	require.Len(t, r.m.seeds, MaxSeeds)
	beyond := 0
	for addr := range r.m.seeds {
		if addr >= list[MaxSeeds] {
			beyond++
		}
	}
	require.InDelta(t, MaxSeeds*4/5, beyond, 300, "a random choice, not the first")

	for range 5 { // each answer names others, and the dials do not end
		r.untilAsked()
		r.answer(list...)
		require.LessOrEqual(t, len(r.m.seeds), MaxSeeds+MaxDials)
		require.LessOrEqual(t, len(r.m.queue), MaxSeeds)
	}
	require.False(t, r.done())
}

func TestRepetitionsCrowdNobodyOut(t *testing.T) {
	list := slices.Concat(slices.Repeat([]string{"b:1", selfAddr, ""}, 20_000), addrs(5))
	r := begun(t, 1)
	r.answer(list...)
	require.Equal(t, append([]string{"b:1"}, addrs(5)...), slices.Sorted(slices.Values(r.dialing)))
}

func TestFailuresThatNameEverMoreAreBoundedAndHideNobodyLater(t *testing.T) {
	list := addrs(50_000)
	r := begun(t, 1)
	for i := range 5 {
		r.fail(list[i*10_000 : (i+1)*10_000]...)
		require.LessOrEqual(t, len(r.m.seeds), MaxSeeds+MaxDials)
		require.LessOrEqual(t, len(r.m.queue), MaxSeeds)
		r.untilAsked()
	}
	r.answer("b:1", "c:1")
	require.Contains(t, r.m.seeds, "b:1")
	require.Contains(t, r.m.seeds, "c:1")
	require.LessOrEqual(t, len(r.m.seeds), 2+MaxDials)
	require.Zero(t, r.m.nobody)
	r.all(Met)
	require.True(t, r.done())
}

func TestEffectsKeepTheirRoomOnReset(t *testing.T) {
	e := Effects{Ask: true, Dials: make([]string, 3, 8)}
	e.Reset()
	require.False(t, e.Ask)
	require.Empty(t, e.Dials)
	require.Equal(t, 8, cap(e.Dials))
}

func TestWhatTheCallerPassesIsNotKept(t *testing.T) {
	r := begun(t, 1)
	list, live := addrs(30), []Live{{2, "b:1"}}
	r.answer(list...)
	r.members(1, live...)
	for i := range list {
		list[i] = "changed"
	}
	live[0] = Live{9, "changed"}
	r.all(Silent)
	require.NotContains(t, r.dialled, "changed")
	require.True(t, r.m.addrs["b:1"])
}
