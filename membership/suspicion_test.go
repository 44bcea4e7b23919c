package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// SWIM §4.2: the time to refute covers two spreads of gossip, each O(log n).
func TestTheSuspicionTimeoutGrowsWithTheLogarithmOfTheCluster(t *testing.T) {
	for n, want := range map[int]time.Duration{2: time.Second, 10: time.Second, 100: 2 * time.Second, 1000: 3 * time.Second} {
		m, _ := among(t, n-1, nil)
		require.Equal(t, want, m.leastSuspicion(), "%d members", n)
		plain, _ := among(t, n-1, func(c *Config) { c.Plain, c.SuspicionMult = true, 4 })
		require.Equal(t, 4*want, plain.suspicionTimeout(1), "plain SWIM, %d members", n)
	}
}

// Lifeguard, Local Health Aware Suspicion: from the most to the least, with the
// logarithm of the confirmations.
func TestTheSuspicionTimeoutShrinksWithIndependentConfirmations(t *testing.T) {
	for n, want := range map[int][]time.Duration{
		2:    {3000, 3000, 3000, 3000}, // nobody can confirm
		3:    {6000, 1000, 1000, 1000},
		4:    {6000, 2845, 1000, 1000},
		5:    {6000, 3500, 2038, 1000},
		1000: {18000, 10500, 6113, 3000},
	} {
		m, _ := among(t, n-1, nil)
		for i, millis := range want {
			require.InDelta(t, int64(millis), m.suspicionTimeout(i+1).Milliseconds(), 1, "%d members, %d accusers", n, i+1)
		}
		require.Equal(t, m.suspicionTimeout(1), m.suspicionTimeout(0), "an accuser that is not known")
	}
}

// The same accuser twice is no confirmation, and neither are more than the
// first few; each that counts is told on.
func TestEachAccuserCountsOnce(t *testing.T) {
	m, out := among(t, 5, nil)
	b := others(5)[4]
	accused := func(by ...uint64) Member {
		return with(b, func(m *Member) { m.State, m.Accusers = Suspect, by })
	}
	r := m.table.byInstance[b.Instance]
	until := func() time.Duration { return r.suspectUntil.Sub(simStart).Round(time.Millisecond) }
	hears(m, simStart, accused(1001), out)
	require.Equal(t, 6*time.Second, until()/10*10)
	hears(m, simStart, accused(1001), out)
	require.Equal(t, []uint64{1001}, r.Accusers)
	hears(m, simStart, accused(1000), out)
	require.Equal(t, []uint64{1000, 1001}, r.Accusers)
	require.Less(t, until(), 4*time.Second)
	hears(m, simStart, accused(1001, 1002), out)
	hears(m, simStart, accused(1003), out)
	require.Equal(t, []uint64{1000, 1001, 1002, 1003}, r.Accusers)
	require.Len(t, r.Accusers, maxAccusers)
	hears(m, simStart, accused(7), out)
	require.Len(t, r.Accusers, maxAccusers)
	hears(m, simStart, accused(b.Instance), out)
	require.NotContains(t, r.Accusers, b.Instance)
	require.NoError(t, checkTable(m))
	out.Reset()
	m.tickGossip(m.gossip.nextRound, out)
	require.Equal(t, r.Accusers, updatesOf(out.Packets[0].Msg)[0].Accusers, "and all are told on")
}

