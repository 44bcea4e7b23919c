package membership

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Merging claims is commutative, associative and idempotent: machines that
// hear the same claims hold the same table, whatever the order, the packing
// into messages and the repetitions.
func TestTheOrderOfClaimsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var claims []Member
		for range rapid.IntRange(1, 12).Draw(rt, "claims") {
			c := someClaim(rt, rapid.SampledFrom([]string{"b", "c", "d"}).Draw(rt, "name"))
			c.Instance = c.Instance*10 + uint64(c.Name[0]) // no two names share one
			claims = append(claims, c)
		}
		tables := make([][]Member, 2)
		for i := range tables {
			m, out := lone(t, nil)
			// Everybody has a row from the start: a stranger that left is not taken in.
			for _, name := range []string{"b", "c", "d"} {
				hears(m, simStart, with(plain(name, uint64(name[0])), func(m *Member) { m.Started, m.Incarnation = 1, 1 }), out)
			}
			order := slices.Clone(claims)
			if i == 1 {
				order = append(rapid.Permutation(claims).Draw(rt, "order"), claims[0])
			}
			for len(order) > 0 {
				n := rapid.IntRange(1, len(order)).Draw(rt, "packet")
				m.Step(simStart, "b:1", &Gossip{From: 2, Updates: order[:n]}, out)
				order = order[n:]
			}
			require.NoError(rt, checkTable(m))
			tables[i] = m.Members()
		}
		require.Equal(rt, tables[0], tables[1])
	})
}

func TestMembersAliveAndLeader(t *testing.T) {
	m, out := lone(t, nil)
	hears(m, simStart, with(plain("d", 4), func(m *Member) { m.State = Suspect; m.Started, m.Incarnation = 50, 50 }), out)
	hears(m, simStart, with(plain("c", 3), func(m *Member) { m.State = Dead; m.Started, m.Incarnation = 10, 10 }), out)
	hears(m, simStart, with(plain("B", 2), func(m *Member) { m.Started, m.Incarnation = 50, 50 }), out)
	names := func(members []Member) (names []string) {
		for _, m := range members {
			names = append(names, m.Name)
		}
		return names
	}
	require.Equal(t, []string{"B", "a", "c", "d"}, names(m.Members()))
	require.Equal(t, []string{"B", "a", "d"}, names(m.Alive()))
	require.Equal(t, "B", m.Leader().Name, "the smallest start, then the smallest instance")
	_, ok := LeaderOf(nil)
	require.False(t, ok)
}

func TestVersionChangesWithEachRow(t *testing.T) {
	m, out := lone(t, nil)
	v := m.Version()
	hears(m, simStart, plain("b", 2), out)
	require.NotEqual(t, v, m.Version())
	v = m.Version()
	hears(m, simStart, plain("b", 2), out)
	require.Equal(t, v, m.Version(), "nothing new")
}

func TestAChangeOfWhatAMemberSaysOfItselfIsAnEvent(t *testing.T) {
	m, out := among(t, 2, nil)
	b := with(others(2)[1], func(m *Member) { m.Incarnation++ })
	hears(m, simStart, b, out)
	require.Empty(t, out.Events, "a new incarnation alone is none")
	b.Incarnation++
	b.Tags = map[string]string{"zone": "x"}
	hears(m, simStart, b, out)
	require.Equal(t, map[EventKind]int{EventUpdated: 1}, kinds(out))
	out.Events[0].Member.Tags["zone"] = "changed"
	require.Equal(t, "x", m.table.byName[b.Name].Tags["zone"], "events alias nothing")
}

func TestResetKeepsMemoryAndNothingElse(t *testing.T) {
	out := Effects{
		Packets: []Packet{{To: "x"}}, PushPulls: []PushPullCall{{ID: 1}}, Replies: []Reply{{To: "x"}},
		Payloads: []PayloadEvent{{Payload: []byte("x")}}, Events: []Event{{Kind: EventLeft}},
	}
	out.Reset()
	require.Zero(t, out.Packets[:1][0])
	require.Zero(t, out.Events[:1][0])
	require.Empty(t, slices.Concat(out.Packets))
	require.Len(t, out.Payloads, 0)
}

// A tick that comes early does nothing, and one at the deadline moves it on:
// no driver can be made to spin.
func TestEveryTickAtTheDeadlineMovesOn(t *testing.T) {
	m, out := among(t, 20, nil)
	hears(m, simStart, with(others(20)[3], func(m *Member) { m.State = Suspect }), out)
	hears(m, simStart, with(others(20)[4], func(m *Member) { m.State = Dead }), out)
	hears(m, simStart, with(others(20)[5], func(m *Member) { m.State = Left }), out)
	require.NoError(t, m.Join(simStart, []string{"j:1"}, out))
	for range 2000 {
		next := m.NextDeadline()
		out.Reset()
		m.Tick(next.Add(-time.Nanosecond), out)
		require.Empty(t, out.Packets)
		require.Empty(t, out.PushPulls)
		require.Equal(t, next, m.NextDeadline())
		m.Tick(next, out)
		require.True(t, m.NextDeadline().After(next), "%s", next.Sub(simStart))
	}
}
