package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestANodeAloneIsReadyFromTheStart(t *testing.T) {
	require.True(t, newRig(t).m.Ready())
	require.False(t, newRig(t, joining).m.Ready())
}

func TestANodeThatMeetsNobodyIsNotReady(t *testing.T) {
	r := newRig(t, joining)
	r.pass(time.Hour)
	r.m.Tick(r.now, &r.out)
	require.False(t, r.take().Ready)
	require.True(t, r.m.NextDeadline().IsZero())
}

func TestARoundWithAReadyMemberMakesReady(t *testing.T) {
	r := newRig(t, joining)
	require.False(t, r.up(1, 1).Ready)
	got := r.roundDone(1, RoundResult{Initiator: true, Failed: true, PeerReady: true})
	require.False(t, got.Ready)
	r.tick()
	got = r.roundDone(1, RoundResult{Initiator: true, Converged: true, PeerReady: true})
	require.True(t, got.Ready)
	require.True(t, r.m.Ready())

	r.m.PeerDown(r.now, 1, &r.out)
	require.False(t, r.take().Ready, "said once")
	require.True(t, r.m.Ready(), "and for good")
}

func TestARoundThatTheReadyMemberOpenedCountsToo(t *testing.T) {
	r := newRig(t, joining)
	require.True(t, r.roundDone(9, RoundResult{Converged: true, PeerReady: true}).Ready,
		"even before the membership has told of it")
}

func TestEqualRootsAloneDoNotMakeReady(t *testing.T) {
	r := newRig(t, joining)
	r.up(2, 51)
	require.False(t, r.payload(2, 0, 0).Ready, "two empty nodes: the first round brings the digest key")
	require.Len(t, r.tick().Rounds, 1)
}

func TestWritesThatStreamInDoNotKeepANodeFromReady(t *testing.T) {
	r := newRig(t, joining)
	r.up(1, 1)
	for range maxAgain - 1 {
		require.False(t, r.roundDone(1, RoundResult{Initiator: true, PeerReady: true}).Ready)
	}
	require.True(t, r.roundDone(1, RoundResult{Initiator: true, PeerReady: true}).Ready)
}

func TestTheOldestBecomesReadyOnceItHasMetAllOthers(t *testing.T) {
	r := newRig(t, joining)
	r.up(1, 60)
	r.up(2, 70)
	r.tick()
	require.False(t, r.roundDone(1, RoundResult{Initiator: true, Converged: true}).Ready)
	r.pass(DefaultSyncInterval)
	require.False(t, r.roundDone(2, RoundResult{Converged: true, Began: r.now}).Ready, "there may be others to find")
	require.True(t, r.searched(true).Ready)
}

func TestTheSearchOfOneMemberCountsForAllWhoMet(t *testing.T) {
	r := newRig(t, joining)
	r.up(1, 60)
	r.tick()
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.False(t, r.m.Ready(), "our own discovery fails")
	r.m.PeerPayload(r.now, 1, &Payload{Searched: true}, Alike, &r.out)
	require.True(t, r.take().Ready)
}

func TestWhoHasFoundNobodyBeginsACluster(t *testing.T) {
	r := newRig(t, joining)
	require.False(t, r.searched(false).Ready)
	require.True(t, r.searched(true).Ready)
	require.True(t, r.m.HasSearched())
}

func TestASearchThatEndedBeforeOthersCameWaitsForThem(t *testing.T) {
	r := newRig(t, joining)
	r.up(1, 60)
	require.False(t, r.searched(true).Ready, "no round with it has been done")
	require.False(t, r.searched(false).Ready)
	r.tick()
	require.False(t, r.roundDone(1, RoundResult{Initiator: true, Converged: true}).Ready, "a new address has come up")
	require.True(t, r.searched(true).Ready)
}

func TestAsManyAsAreExpectedBeginACluster(t *testing.T) {
	expecting := func(c *Config) { c.Expect = 3 }
	r := newRig(t, joining, expecting)
	require.False(t, r.searched(true).Ready, "whatever the search says")
	r.up(1, 60)
	r.tick()
	require.False(t, r.roundDone(1, RoundResult{Initiator: true, Converged: true}).Ready, "two of three")
	r.up(2, 70)
	r.pass(DefaultSyncInterval)
	require.True(t, r.roundDone(2, RoundResult{Converged: true, Began: r.now}).Ready)

	r = newRig(t, joining, expecting)
	r.up(1, 60)
	r.tick()
	require.True(t, r.roundDone(1, RoundResult{Initiator: true, Converged: true, PeerReady: true}).Ready,
		"a ready member is enough, however many there are")
}

