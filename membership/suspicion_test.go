package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// SWIM §4.2: the time to refute covers two spreads of gossip, each O(log n).
func TestTheSuspicionTimeoutGrowsWithTheLogarithmOfTheCluster(t *testing.T) {
	for n, want := range map[int]time.Duration{2: 3 * time.Second, 10: 3 * time.Second, 100: 6 * time.Second, 1000: 9 * time.Second} {
		m, _ := among(t, n-1, nil)
		require.Equal(t, want, m.suspicionTimeout(), "%d members", n)
	}
}

func TestASuspectThatIsAccusedAnewGetsItsTimeAnew(t *testing.T) {
	m, out := among(t, 2, nil)
	b := with(others(2)[1], func(m *Member) { m.State = Suspect })
	hears(m, simStart, b, out)
	first := m.suspect.next()
	require.Equal(t, simStart.Add(3*time.Second), first)
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
	require.Equal(t, simStart.Add(3*time.Second), m.suspect.next())
	due, woke := m.NextDeadline(), simStart.Add(time.Minute)
	for range 100 {
		hears(m, woke, others(3)[2], out)
	}
	slept := woke.Sub(due)
	require.Equal(t, simStart.Add(3*time.Second+slept+time.Second), m.suspect.next())
	tickUntil(m, m.suspect.next(), out)
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
