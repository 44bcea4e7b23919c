package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheYoungerOfTwoStartsTheRoundAndTheElderWaits(t *testing.T) {
	r := newRig(t) // started at 50
	require.Len(t, r.up(1, 49).Rounds, 1)
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})

	require.Empty(t, r.up(2, 51).Rounds)
	require.Equal(t, r.now.Add(DefaultSyncInterval), r.m.NextDeadline())
	got := r.tick()
	require.Equal(t, []RoundStart{{Peer: 2, Reason: ReasonPeerUp, Bulk: true}}, got.Rounds)
}

func TestARoundThatThePeerOpenedSettlesWhatIsOlder(t *testing.T) {
	r := newRig(t)
	r.up(2, 51)
	began := r.now.Add(time.Millisecond)
	r.pass(time.Second / 2)
	r.roundDone(2, RoundResult{Converged: true, Began: began})
	require.True(t, r.m.NextDeadline().IsZero())
	require.True(t, r.m.Drained())

	// One that began before the debt arose proves nothing about it.
	r.up(3, 51)
	r.roundDone(3, RoundResult{Converged: true, Began: r.now})
	require.False(t, r.m.NextDeadline().IsZero())
	r.roundDone(3, RoundResult{Failed: true, Began: r.now.Add(time.Millisecond)})
	require.False(t, r.m.NextDeadline().IsZero())
}

func TestOneRoundAtATimeAndTheNextAtItsEnd(t *testing.T) {
	r := newRig(t)
	require.EqualValues(t, 1, r.up(1, 1).Rounds[0].Peer)
	require.Empty(t, r.up(2, 1).Rounds)
	require.True(t, r.m.NextDeadline().IsZero(), "nothing to wake up for while it runs")
	require.Empty(t, r.roundDone(9, RoundResult{Initiator: true}).Rounds, "not the one that runs")
	got := r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.EqualValues(t, 2, got.Rounds[0].Peer)
}

func TestADifferingRootOpensARoundWithinAnInterval(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	require.Empty(t, r.payload(1, 7, 7).Rounds)
	require.True(t, r.m.NextDeadline().IsZero(), "an idle, converged cluster opens none")

	require.Empty(t, r.payload(1, 8, 7).Rounds)
	next := r.m.NextDeadline()
	require.True(t, next.After(r.now) && !next.After(r.now.Add(DefaultSyncInterval)))
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonDiffers}}, r.tick().Rounds)
}

func TestADifferenceThatGoesAwayOpensNone(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.payload(1, 8, 7)
	r.payload(1, 8, 8)
	require.True(t, r.m.NextDeadline().IsZero())
	require.Empty(t, r.payload(9, 1, 2).Rounds, "nobody we know")
}

func TestDifferingPeersAreChosenAtRandomOnceAnInterval(t *testing.T) {
	r := newRig(t)
	for _, id := range []uint64{1, 2, 3} {
		r.settled(id)
	}
	chosen := map[uint64]int{}
	last := r.now
	for range 300 {
		for _, id := range []uint64{1, 2, 3} {
			r.payload(id, 8, 7)
		}
		got := r.tick()
		require.Len(t, got.Rounds, 1)
		require.GreaterOrEqual(t, r.now.Sub(last), DefaultSyncInterval/4)
		last = r.now
		chosen[got.Rounds[0].Peer]++
		r.roundDone(got.Rounds[0].Peer, RoundResult{Initiator: true, Converged: true})
	}
	for _, id := range []uint64{1, 2, 3} {
		require.InDelta(t, 100, chosen[id], 40)
	}
}

func TestUnequalRootsAreTriedAgainAtOnceThriceAtMost(t *testing.T) {
	r := newRig(t)
	r.up(1, 1)
	for range maxAgain - 1 {
		got := r.roundDone(1, RoundResult{Initiator: true})
		require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonNotConverged}}, got.Rounds)
	}
	require.Empty(t, r.roundDone(1, RoundResult{Initiator: true}).Rounds)
	require.True(t, r.m.NextDeadline().After(r.now))
	for range 3 { // and then once an interval
		require.Equal(t, ReasonDiffers, r.tick().Rounds[0].Reason)
		require.Empty(t, r.roundDone(1, RoundResult{Initiator: true}).Rounds)
		require.False(t, r.m.Drained(), "still not shown to hold what we hold")
	}
	r.tick()
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.True(t, r.m.Drained())
	require.True(t, r.m.NextDeadline().IsZero())
}

