package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheTableIsBounded(t *testing.T) {
	m, out := lone(t, nil)
	for i := range 5 { // 20,000 live members, as a broken member may invent them
		batch := make([]Member, 4000)
		for j := range batch {
			batch[j] = plain(fmt.Sprintf("x%d-%d", i, j), uint64(10+i*4000+j))
		}
		m.Step(simStart, "b:1", &PushPull{From: 2, Members: batch}, out)
		require.NoError(t, checkTable(m))
	}
	require.Len(t, m.table.all, MaxMembers)
	require.Equal(t, 1, kinds(out)[EventTableFull], "a flood is one event a step")
	require.LessOrEqual(t, len(m.wholeTable(true).AppendTo(nil)), MaxPushPullBytes)

	// There is room again once somebody has gone.
	out.Reset()
	hears(m, simStart, with(plain("x0-0", 10), func(m *Member) { m.State = Left }), out)
	hears(m, simStart, plain("late", 7), out)
	require.NoError(t, checkTable(m))
	require.Len(t, m.table.all, MaxMembers)
	require.NotNil(t, m.table.byName["late"])
	require.Nil(t, m.table.byName["x0-0"])
}

func TestTheDeadAndTheLeftAreBounded(t *testing.T) {
	for _, c := range []struct {
		state State
		limit int
	}{{Dead, MaxDead}, {Left, MaxLeft}} {
		m, out := lone(t, nil)
		all := others(1500)
		m.Step(simStart, "m0000:1", &PushPull{From: 1000, Members: all}, out)
		for i, member := range all[1:] {
			hears(m, simStart.Add(time.Duration(i)), with(member, func(m *Member) { m.State = c.state }), out)
		}
		require.NoError(t, checkTable(m))
		require.Len(t, m.table.all, 2+c.limit)
		require.Nil(t, m.table.byName[all[1].Name], "the first to go is the first forgotten")
		require.NotNil(t, m.table.byName[all[1499].Name])
	}
}

func TestJoinAddressesAndCallsAreBounded(t *testing.T) {
	m, out := lone(t, nil)
	addrs := make([]string, MaxJoinAddrs)
	for i := range addrs {
		addrs[i] = fmt.Sprintf("h%d:1", i)
	}
	require.NoError(t, m.Join(simStart, addrs, out))
	require.Len(t, out.PushPulls, m.cfg.RejoinFanout)
	require.ErrorContains(t, m.Join(simStart, []string{"one-more:1"}, out), "1025 addresses, the limit is 1024")
	require.ErrorContains(t, m.Join(simStart, []string{""}, out), "empty")

	// Nobody answers, and the driver forgets to say so: at most 16 calls are
	// open, and every address gets its turn.
	called := make(map[string]bool)
	for range 1000 {
		now := m.NextDeadline()
		m.Tick(now, out)
		require.LessOrEqual(t, len(m.tables.calls), maxCalls)
		for _, c := range out.PushPulls {
			called[c.To] = true
		}
		out.Reset()
	}
	require.Len(t, called, MaxJoinAddrs)
}

// In a large cluster the dead are called by a few members each, not by all.
func TestTheCostOfADeadMemberDoesNotGrowWithTheCluster(t *testing.T) {
	w := newWorld(t, 3, 60)
	for _, n := range w.nodes {
		n.join = []string{w.nodes[0].addr}
	}
	w.startAll()
	w.nodes[7].crash()
	w.runFor(30 * time.Second)
	require.NoError(t, w.agreed())
	w.refused = 0
	w.runFor(200 * time.Second)
	require.InDelta(t, 100*rejoinRedundancy, w.refused, 100*rejoinRedundancy*0.25, "four calls in two seconds")
}

func TestTheIntervalOfExchangesGrowsBeyondSixtyFourMembers(t *testing.T) {
	interval := func(n int) time.Duration {
		m, _ := among(t, n, nil)
		var sum time.Duration
		for range 200 {
			m.tables.nextExchange, m.tables.eager = time.Time{}, 0
			m.scheduleExchange(simStart)
			sum += m.tables.nextExchange.Sub(simStart)
		}
		return sum / 200
	}
	require.InDelta(t, 30, interval(10).Seconds(), 3)
	require.InDelta(t, 30*16, interval(1000).Seconds(), 48)
}

