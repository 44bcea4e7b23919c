package replica

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/engine"
)

func TestAWriteGoesToEachLivePeerAtOnce(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.settled(2)
	e := r.write("k")
	got := r.take()
	require.Equal(t, []Push{
		{To: 1, Seq: 1, Entries: []*engine.Entry{e}},
		{To: 2, Seq: 2, Entries: []*engine.Entry{e}},
	}, got.Pushes)
	require.Empty(t, got.Rounds)
	require.True(t, r.m.NextDeadline().IsZero())
}

func TestWritesGatherWhileAPushIsInFlight(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.write("a")
	first := r.take().Pushes[0]
	for _, k := range []string{"b", "c", "d"} {
		r.write(k)
	}
	require.Empty(t, r.take().Pushes)
	require.False(t, r.m.Drained())

	got := r.pushDone(first, false).Pushes
	require.Len(t, got, 1)
	require.Equal(t, []string{"b", "c", "d"}, keys(got[0].Entries))
	require.Empty(t, r.pushDone(got[0], false).Pushes)
	require.True(t, r.m.Drained())
}

func TestASlowPeerDoesNotHoldUpTheOthers(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.settled(2)
	r.write("a")
	first := r.take().Pushes
	r.pushDone(first[1], false)
	r.write("b")
	got := r.take().Pushes
	require.Len(t, got, 1)
	require.EqualValues(t, 2, got[0].To)
}

func TestABatchIsBoundedInBytes(t *testing.T) {
	r := newRig(t, func(c *Config) { c.BatchBytes = 3 * (entryOverhead + 11) })
	r.settled(1)
	r.write("0")
	push := r.take().Pushes[0]
	for i := range 7 {
		r.write(fmt.Sprint(i + 1))
	}
	var sizes []int
	for {
		got := r.pushDone(push, false).Pushes
		if len(got) == 0 {
			break
		}
		push = got[0]
		sizes = append(sizes, len(push.Entries))
	}
	require.Equal(t, []int{3, 3, 1}, sizes)
}

func TestAnEntryOverTheBatchGoesAlone(t *testing.T) {
	r := newRig(t, func(c *Config) { c.BatchBytes = 100 })
	r.settled(1)
	r.write("0")
	push := r.take().Pushes[0]
	r.m.Write(r.now, entryOf("big", 1000, 9), &r.out)
	r.write("after")
	got := r.pushDone(push, false).Pushes[0]
	require.Equal(t, []string{"big"}, keys(got.Entries))
}

func TestAnOverflowDropsTheQueueAndOwesARound(t *testing.T) {
	r := newRig(t, func(c *Config) { c.QueueBytes = 3 * (entryOverhead + 11) })
	r.settled(1)
	r.settled(2)
	r.write("0")
	pushes := r.take().Pushes
	r.pushDone(pushes[1], false)
	for i := range 4 {
		r.write(fmt.Sprint(i + 1))
		got := r.take()
		for _, p := range got.Pushes {
			require.EqualValues(t, 2, p.To, "the other peer is not touched by it")
			r.pushDone(p, false)
		}
		if i < 3 {
			require.Zero(t, got.Dropped)
			continue
		}
		require.Equal(t, 4, got.Dropped)
		require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonQueueDropped, Bulk: true}}, got.Rounds)
	}
	require.Equal(t, []uint64{1}, r.m.Behind())

	r.write("5")
	for _, p := range r.take().Pushes {
		r.pushDone(p, false)
	}
	got := r.pushDone(pushes[0], false).Pushes
	require.Equal(t, []string{"5"}, keys(got[0].Entries), "what came after the drop is pushed")
	r.pushDone(got[0], false)
	require.False(t, r.m.Drained(), "the dropped ones are still on their way")
	r.roundDone(1, RoundResult{Initiator: true, Converged: true})
	require.True(t, r.m.Drained())
	require.Empty(t, r.m.Behind())
}

func TestAFailedPushOwesARound(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.write("a")
	push := r.take().Pushes[0]
	r.write("b")
	got := r.pushDone(push, true)
	require.Equal(t, 1, got.Dropped)
	require.Empty(t, got.Pushes)
	require.Equal(t, []RoundStart{{Peer: 1, Reason: ReasonPushFailed}}, got.Rounds)

	r.write("c")
	require.Len(t, r.take().Pushes, 1, "the link is tried again with the next write")
}

func TestAResultIsTakenOnce(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.write("a")
	push := r.take().Pushes[0]
	r.write("b")
	next := r.pushDone(push, false).Pushes[0]
	for _, stale := range []Push{push, {To: 1, Seq: 77}, {To: 1}, {To: 9, Seq: next.Seq}} {
		require.Empty(t, r.pushDone(stale, true).Rounds)
	}
	require.False(t, r.m.Drained())
	r.pushDone(next, false)
	require.True(t, r.m.Drained())
}