func TestAYoungerOneWaitsForTheOldest(t *testing.T) {
	r := newRig(t, joining)
	r.up(1, 40)
	r.up(2, 70)
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	r.roundDone(2, RoundResult{Converged: true, Began: r.now.Add(time.Second)})
	require.False(t, r.searched(true).Ready)

	r.m.PeerDown(r.now, 1, &r.out)
	require.True(t, r.take().Ready, "the oldest is gone: it is the oldest now")
}

func TestAKnownReadyMemberMustBeMet(t *testing.T) {
	r := newRig(t, joining)
	r.up(1, 60)
	r.up(2, 70)
	r.payload(2, 1, 0) // says that it is ready
	r.roundDone(1, RoundResult{Converged: true, Began: r.now.Add(time.Second)})
	require.False(t, r.m.Ready())
	got := r.tick()
	require.EqualValues(t, 2, got.Rounds[0].Peer, "whoever can make us ready comes first")
	require.True(t, r.roundDone(2, RoundResult{Initiator: true, Converged: true, PeerReady: true}).Ready)
}

func TestAPeerThatBecomesReadyAfterItsRoundIsMetAgain(t *testing.T) {
	r := newRig(t, joining)
	r.up(1, 40) // the oldest, and not ready itself when the round began
	require.Empty(t, r.roundDone(1, RoundResult{Initiator: true, Converged: true}).Rounds)
	require.True(t, r.m.NextDeadline().IsZero())

	got := r.payload(1, 7, 7)
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonNotReady, Bulk: true}}, got.Rounds)
	require.True(t, r.roundDone(1, RoundResult{Initiator: true, Converged: true, PeerReady: true}).Ready)
}

func TestWhoeverCanMakeUsReadyComesFirst(t *testing.T) {
	r := newRig(t, joining)
	r.up(1, 1) // runs
	r.up(2, 2)
	r.pass(time.Millisecond)
	r.up(3, 3) // due later than 2
	r.payload(3, 1, 0)
	got := r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.EqualValues(t, 3, got.Rounds[0].Peer)
}

// A member that has joined asks one of those that are ready for everything. What
// the others would bring it meanwhile it would get twice.
func TestAPeerThatIsNotReadyIsLeftToFetchByItself(t *testing.T) {
	r := newRig(t)
	require.Empty(t, r.up(2, 51).Rounds)
	r.m.PeerPayload(r.now, 2, &Payload{}, Unlike, &r.out)
	require.Empty(t, r.take().Rounds)
	require.Equal(t, r.now.Add(joinPatience), r.m.NextDeadline(), "not after an interval, as with others")
	r.pass(joinPatience / 2)
	r.m.Tick(r.now, &r.out)
	require.Empty(t, r.take().Rounds)

	got := r.payload(2, 8, 7)
	require.Equal(t, []RoundStart{{Peer: 2, Reason: ReasonPeerUp, Bulk: true}}, got.Rounds, "it is ready: what is owed is due")
	r.roundDone(2, RoundResult{Initiator: true, Converged: true})
	r.m.PeerPayload(r.now, 2, &Payload{}, Unlike, &r.out)
	require.Equal(t, start.Add(joinPatience), r.m.NextDeadline(), "what differs waits too")
}

func TestAPeerThatNeverGetsReadyIsHelpedInTheEnd(t *testing.T) {
	r := newRig(t)
	r.up(2, 51)
	r.m.PeerPayload(r.now, 2, &Payload{}, Unlike, &r.out)
	r.take()
	require.Len(t, r.tick().Rounds, 1)
	require.Equal(t, start.Add(joinPatience), r.now)
}

func TestWhoAsksOrLeavesDoesNotWaitForAPeerThatFetches(t *testing.T) {
	for name, step := range map[string]func(r *rig){
		"asked":   func(r *rig) { r.m.SyncAll(r.now, &r.out) },
		"leaving": func(r *rig) { r.m.Leaving(r.now, &r.out) },
	} {
		r := newRig(t)
		r.up(2, 51)
		r.m.PeerPayload(r.now, 2, &Payload{}, Unlike, &r.out)
		r.pass(2 * DefaultSyncInterval)
		step(r)
		require.Len(t, r.take().Rounds, 1, name)
	}
}

// Two that begin a cluster together wait for nobody.
func TestNobodyIsLeftToFetchByANodeThatIsNotReadyEither(t *testing.T) {
	r := newRig(t, joining)
	r.up(2, 51)
	r.m.PeerPayload(r.now, 2, &Payload{}, Unlike, &r.out)
	r.take()
	require.Equal(t, r.now.Add(DefaultSyncInterval), r.m.NextDeadline())
}