// A verdict does not take away the time to refute that everybody is given: it
// may come from a process that was held up, together with its accusation.
func TestAVerdictFromOthersLeavesTheLeastTimeToRefute(t *testing.T) {
	m, out := among(t, 4, nil)
	b := others(4)[3]
	hears(m, simStart, with(b, func(m *Member) { m.State = Suspect }), out)
	hears(m, simStart.Add(time.Millisecond), with(b, func(m *Member) { m.State = Dead }), out)
	r := m.table.byInstance[b.Instance]
	require.Equal(t, Suspect, r.State)
	require.Equal(t, simStart.Add(time.Second), r.suspectUntil)
	m.expireSuspects(simStart.Add(999*time.Millisecond), out)
	require.Equal(t, Suspect, r.State)
	m.expireSuspects(simStart.Add(time.Second), out)
	require.Equal(t, Dead, r.State)

	late, out := among(t, 4, nil) // whoever has waited so long already believes it
	hears(late, simStart, with(b, func(m *Member) { m.State = Suspect }), out)
	tickUntil(late, simStart.Add(1500*time.Millisecond), out)
	hears(late, simStart.Add(1500*time.Millisecond), with(b, func(m *Member) { m.State = Dead }), out)
	require.Equal(t, Dead, late.table.byInstance[b.Instance].State)
}

func TestASuspectThatIsAccusedAnewGetsItsTimeAnew(t *testing.T) {
	m, out := among(t, 2, nil)
	b := with(others(2)[1], func(m *Member) { m.State = Suspect })
	hears(m, simStart, b, out)
	first := m.suspect.next()
	require.Equal(t, simStart.Add(6*time.Second), first)
	again := with(b, func(m *Member) { m.Incarnation++ })
	tickUntil(m, simStart.Add(time.Second), out)
	hears(m, simStart.Add(time.Second), again, out)
	require.Equal(t, first.Add(time.Second), m.suspect.next())
	tickUntil(m, simStart.Add(2*time.Second), out)
	hears(m, simStart.Add(2*time.Second), again, out) // the same accusation does not
	require.Equal(t, first.Add(time.Second), m.suspect.next())
}

// Every incarnation of a start can be used up by a member that invents
// accusations; the start then moves on and nothing is lost.
func TestAnAccusationAtTheLastIncarnationIsRefuted(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.startAll()
	victim := w.nodes[1].machine
	c := victim.Self()
	c.State, c.Incarnation = Dead, uint64(c.Started)+incarnationSpan-1
	require.NoError(t, c.Validate())
	n := w.nodes[0]
	n.step(func() {
		n.machine.Step(w.now, "n2:7946", &Gossip{From: w.nodes[2].machine.self.Instance, Updates: []Member{c}}, &n.out)
	})
	require.Error(t, w.agreed())
	w.runUntil(5*time.Second, "refutation", w.agreed)
	require.Equal(t, c.Started+1, victim.Self().Started)
	require.Equal(t, uint64(victim.Self().Started), victim.Self().Incarnation)
}

// A member that woke up serves what waited for it before it ticks; the time
// that it slept is given back once, not once a message.
func TestTheTimeSleptThroughIsGivenBackOnce(t *testing.T) {
	m, out := among(t, 3, nil)
	hears(m, simStart, with(others(3)[1], func(m *Member) { m.State = Suspect }), out)
	require.Equal(t, simStart.Add(6*time.Second), m.suspect.next())
	due, woke := m.NextDeadline(), simStart.Add(time.Minute)
	for range 100 {
		hears(m, woke, others(3)[2], out)
	}
	slept := woke.Sub(due)
	require.Equal(t, simStart.Add(6*time.Second+slept+time.Second), m.suspect.next())
	tickUntil(m, woke.Add(time.Hour), out)
	require.Equal(t, Dead, m.table.byName["m0001"].State)
}

func TestAMemberThatWakesUpAccusesNobodyForWhatItSleptThrough(t *testing.T) {
	for seed := range uint64(seeds(20)) {
		w := newWorld(t, seed, 4)
		w.startAll()
		w.runFor(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
		n := w.nodes[0]
		n.pause()
		w.runFor(time.Minute)
		w.onEvent = func(_ *node, e Event) {
			require.False(t, e.Kind == EventFailed && e.Member.Name != n.name, "%s failed", e.Member.Name)
		}
		n.resume()
		w.runUntil(5*time.Second, "wake", w.agreed)
		w.runFor(time.Minute)
		require.NoError(t, w.agreed())
	}
}