func TestAFailedRoundIsTriedAgainWithBackoff(t *testing.T) {
	r := newRig(t)
	r.up(1, 1)
	var waits []time.Duration
	for range 10 {
		require.Empty(t, r.roundDone(1, RoundResult{Initiator: true, Failed: true}).Rounds)
		from := r.now
		got := r.tick()
		require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonPeerUp, Bulk: true}}, got.Rounds)
		waits = append(waits, r.now.Sub(from))
	}
	require.GreaterOrEqual(t, waits[0], retryFirst/2)
	require.LessOrEqual(t, waits[0], retryFirst*3/2)
	for _, w := range waits[6:] {
		require.GreaterOrEqual(t, w, retryMost/2)
		require.LessOrEqual(t, w, retryMost*3/2)
	}
}

func TestTheBackoffHoldsForEverythingButARequestByHand(t *testing.T) {
	r := newRig(t)
	r.up(1, 1)
	r.roundDone(1, RoundResult{Initiator: true, Failed: true})
	r.write("a")
	push := r.take().Pushes[0]
	require.Empty(t, r.pushDone(push, true).Rounds, "a dead link would open one a write")
	require.Empty(t, r.payload(1, 8, 7).Rounds)
	require.True(t, r.m.NextDeadline().After(r.now))

	require.Equal(t, []uint64{1}, r.m.SyncAll(r.now, &r.out))
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonAsked}}, r.take().Rounds)
}

func TestADifferingPeerInBackoffIsNotChosen(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.payload(1, 8, 7)
	r.tick()
	r.roundDone(1, RoundResult{Initiator: true, Failed: true})
	r.payload(1, 7, 7) // settled by report; the failure is not forgotten
	r.payload(1, 8, 7)
	require.False(t, r.m.NextDeadline().Before(r.now.Add(retryFirst/2)))
	require.Len(t, r.tick().Rounds, 1)
}

func TestSyncAllRunsARoundWithEachLivePeer(t *testing.T) {
	r := newRig(t)
	for _, id := range []uint64{1, 2, 3} {
		r.settled(id)
	}
	r.m.PeerDown(r.now, 2, &r.out)
	require.Equal(t, []uint64{1, 3}, r.m.SyncAll(r.now, &r.out))
	require.EqualValues(t, 1, r.take().Rounds[0].Peer)
	r.payload(3, 7, 7) // equal roots do not take back what was asked for
	got := r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.Equal(t, []RoundStart{{Peer: 3, Reason: ReasonAsked}}, got.Rounds)
	require.Empty(t, r.roundDone(3, RoundResult{Initiator: true, Converged: true}).Rounds)
}

func TestWhatIsAskedForWhileARoundRunsIsDoneAfterIt(t *testing.T) {
	r := newRig(t)
	r.up(1, 1)
	r.m.SyncAll(r.now, &r.out)
	require.Empty(t, r.take().Rounds)
	got := r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonAsked}}, got.Rounds)
}

func TestEqualRootsSettleWhatIsOwed(t *testing.T) {
	r := newRig(t)
	r.up(2, 51) // due in an interval
	require.False(t, r.m.Drained())
	r.payload(2, 7, 7)
	require.True(t, r.m.Drained())
	require.True(t, r.m.NextDeadline().IsZero())
}

func TestAWriteLostWhileARoundRunsIsOwedAfresh(t *testing.T) {
	r := newRig(t)
	r.up(1, 1) // the round runs
	r.write("a")
	push := r.take().Pushes[0]
	require.Empty(t, r.pushDone(push, true).Rounds)
	got := r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonPushFailed}}, got.Rounds)
	require.False(t, r.m.Drained())
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.True(t, r.m.Drained())
}

func TestARoundWhosePeerWentAndCameEndsForBoth(t *testing.T) {
	r := newRig(t)
	r.up(1, 1)
	r.m.PeerDown(r.now, 1, &r.out)
	require.Empty(t, r.up(1, 1).Rounds, "the first one still runs")
	got := r.roundDone(1, RoundResult{Initiator: true, Failed: true})
	require.Empty(t, got.Rounds)
	require.Len(t, r.tick().Rounds, 1)
	r.m.PeerDown(r.now, 1, &r.out)
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.Empty(t, r.m.peers)
}

