package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/merkle"
)

// telling is two members that tell each other, as probes do, how they stand.
type telling struct {
	t      *testing.T
	stores [2]*store
	h      [2]*Horizon
}

func newTelling(t *testing.T) *telling {
	x := &telling{t: t}
	for i := range x.h {
		x.stores[i] = newStore(uint64(i + 1))
		x.h[i] = NewHorizon(x.stores[i].Engine, HorizonConfig{Grace: time.Minute, SeekPause: time.Millisecond})
	}
	x.h[0].Alive(2, "b")
	x.h[1].Alive(1, "a")
	return x
}

// tell has the members pass their payloads on, and tend, a few times.
func (x *telling) tell() (retired, forgotten [2]int) {
	for range 4 {
		for i, h := range x.h {
			x.stores[i].now++
			p := PayloadOf(x.stores[i].Engine, h, x.stores[i].now)
			got, err := ParsePayload(p.AppendTo(nil))
			require.NoError(x.t, err)
			to := x.stores[1-i]
			to.now = max(to.now, x.stores[i].now)
			_ = to.Clock().Observe(to.now, got.Clock)
			x.h[1-i].HeardGone(uint64(i+1), &got.Gone)
			x.h[1-i].Heard(uint64(i+1), got.Report)
		}
		for i, h := range x.h {
			h.Purge(time.UnixMilli(x.stores[i].now))
			tended := h.Tend(time.UnixMilli(x.stores[i].now), x.stores[i].now)
			retired[i], forgotten[i] = retired[i]+len(tended.Retired), forgotten[i]+tended.Forgotten
		}
	}
	return retired, forgotten
}

const former = 9 // the instance that is gone

func (x *telling) sees(i int, last uint64) {
	x.stores[i].Reach(former, last, 0)
	x.h[i].Alive(former, "c")
}

func TestAnInstanceThatAllHaveSeenAlikeIsRetiredAndForgotten(t *testing.T) {
	x := newTelling(t)
	for i := range x.h {
		x.sees(i, 5)
		x.h[i].Left(former)
	}
	x.tell()
	x.tell()
	for i := range x.h {
		require.False(t, x.stores[i].Names(former))
		require.False(t, x.h[i].Gone(former), "it is forgotten, too")
		require.Zero(t, x.h[i].Leaving(nil))
	}
}

func TestAnInstanceStaysWhileOneHasSeenLessOfIt(t *testing.T) {
	x := newTelling(t)
	x.sees(0, 5)
	x.sees(1, 4)
	for i := range x.h {
		x.h[i].Left(former)
	}
	retired, _ := x.tell()
	require.Zero(t, retired)
	x.stores[1].Reach(former, 5, 0)
	x.tell()
	x.tell()
	require.False(t, x.stores[0].Names(former) || x.stores[1].Names(former))
}

func TestAnInstanceStaysWhileOneOfItsEntriesIsHeld(t *testing.T) {
	x := newTelling(t)
	for i := range x.h {
		x.sees(i, 5)
		x.h[i].Left(former)
	}
	e := engine.Entry{
		Key: "k", Value: []byte("v"), Kind: engine.KindPut, Checksum: engine.Checksum([]byte("v")),
		Version: engine.Version{Time: 6, Instance: former},
	}
	x.stores[1].Merge(x.stores[1].now, &e, nil)
	retired, _ := x.tell()
	require.Zero(t, retired)
}

func TestAnInstanceStaysWhileASessionGoesOnAndIsLetInNoMore(t *testing.T) {
	x := newTelling(t)
	for i := range x.h {
		x.sees(i, 5)
	}
	end, ok := x.h[1].SessionBegins(1)
	require.True(t, ok)
	for i := range x.h {
		x.h[i].Left(former)
	}
	retired, _ := x.tell()
	require.Zero(t, retired, "a list that is on its way may bring an entry")
	_, ok = x.h[0].SessionBegins(former)
	require.False(t, ok)
	_, ok = x.h[0].PushesBegin(former)
	require.False(t, ok)
	end()
	x.tell()
	x.tell()
	require.False(t, x.stores[0].Names(former) || x.stores[1].Names(former))
}

// pass lets time go by at both, who tend meanwhile.
func (x *telling) pass(d time.Duration) {
	for ; d > 0; d -= time.Second {
		x.jump(min(d, time.Second))
		for i, h := range x.h {
			h.Purge(time.UnixMilli(x.stores[i].now))
			h.Tend(time.UnixMilli(x.stores[i].now), x.stores[i].now)
		}
	}
}

// jump lets time go by at once.
func (x *telling) jump(d time.Duration) {
	for _, s := range x.stores {
		s.now += d.Milliseconds()
	}
}

func (x *telling) time() time.Time { return time.UnixMilli(x.stores[0].now) }

