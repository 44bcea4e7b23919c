package membership

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// SWIM §4.3: round-robin over a shuffled list bounds the time between two
// probes of one member by two rounds.
func TestEachMemberIsProbedOnceARoundAndWithinTwoRounds(t *testing.T) {
	const size = 10
	w := newWorld(t, 4, size)
	w.startAll()
	w.runFor(time.Minute)
	last := make(map[string]time.Time)
	count := make(map[string]int)
	var gap time.Duration
	n := w.nodes[0]
	w.onEvent = func(at *node, e Event) {
		if at != n || e.Kind != EventProbe {
			return
		}
		if before, ok := last[e.Member.Name]; ok {
			gap = max(gap, w.now.Sub(before))
		}
		last[e.Member.Name] = w.now
		count[e.Member.Name]++
	}
	const rounds = 100
	w.runFor(rounds * (size - 1) * time.Second)
	require.Len(t, count, size-1)
	for name, probes := range count {
		require.InDelta(t, rounds, probes, 2, name)
	}
	require.LessOrEqual(t, gap, (2*(size-1)-1)*time.Second+100*time.Millisecond)
	require.Greater(t, gap, size*time.Second, "rounds are shuffled anew")
}

// SWIM §4.3: a member that joins is put at a random place of the list.
func TestANewMemberIsProbedAtARandomPlaceOfTheRound(t *testing.T) {
	places := make(map[int]bool)
	for seed := range uint64(40) {
		m, out := among(t, 8, nil)
		for range seed {
			m.cfg.Rand.Uint64()
		}
		m.Tick(m.NextDeadline(), out) // the round has begun
		c := plain("new", 7)
		hears(m, simStart, c, out)
		for i, r := range m.prober.ring[m.prober.ringAt:] {
			if r.Name == "new" {
				places[i] = true
			}
		}
	}
	require.Greater(t, len(places), 4)
}

// SWIM §3.1: k others are asked; suspects, the target and ourselves are not.
func TestKOthersAreAskedToProbe(t *testing.T) {
	for _, c := range []struct{ others, k, asked int }{{1, 3, 0}, {3, 3, 2}, {9, 3, 3}, {9, 5, 5}, {200, 3, 3}} {
		m, out := among(t, c.others, func(cfg *Config) { cfg.IndirectProbes = c.k })
		m.Tick(m.NextDeadline(), out)
		target := out.Packets[0].Msg.(*Probe).To
		suspect := uint64(0)
		if c.others == 9 {
			for _, r := range m.table.live {
				if r.Instance != target {
					suspect = r.Instance
					hears(m, m.prober.indirect, with(r.Member, func(m *Member) { m.State = Suspect }), out)
					break
				}
			}
		}
		out.Reset()
		m.Tick(m.prober.indirect, out)
		asked := make(map[string]bool)
		for _, p := range out.Packets {
			if req, ok := p.Msg.(*PingReq); ok {
				require.Equal(t, target, req.Target)
				require.NotEqual(t, m.table.byInstance[target].PeerAddr, p.To)
				if suspect != 0 {
					require.NotEqual(t, m.table.byInstance[suspect].PeerAddr, p.To)
				}
				asked[p.To] = true
			}
		}
		require.Len(t, asked, c.asked, "%+v", c)
	}
}

func TestAMemberThatOneOtherCannotReachIsNotSuspected(t *testing.T) {
	w := newWorld(t, 6, 5)
	w.startAll()
	w.partition(w.nodes[:1], w.nodes[1:2], false)
	indirect := 0
	w.onEvent = func(_ *node, e Event) {
		if e.Probe == ProbeIndirectAck {
			indirect++
		}
	}
	w.runFor(10 * time.Minute)
	require.NoError(t, w.agreed())
	require.Zero(t, w.suspicions)
	require.Greater(t, indirect, 100)
}

func TestAnInstanceThatWasReplacedWhileProbedIsNotSuspectedForIt(t *testing.T) {
	m, out := among(t, 1, nil)
	m.Tick(m.NextDeadline(), out)
	hears(m, simStart, with(others(1)[0], func(m *Member) { m.Instance, m.Started, m.Incarnation = 77, 200, 200 }), out)
	out.Reset()
	tickUntil(m, m.prober.deadline, out)
	require.Equal(t, map[EventKind]int{EventProbe: 1}, kinds(out))
	require.Equal(t, Alive, m.table.byInstance[77].State)
}

func TestAnAccusationThatDoesNotFitIntoTheAckGoesInAPacketOfItsOwn(t *testing.T) {
	m, out := lone(t, func(c *Config) { c.Payload = func() []byte { return make([]byte, MaxPayloadBytes) } })
	long := with(plain(strings.Repeat("n", 250), 5), func(m *Member) {
		m.PeerAddr = strings.Repeat("p", 250)
		m.Tags = map[string]string{"k": strings.Repeat("v", 400)}
		m.State = Suspect
	})
	hears(m, simStart, long, out)
	out.Reset()
	m.Step(simStart, "p:1", &Probe{Seq: 1, From: 5, To: 1}, out)
	require.Len(t, out.Packets, 2)
	require.Empty(t, out.Packets[0].Msg.(*Ack).Updates)
	require.Equal(t, []Member{long}, out.Packets[1].Msg.(*Gossip).Updates)
}

func TestAPayloadThatIsTooLongIsNotSent(t *testing.T) {
	size := MaxPayloadBytes
	m, out := lone(t, func(c *Config) { c.Payload = func() []byte { return make([]byte, size) } })
	m.Step(simStart, "b:1", &Probe{Seq: 1, From: 5, To: 1}, out)
	require.Len(t, out.Packets[0].Msg.(*Ack).Payload, MaxPayloadBytes)
	size++
	m.Step(simStart, "b:1", &Probe{Seq: 1, From: 5, To: 1}, out)
	require.Empty(t, out.Packets[1].Msg.(*Ack).Payload)
}

func TestPayloadsOfStrangersAndTheDeadAreNotHandedOut(t *testing.T) {
	m, out := among(t, 1, nil)
	b := others(1)[0]
	p := &Probe{Seq: 1, From: b.Instance, To: 1, Payload: []byte("x")}
	m.Step(simStart, "m0000:1", p, out)
	require.Len(t, out.Payloads, 1)
	m.Step(simStart, "m0000:1", &Probe{Seq: 1, From: 9, To: 1, Payload: []byte("x")}, out)
	hears(m, simStart, with(b, func(m *Member) { m.State = Dead }), out)
	m.Step(simStart, "m0000:1", p, out)
	require.Len(t, out.Payloads, 1)
}

func TestRelaysAreBounded(t *testing.T) {
	m, out := among(t, 2, nil)
	for i := range 3 * maxRelays {
		m.Step(simStart, "m0000:1", &PingReq{Seq: uint32(i), From: 1000, Target: 1001}, out)
	}
	require.Len(t, m.relays.open, maxRelays)
	require.EqualValues(t, 2*maxRelays, m.relays.open[0].seq, "the oldest are forgotten")
	tickUntil(m, simStart.Add(time.Second), out)
	require.Empty(t, m.relays.open)
}