// Many that start at once, all by one address, are given the table of a
// moment; a second exchange soon after makes up for it.
func TestAMassStartIsOneClusterWithinSeconds(t *testing.T) {
	for seed := range uint64(seeds(4)) {
		w := newWorld(t, seed, 60)
		for _, n := range w.nodes {
			n.join = []string{w.nodes[0].addr}
			n.start()
		}
		t.Logf("seed %d: %s", seed, w.runUntil(5*time.Second, "start", w.agreed))
	}
}

func TestNewsInATableIsFollowedByExchangesSoonThenLessOften(t *testing.T) {
	m, out := among(t, 1, nil)
	b := others(1)[0]
	var at []time.Duration
	for len(at) < 7 {
		now := m.NextDeadline()
		m.Tick(now, out)
		for _, p := range out.Packets {
			if probe, ok := p.Msg.(*Probe); ok {
				m.Step(now, p.To, &Ack{Seq: probe.Seq, From: b.Instance}, out)
			}
		}
		for _, c := range out.PushPulls {
			m.Answered(now, c.ID, &PushPull{Reply: true, From: b.Instance, Members: []Member{b}}, out)
			at = append(at, now.Sub(simStart))
		}
		out.Reset()
	}
	t.Log(at)
	require.Less(t, at[0], 3*time.Second)
	require.Less(t, at[3], 45*time.Second)
	require.Greater(t, at[6]-at[3], 45*time.Second)
}

// Whoever returns from a partition believes everybody dead. Each is told so
// and refutes; nobody believes it.
func TestATablesAccusationsArePassedOnAndNotBelieved(t *testing.T) {
	m, out := among(t, 200, nil)
	accusations := others(200)
	for i := range accusations {
		accusations[i].State = Dead
	}
	m.Step(simStart, "z:1", &PushPull{From: 9, Members: append(accusations, plain("z", 9))}, out)
	require.Equal(t, map[EventKind]int{EventJoined: 1}, kinds(out))
	require.Len(t, out.Packets, maxWarnings)
	for _, p := range out.Packets {
		u := updatesOf(p.Msg)
		require.Len(t, u, 1)
		require.Equal(t, p.To, u[0].PeerAddr, "to the accused")
		require.Equal(t, Dead, u[0].State)
	}
}

func TestABrokenAnswerLeavesTheAddressUnanswered(t *testing.T) {
	m, out := lone(t, nil)
	require.NoError(t, m.Join(simStart, []string{"b:1"}, out))
	m.Answered(simStart, out.PushPulls[0].ID, &PushPull{From: 2}, out)
	require.Equal(t, 1, kinds(out)[EventBadMessage])
	require.Equal(t, []string{"b:1"}, m.Unanswered())
	m.Step(simStart, "b:1", &PushPull{Reply: true, From: 2}, out)
	m.Step(simStart, "b:1", nil, out)
	m.Step(simStart, "b:1", &PushPull{From: 1}, out)
	require.Equal(t, 4, kinds(out)[EventBadMessage])
	require.Len(t, m.Members(), 1)
}

// A seed that is named by address and comes up later, and two that name each
// other.
func TestJoinsMeetInWhateverOrderTheyComeUp(t *testing.T) {
	for seed := range uint64(seeds(20)) {
		w := newWorld(t, seed, 5)
		for i, n := range w.nodes {
			n.join = []string{w.nodes[(i+1)%5].addr} // a ring: nobody knows a common seed
			w.at(time.Duration(w.rng.IntN(20000))*time.Millisecond, n.start)
		}
		w.runFor(20 * time.Second)
		w.runUntil(5*time.Second, "join", w.agreed)
		w.runFor(5 * time.Second)
		for _, n := range w.nodes {
			require.Empty(t, n.machine.Unanswered())
		}
	}
}

func TestAWholeClusterRestarts(t *testing.T) {
	for seed := range uint64(seeds(10)) {
		w := newWorld(t, seed, 6)
		w.startAll()
		w.runFor(time.Minute)
		for _, n := range w.nodes {
			n.crash()
		}
		for _, n := range w.nodes {
			w.at(time.Duration(w.rng.IntN(3000))*time.Millisecond, n.start)
		}
		w.runFor(3 * time.Second)
		w.runUntil(5*time.Second, "restart", w.agreed)
	}
}