func (x *telling) named() bool { return x.stores[0].Names(former) || x.stores[1].Names(former) }

func TestWhoseNameIsAnothersMayReturnForAWhile(t *testing.T) {
	x := newTelling(t)
	for i, h := range x.h {
		x.sees(i, 5)
		h.Failed(x.time(), former)
		h.Alive(former+1, "c")
	}
	x.pass(10*time.Minute - time.Second)
	x.tell()
	require.True(t, x.named())
	_, ok := x.h[0].SessionBegins(former)
	require.True(t, ok, "of two that bear one name, the older one goes on")
	x.h[0].Alive(former, "c")
	x.pass(2 * time.Second)
	x.tell()
	require.False(t, x.h[0].Gone(former))
	require.True(t, x.h[1].Gone(former))
	_, ok = x.h[1].PushesBegin(former)
	require.False(t, ok)
}

func TestWhoWasForgottenMayReturnForAWhile(t *testing.T) {
	x := newTelling(t)
	for i, h := range x.h {
		x.sees(i, 5)
		require.False(t, h.Forget(former), "it is alive")
		h.Failed(x.time(), former)
		require.True(t, h.Forget(former))
		require.Equal(t, []uint64{former}, h.MayReturn("c"))
	}
	x.tell()
	require.True(t, x.named())
	x.h[0].Alive(former, "c")
	x.pass(10 * time.Minute)
	x.tell()
	require.False(t, x.h[0].Gone(former), "it has returned")
	require.True(t, x.h[1].Gone(former))
}

func TestAnInstanceThatNobodyRemembersGoesInTheEnd(t *testing.T) {
	x := newTelling(t)
	for _, s := range x.stores {
		s.Reach(former, 5, 0) // by the statement of somebody who has left
	}
	x.tell()
	x.pass(time.Hour - time.Second)
	x.tell()
	require.True(t, x.named())
	x.pass(time.Minute)
	x.tell()
	x.tell()
	require.False(t, x.named())
	require.Zero(t, x.h[0].Leaving(nil))
}

func TestAStrangerThatTurnsOutToLiveIsAMember(t *testing.T) {
	x := newTelling(t)
	x.stores[0].Reach(former, 5, 0)
	x.tell()
	x.pass(2 * time.Hour)
	x.tell()
	require.NotZero(t, x.h[0].Leaving(nil))
	_, ok := x.h[0].SessionBegins(former)
	require.True(t, ok, "its end is a guess")
	x.h[0].Alive(former, "c")
	require.Zero(t, x.h[0].Leaving(nil))
	for range 5 {
		x.pass(time.Hour)
		x.tell()
	}
	require.True(t, x.stores[0].Names(former))
}

func TestWhoHasSeenSomethingElseIsOwedARound(t *testing.T) {
	x := newTelling(t)
	x.sees(0, 5)
	x.h[0].Left(former)
	x.tell()
	var unlike []uint64
	for range 5 {
		x.jump(time.Minute)
		unlike = append(unlike, x.h[0].Tend(x.time(), x.stores[0].now).Unlike...)
		x.tell()
	}
	require.Contains(t, unlike, uint64(2))
	require.True(t, x.stores[0].Names(former))
	x.stores[1].Reach(former, 5, 0) // the round
	for range 5 {
		x.pass(time.Minute)
		x.tell()
	}
	require.False(t, x.named(), x.h[0].Explain(former))
}

func TestAThousandRestartsLeaveNothingBehind(t *testing.T) {
	x := newTelling(t)
	for _, h := range x.h {
		h.cfg.GoneAfter = 2 * time.Second
	}
	const restarts = 1000
	held := map[uint64]bool{1: true, 2: true, 1000 + restarts - 1: true} // the members, and whose entry is there
	for i := range uint64(restarts) {
		id := 1000 + i
		for j, h := range x.h {
			h.Failed(x.time().Add(-time.Minute), id-1)
			h.Alive(id, "c")
			x.stores[j].Reach(id, 5, 0)
			e := engine.Entry{Key: "of c", Kind: engine.KindPut, Checksum: engine.Checksum(nil), Version: engine.Version{Time: 10 + i, Instance: id}}
			outcome, _ := x.stores[j].Merge(x.stores[j].now, &e, nil)
			require.Equal(t, merkle.Applied, outcome)
		}
		x.pass(time.Second)
		if i%50 == 0 {
			x.tell()
		}
	}
	for _, h := range x.h {
		h.Left(1000 + restarts - 1)
	}
	for range 10 * restarts {
		x.pass(time.Second)
		x.tell()
		if x.h[0].Leaving(held) == 0 && x.h[1].Leaving(held) == 0 {
			break
		}
	}
	for i, s := range x.stores {
		for _, id := range s.Named() {
			require.True(t, held[id], x.h[i].Explain(id))
		}
		require.Empty(t, x.h[i].MayReturn("c"))
		require.Zero(t, x.h[i].Leaving(held))
	}
}

