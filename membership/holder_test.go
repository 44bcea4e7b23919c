package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestANewcomerIsRefusedWhileTheHolderOfItsNameAnswers(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		ctx, w := t.Context(), newWire()
		x, px := w.start(t, "x", 1)
		defer x.Close()
		a, pa := w.start(t, "a", 2)
		defer a.Close()
		_, err := a.Contact(ctx, "x:1")
		require.NoError(t, err)
		pass(time.Minute) // a is no newcomer any more

		for _, seed := range []string{"x:1", "a:1"} { // a third member, and the holder itself
			p := &port{w: w, addr: "elsewhere:1", payloads: make(map[string]string)}
			second := w.startAt(t, p, "a", 9)
			begin := time.Now()
			_, err = second.Contact(ctx, seed)
			require.ErrorIs(t, err, ErrYielded)
			require.ErrorContains(t, err, "a:1")
			require.LessOrEqual(t, time.Since(begin), holderTimeout)
			p.mu.Lock()
			last := p.events[len(p.events)-1]
			p.mu.Unlock()
			require.Equal(t, EventConflict, last.Kind)
			require.True(t, last.Fatal)
			require.Equal(t, "a:1", last.Member.PeerAddr)
			_, err = second.Contact(ctx, seed)
			require.ErrorIs(t, err, ErrYielded, "for good")
			w.stop(second)
			pass(time.Minute)
		}
		require.Equal(t, 1, px.saw(EventNameTaken, "a"))
		require.Equal(t, 1, pa.saw(EventNameTaken, "a"))
		for _, l := range []*Loop{x, a} {
			require.Equal(t, uint64(2), l.Members()[0].Instance, "nobody believed the newcomer")
			require.Equal(t, map[string]State{"a": Alive, "x": Alive}, states(l))
		}
		require.Zero(t, pa.saw(EventConflict, "a"), "and the holder was not disturbed")
	})
}

func TestARestartJoinsAtOnceThoughNobodyMissedItsPredecessor(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		ctx, w := t.Context(), newWire()
		x, _ := w.start(t, "x", 1)
		defer x.Close()
		a, _ := w.start(t, "a", 2)
		_, err := a.Contact(ctx, "x:1")
		require.NoError(t, err)
		pass(time.Minute)

		// At another address, where the predecessor's swallows everything.
		w.stop(a)
		w.mu.Lock()
		w.hang["a:1"] = true
		w.mu.Unlock()
		p := &port{w: w, addr: "elsewhere:1", payloads: make(map[string]string)}
		second := w.startAt(t, p, "a", 9)
		begin := time.Now()
		_, err = second.Contact(ctx, "x:1")
		require.NoError(t, err)
		require.Equal(t, holderTimeout, time.Since(begin))
		require.Equal(t, "elsewhere:1", x.Members()[0].PeerAddr)
		w.stop(second)

		// At the same address there is nothing to wait for.
		p = &port{w: w, addr: "elsewhere:1", payloads: make(map[string]string)}
		third := w.startAt(t, p, "a", 10)
		defer third.Close()
		begin = time.Now()
		_, err = third.Contact(ctx, "x:1")
		require.NoError(t, err)
		require.Zero(t, time.Since(begin))
		require.Equal(t, uint64(10), x.Members()[0].Instance)
	})
}

func TestAContactHandsOutWhatItLearnedBeforeItReturns(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		ctx, w := t.Context(), newWire()
		x, _ := w.start(t, "x", 1)
		defer x.Close()
		a, pa := w.start(t, "a", 2)
		defer a.Close()
		instance, err := a.Contact(ctx, "x:1")
		require.NoError(t, err)
		require.Equal(t, uint64(1), instance)
		require.Equal(t, 1, pa.saw(EventJoined, "x"))

		_, err = a.Contact(ctx, "alias-of-a:1")
		require.ErrorIs(t, err, ErrSelf)
		_, err = a.Contact(ctx, "nobody:1")
		require.ErrorContains(t, err, "connection refused")
		_, err = a.Contact(ctx, "garbage")
		require.ErrorIs(t, err, ErrMalformed)
		w.mu.Lock()
		w.hang["deaf:1"] = true
		w.mu.Unlock()
		_, err = a.Contact(ctx, "deaf:1")
		require.Error(t, err)
		require.NoError(t, ctx.Err(), "a contact has an end of its own")
	})
}

func TestOnlyAnOlderLiveHolderElsewhereIsAskedAbout(t *testing.T) {
	member := func(change func(*Member)) Member {
		m := plain("a", 2)
		change(&m)
		return m
	}
	request := func(claims ...Member) *PushPull {
		return &PushPull{From: 9, Members: append(claims, member(func(m *Member) { m.Instance, m.Started, m.PeerAddr = 9, 200, "new:1" }))}
	}
	holds := func(holder Member, req *PushPull) bool {
		_, _, ok := holderOf([]Member{plain("x", 1), holder}, req)
		return ok
	}
	require.True(t, holds(plain("a", 2), request()))
	require.True(t, holds(member(func(m *Member) { m.State = Suspect }), request()), "it may answer yet")
	require.False(t, holds(member(func(m *Member) { m.State = Dead }), request()))
	require.False(t, holds(member(func(m *Member) { m.State = Left }), request()))
	require.False(t, holds(member(func(m *Member) { m.Started = 300 }), request()), "of two that start the younger gives way")
	require.False(t, holds(member(func(m *Member) { m.PeerAddr = "new:1" }), request()), "the newcomer is there now")
	require.False(t, holds(member(func(m *Member) { m.Instance = 9 }), request()), "it is the holder")
	require.False(t, holds(plain("b", 2), request()))
	require.False(t, holds(plain("a", 2), request(plain("y", 7))), "who knows others has been believed")
	require.True(t, holds(plain("a", 2), request(member(func(m *Member) { m.Name, m.State = "y", Dead }))))
	require.False(t, holds(plain("a", 2), &PushPull{From: 9}), "who does not name itself is for the machine to refuse")
}

func TestAnEstablishedMemberDoesNotYieldToAWord(t *testing.T) {
	m, out := lone(t, nil)
	m.Tick(simStart, out)
	m.Contacted(simStart, "x:1", &NameTaken{From: 5, Holder: plain("another", 7)}, out)
	require.False(t, m.yielded, "not our name")
	require.Equal(t, 1, kinds(out)[EventBadMessage])
	m.Contacted(simStart.Add(newcomer), "x:1", &NameTaken{From: 5, Holder: plain("a", 77)}, out)
	require.False(t, m.yielded)
	require.Equal(t, 1, kinds(out)[EventConflict])
}