func TestANodeIsNoPeerOfItself(t *testing.T) {
	r := newRig(t)
	require.Empty(t, r.up(self, 60).Rounds)
	require.Empty(t, r.m.peers)
	require.Len(t, r.up(1, 55).Rounds, 1, "its own start was corrected to 60: it is the younger")
}

func TestASuccessEndsTheBackoff(t *testing.T) {
	r := newRig(t)
	r.up(1, 1)
	for range 8 {
		r.roundDone(1, RoundResult{Initiator: true, Failed: true})
		r.tick()
	}
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	r.m.SyncAll(r.now, &r.out)
	r.roundDone(1, RoundResult{Initiator: true, Failed: true})
	require.LessOrEqual(t, r.m.NextDeadline().Sub(r.now), retryFirst*3/2)
}

func TestUnequalRootsAfterAPeersRoundAreOursToMendWithinAnInterval(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	require.Empty(t, r.roundDone(1, RoundResult{Began: r.now}).Rounds, "at once is the initiator's part")
	from := r.now
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonDiffers}}, r.tick().Rounds)
	require.LessOrEqual(t, r.now.Sub(from), DefaultSyncInterval)
}

func TestWhatIsAskedForIsNotTakenBackByWhatHappensMeanwhile(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.settled(2)
	r.m.SyncAll(r.now, &r.out) // with 1 at once, with 2 afterwards
	r.write("a")
	for _, p := range r.take().Pushes {
		r.pushDone(p, true)
	}
	r.payload(2, 7, 7)
	require.Equal(t, []uint64{1}, r.m.Behind(), "equal roots: 2 has it")
	r.roundDone(2, RoundResult{Converged: true, Began: r.now.Add(time.Second)})
	got := r.roundDone(1, RoundResult{Initiator: true, Failed: true})
	require.Equal(t, []RoundStart{{Peer: 2, Reason: ReasonAsked}}, got.Rounds)
}

// A peer that refuses an entry for its size never becomes equal: without this
// the entry would be sent to it once an interval for ever.
func TestAPeerThatNeverBecomesEqualIsAskedLessAndLess(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.payload(1, 1, 2)
	require.Len(t, r.tick().Rounds, 1)
	var waits []time.Duration
	for range 30 {
		from := r.now
		got := r.roundDone(1, RoundResult{Initiator: true})
		if len(got.Rounds) == 0 {
			got = r.payload(1, 1, 2)
		}
		if len(got.Rounds) == 0 {
			got = r.tick()
		}
		require.Len(t, got.Rounds, 1)
		waits = append(waits, r.now.Sub(from))
	}
	require.Zero(t, waits[0], "a digest of one byte misses now and then: at once")
	last := waits[len(waits)-1]
	require.GreaterOrEqual(t, last, maxCalm)
	require.LessOrEqual(t, last, maxCalm+2*DefaultSyncInterval)
	r.roundDone(1, RoundResult{Initiator: true})

	// What pushes lost is brought at once all the same.
	r.write("k")
	push := r.take().Pushes[0]
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonPushFailed}}, r.pushDone(push, true).Rounds)
	// And equal roots end the calm.
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	r.payload(1, 3, 4)
	from := r.now
	require.Len(t, r.tick().Rounds, 1)
	require.LessOrEqual(t, r.now.Sub(from), 2*DefaultSyncInterval)
}

// Two reports of one peer may be seconds apart, and each may come just when a key
// expires here and there.
func TestAPeerThatSeemsDifferentForItsCutIsDoubtedThriceBeforeARound(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	for range 2 {
		r.m.PeerPayload(r.now, 1, &Payload{Ready: true}, Unsure, &r.out)
		require.Zero(t, r.m.NextDeadline(), "no round is due")
		r.pass(4 * time.Second)
	}
	r.m.PeerPayload(r.now, 1, &Payload{Ready: true}, Alike, &r.out)
	for range 2 {
		r.m.PeerPayload(r.now, 1, &Payload{Ready: true}, Unsure, &r.out)
		r.pass(4 * time.Second)
		require.Zero(t, r.m.NextDeadline())
	}
	r.m.PeerPayload(r.now, 1, &Payload{Ready: true}, Unsure, &r.out)
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonDiffers}}, r.tick().Rounds)
}