func ofFormer(at uint64) *engine.Entry {
	return &engine.Entry{
		Key: "k", Value: []byte("v"), Kind: engine.KindPut, Checksum: engine.Checksum([]byte("v")),
		Version: engine.Version{Time: at, Instance: former},
	}
}

// One that is forgotten and comes back after all knows nothing of what was deleted.
func TestWhoComesBackWhenItsIDHasGoneIsRefusedStill(t *testing.T) {
	x := newTelling(t)
	for i := range x.h {
		x.sees(i, 5)
		x.stores[i].Merge(x.stores[i].now, ofFormer(6), nil)
		x.stores[i].Reach(former, 6, 0) // pushed, and seen
	}
	for i, h := range x.h {
		h.Failed(x.time(), former)
		_, _, err := x.stores[i].Delete(x.stores[i].now, "k")
		require.NoError(t, err)
		require.True(t, h.Forget(former))
	}
	x.pass(11 * time.Minute)
	for range 10 {
		x.pass(time.Minute)
		for i := range x.h {
			clock, _ := x.stores[1-i].Progress()
			x.stores[i].Reach(uint64(2-i), clock, 0)
		}
		x.tell()
	}
	require.Zero(t, x.stores[0].Stats().Tombstones)
	require.False(t, x.named())
	for _, h := range x.h {
		h.Alive(former, "c")
		require.True(t, h.Gone(former))
		_, ok := h.SessionBegins(former)
		require.False(t, ok)
		_, ok = h.PushesBegin(former)
		require.False(t, ok)
		require.Empty(t, h.MayReturn("c"))
	}
}

func TestWhatOneSessionBringsMakesNoClaimOfAnotherFalse(t *testing.T) {
	x := newTelling(t)
	for i := range x.h {
		x.sees(i, 5)
		x.h[i].Left(former)
	}
	end0, ok := x.h[1].SessionBegins(1)
	require.True(t, ok)
	x.tell() // it holds nothing of former any more
	end1, ok := x.h[1].SessionBegins(1)
	require.True(t, ok)
	defer end1()
	x.stores[1].Merge(x.stores[1].now, ofFormer(6), nil) // of the first session
	end0()
	x.tell()
	x.tell()
	require.True(t, x.stores[0].Names(former), "retired while the other holds an entry of it")
}

func TestWhoWasBelievedDeadWhenItLeftIsGoneToo(t *testing.T) {
	x := newTelling(t)
	for i := range x.h {
		x.sees(i, 5)
	}
	x.h[0].Left(former)
	x.h[1].Failed(x.time(), former)
	for range 30 {
		x.pass(time.Minute)
		x.tell()
	}
	require.False(t, x.named())
}

func TestWhoWasPausedHearsFromTheOthersBeforeItJudges(t *testing.T) {
	x := newTelling(t)
	for i, h := range x.h {
		x.sees(i, 5)
		h.Failed(x.time(), former)
		require.True(t, h.Forget(former))
	}
	x.tell()
	x.h[1].Alive(former, "c")
	x.jump(11 * time.Minute)
	x.h[0].Tend(x.time(), x.stores[0].now)
	x.h[0].Alive(former, "c")
	_, ok := x.h[0].SessionBegins(former)
	require.True(t, ok)
}

func TestADeadMemberThatWasNeverMetMayReturn(t *testing.T) {
	x := newTelling(t)
	for i, s := range x.stores {
		s.Reach(former, 6, 0) // by the statements of those before
		x.h[i].Known(former, "c", false)
	}
	x.pass(2 * time.Hour)
	x.tell()
	require.True(t, x.named())
	for _, h := range x.h {
		h.Known(former, "c", true)
	}
	for range 5 {
		x.pass(time.Minute)
		x.tell()
	}
	require.False(t, x.named())
}

func TestWhoIsOneTooManyToBeGoneStaysNamed(t *testing.T) {
	x := newTelling(t)
	x.sees(0, 5)
	h := x.h[0]
	h.cfg.GoneAfter = time.Second
	for i := range uint64(mostGone) {
		h.retire.gone[1000+i] = &goneMember{}
	}
	h.Failed(x.time().Add(-time.Hour), former)
	require.True(t, h.Forget(former))
	x.pass(3 * time.Second)
	require.Equal(t, []uint64{former}, h.MayReturn("c"))
	delete(h.retire.gone, 1000)
	x.pass(3 * time.Second)
	require.Empty(t, h.MayReturn("c"))
	require.True(t, h.Gone(former))
}