func TestALinkStaysBusyWhileItsPeerGoesAndComes(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.write("a")
	push := r.take().Pushes[0]
	r.write("b")
	r.m.PeerDown(r.now, 1, &r.out)
	require.True(t, r.m.Drained(), "a peer that is down holds nothing up")
	require.Zero(t, r.m.peers[0].queue.len(), "nor any memory")
	r.up(1, 1)
	r.write("c")
	require.Empty(t, r.take().Pushes, "never two pushes in flight to one peer")

	got := r.pushDone(push, true)
	require.Zero(t, got.Dropped, "the failure belongs to the peer's former life")
	require.Equal(t, []string{"c"}, keys(got.Pushes[0].Entries))
}

func TestAPeerThatWentIsForgottenOnceItsPushHasEnded(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.settled(2)
	r.write("a")
	pushes := r.take().Pushes
	r.m.PeerDown(r.now, 1, &r.out)
	r.m.PeerDown(r.now, 1, &r.out)
	r.m.PeerDown(r.now, 9, &r.out)
	require.Len(t, r.m.peers, 2)
	r.pushDone(pushes[0], true)
	require.Len(t, r.m.peers, 1)
	r.write("b")
	require.Empty(t, r.take().Pushes)
	r.pass(time.Hour)
	require.Len(t, r.pushDone(pushes[1], false).Pushes, 1)
}

func TestAQueueGivesBackWhatItHasSent(t *testing.T) {
	var q queue
	next, taken := uint64(0), uint64(0)
	for range 1000 {
		for range 3 {
			q.push(entryOf("k", 0, next))
			next++
		}
		entries := q.take(2 * (entryOverhead + 1))
		require.Len(t, entries, 2)
		for _, e := range entries {
			require.Equal(t, taken, e.Version.Time)
			taken++
		}
		require.LessOrEqual(t, len(q.items), 2*q.len()+3)
	}
	require.Equal(t, int(next-taken), q.len())
	require.Equal(t, q.len()*(entryOverhead+1), q.bytes)
	require.Equal(t, 1000, q.drop())
	entries := q.take(1)
	require.Empty(t, entries)
}

func TestAPeerIsFullUntilItSaysOtherwiseOrIsGone(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.settled(2)
	says := func(instance uint64, full bool) {
		r.m.PeerPayload(r.now, instance, &Payload{Ready: true, Full: full}, Same, &r.out)
	}
	says(2, true)
	says(1, true)
	says(3, true) // nobody
	require.Equal(t, []uint64{1, 2}, r.m.Full(nil))
	says(1, false)
	require.Equal(t, []uint64{2}, r.m.Full(nil))
	r.m.PeerDown(r.now, 2, &r.out)
	require.Empty(t, r.m.Full(nil))
}

func TestQueuedIsWhatWaitsForThePeers(t *testing.T) {
	r := newRig(t)
	r.settled(1)
	r.settled(2)
	r.write("a") // in flight
	require.Zero(t, r.m.Queued())
	first := r.take().Pushes
	r.write("b")
	require.Equal(t, 2*(entryOverhead+11), r.m.Queued())
	r.pushDone(first[0], false)
	require.Equal(t, entryOverhead+11, r.m.Queued())
	r.pushDone(first[1], false)
	require.Zero(t, r.m.Queued())
}

func TestWhatWasWrittenTogetherGoesTogether(t *testing.T) {
	r := newRig(t, func(c *Config) { c.BatchBytes = 3 * (entryOverhead + 11) })
	r.settled(1)
	together := func(keys ...string) {
		var entries []*engine.Entry
		for _, k := range keys {
			r.seq++
			entries = append(entries, entryOf(k, 10, r.seq))
		}
		r.m.WriteBatch(r.now, entries, &r.out)
	}
	together("a", "b", "c", "d", "e") // more than a push is bounded to
	got := r.take().Pushes
	require.Len(t, got, 1)
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, keys(got[0].Entries))

	r.write("f")
	together("g", "h", "i")
	together("j", "k", "l", "m")
	r.write("n")
	for _, want := range [][]string{{"f"}, {"g", "h", "i"}, {"j", "k", "l", "m"}, {"n"}} {
		got = r.pushDone(got[0], false).Pushes
		require.Len(t, got, 1)
		require.Equal(t, want, keys(got[0].Entries))
	}
	r.pushDone(got[0], false)
	require.True(t, r.m.Drained())
}
