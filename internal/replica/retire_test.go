package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/engine"
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
		x.h[i] = NewHorizon(x.stores[i].Engine, time.Minute)
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
			r, f := h.Tend(x.stores[i].now)
			retired[i], forgotten[i] = retired[i]+r, forgotten[i]+f
		}
	}
	return retired, forgotten
}

const former = 9 // the instance that is gone

func (x *telling) sees(i int, time uint64) {
	x.stores[i].Reach(former, time, 0)
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
