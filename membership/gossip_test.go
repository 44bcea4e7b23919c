package membership

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// SWIM §4.1: each update is told λ log n times.
func TestAnUpdateIsToldLambdaLogNTimes(t *testing.T) {
	for n, want := range map[int]int{3: 4, 9: 4, 10: 8, 99: 8, 100: 12, 1000: 16} {
		m, out := among(t, n-1, nil)
		require.Equal(t, want, m.retransmits(), "%d members", n)
		c := with(others(1)[0], func(m *Member) { m.Incarnation++ })
		hears(m, simStart, c, out)
		out.Reset()
		tickUntil(m, simStart.Add(900*time.Millisecond), out)
		m.Step(simStart.Add(time.Second), "m0001:1", &Probe{Seq: 1, From: 1001, To: 1}, out)
		for i := 0; m.gossip.pending > 0; i++ {
			require.Less(t, i, 10)
			m.Tick(m.NextDeadline(), out)
		}
		require.Equal(t, want, told(out, c), "%d members", n)
		before := len(out.Packets)
		if last := m.gossip.nextRound; !last.IsZero() {
			m.gossip.nextRound, m.prober.nextProbe = simStart.Add(time.Second), time.Time{}
			m.tickGossip(simStart.Add(time.Second), out)
		}
		require.Len(t, out.Packets, before, "with nothing to tell no packet goes out")
		require.True(t, m.gossip.nextRound.IsZero(), "and no round is due")
	}
}

// SWIM §4.1: updates told least come first.
func TestUpdatesToldLeastComeFirst(t *testing.T) {
	m, out := among(t, 60, nil)
	for _, c := range others(60)[:40] {
		hears(m, simStart, with(c, func(m *Member) { m.Incarnation++ }), out)
	}
	packet := func() (names []string) {
		g := &Gossip{From: 1}
		g.Updates, _ = m.updates(m.room(g), 0, nil)
		for _, u := range g.Updates {
			names = append(names, u.Name)
		}
		return names
	}
	before := packet()
	require.NotEmpty(t, before)
	hears(m, simStart, plain("fresh", 7), out)
	after := packet()
	untold := 40 - len(before) + 1
	require.Greater(t, len(after), untold, "the second packet has room for some that were told")
	for i, name := range after {
		require.Equal(t, i >= untold, slices.Contains(before, name), name)
	}
	require.Equal(t, "fresh", after[untold-1])
}

func TestPacketsKeepToTheirSize(t *testing.T) {
	for _, limit := range []int{1050, 1100, 1400} {
		m, out := among(t, 100, func(c *Config) {
			c.MaxPacket = limit
			c.Payload = func() []byte { return make([]byte, 25) }
		})
		for i, c := range others(100) {
			hears(m, simStart, with(c, func(m *Member) {
				m.Incarnation++
				m.Tags = map[string]string{"k": strings.Repeat("v", i*5)}
				m.ClientAddr = strings.Repeat("c", i)
			}), out)
		}
		out.Reset()
		tickUntil(m, simStart.Add(3*time.Second), out)
		m.Step(simStart.Add(3*time.Second), "m0001:1", &Probe{Seq: 1, From: 1001, To: 1}, out)
		full := 0
		for _, p := range out.Packets {
			size := len(p.Msg.AppendTo(nil))
			require.LessOrEqual(t, size, limit)
			require.LessOrEqual(t, len(updatesOf(p.Msg)), maxUpdates)
			if size > limit-150 {
				full++
			}
		}
		require.Greater(t, full, 5, "and use it")
	}
}

func TestTheLongestMemberIsGossiped(t *testing.T) {
	m, out := among(t, 1, func(c *Config) { c.MaxPacket = 1050 })
	long := with(plain(strings.Repeat("n", 256), 5), func(m *Member) {
		m.PeerAddr = strings.Repeat("p", 256)
		m.Tags = map[string]string{"k": strings.Repeat("v", 450)}
	})
	long.ClientAddr = strings.Repeat("c", MaxMemberBytes-memberSize(&long))
	require.Equal(t, MaxMemberBytes, memberSize(&long))
	require.NoError(t, long.Validate())
	hears(m, simStart, long, out)
	out.Reset()
	tickUntil(m, simStart.Add(time.Second), out)
	require.Positive(t, told(out, long))
}

func TestAClaimIsNotToldToTheMemberThatItCameFrom(t *testing.T) {
	m, out := among(t, 1, nil)
	c := with(others(1)[0], func(m *Member) { m.Incarnation++ })
	hears(m, simStart, c, out)
	tickUntil(m, simStart.Add(time.Second), out)
	require.Zero(t, told(out, c))
}

// A rumour reaches everybody in O(log n) rounds (SWIM §4.1).
func TestAChangeReachesAHundredMembersWithinTwoSeconds(t *testing.T) {
	w := newWorld(t, 2, 100)
	for _, n := range w.nodes {
		n.join = []string{w.nodes[0].addr}
	}
	w.startAll()
	w.runFor(10 * time.Second)
	w.nodes[42].leave()
	took := w.runUntil(2*time.Second, "leave", func() error {
		for _, n := range w.running() {
			if s := n.machine.table.byName["n42"].State; s != Left {
				return fmt.Errorf("%s holds it %s", n.name, s)
			}
		}
		return nil
	})
	t.Logf("after %s", took)
}
