package membership

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// views returns machines that all know each other.
func views(t *testing.T, n int) []*Machine {
	members := others(n)
	machines := make([]*Machine, n)
	for i := range machines {
		m, err := New(Config{Self: members[i], Rand: rand.New(rand.NewPCG(1, uint64(i)))})
		require.NoError(t, err)
		m.Step(simStart, "m0000:1", &PushPull{From: members[(i+1)%n].Instance, Members: members}, &Effects{})
		require.Len(t, m.table.live, n-1)
		machines[i] = m
	}
	return machines
}

// graph returns who monitors whom, by instance.
func graph(machines []*Machine) map[uint64]map[uint64]bool {
	edges := make(map[uint64]map[uint64]bool)
	for _, m := range machines {
		edges[m.self.Instance] = make(map[uint64]bool)
		for _, r := range m.neighbours() {
			edges[m.self.Instance][r.Instance] = true
		}
	}
	return edges
}

func TestNeighboursAreMutualFewAndTheSameInEverybodysEyes(t *testing.T) {
	for _, n := range []int{2, 3, 17, 65, 300} {
		machines := views(t, n)
		edges := graph(machines)
		total := 0
		for a, near := range edges {
			require.LessOrEqual(t, len(near), 2*rings)
			require.NotContains(t, near, a)
			total += len(near)
			for b := range near {
				require.True(t, edges[b][a], "%d members: %d monitors %d, and not the other way round", n, a, b)
			}
		}
		require.Greater(t, total, min(n-1, 12)*n*7/10)
		for _, m := range machines[:min(n, 20)] { // all know the neighbours of anybody
			for _, r := range m.table.live[:min(n-1, 20)] {
				require.Len(t, m.beside(r), len(edges[r.Instance]))
				for _, other := range m.beside(r) {
					require.True(t, edges[r.Instance][other.Instance])
				}
			}
		}
	}
}

// An expander: every member is a few steps away from every other, and stays so
// when half of them, drawn at random, are gone at once.
func TestTheGraphIsConnectedWithFewStepsEvenWhenHalfAreGone(t *testing.T) {
	for seed := range uint64(5) {
		rng := rand.New(rand.NewPCG(seed, 1))
		edges := graph(views(t, 300))
		for range 2 {
			var from uint64
			for from = range edges {
				break
			}
			steps, reached := spread(edges, from)
			require.Equal(t, len(edges), reached)
			require.LessOrEqual(t, steps, 5)
			for a := range edges {
				if rng.IntN(2) == 0 {
					delete(edges, a)
				}
			}
		}
	}
}

// spread counts the steps from one member to all that it reaches.
func spread(edges map[uint64]map[uint64]bool, from uint64) (steps, reached int) {
	seen := map[uint64]bool{from: true}
	for ring := []uint64{from}; len(ring) > 0; steps++ {
		var next []uint64
		for _, a := range ring {
			for b := range edges[a] {
				if edges[b] != nil && !seen[b] {
					seen[b] = true
					next = append(next, b)
				}
			}
		}
		ring = next
	}
	return steps - 1, len(seen)
}

// The cache must never differ from what a pass over the table finds.
func TestNeighboursAreKeptUpToDateAsMembersComeAndGo(t *testing.T) {
	m, out := among(t, 100, nil)
	rng := rand.New(rand.NewPCG(3, 3))
	incarnation := uint64(100)
	for i := range 3000 {
		incarnation++
		c := with(plain(fmt.Sprintf("m%04d", rng.IntN(150)), 0), func(m *Member) {
			m.Incarnation = incarnation
			m.State = []State{Alive, Alive, Left}[rng.IntN(3)]
		})
		fmt.Sscanf(c.Name, "m%d", &c.Instance)
		c.Instance += 1000
		hears(m, simStart, c, out)
		if i%7 == 0 {
			require.ElementsMatch(t, m.beside(m.self), m.neighbours(), "step %d", i)
		}
		out.Reset()
	}
	require.NoError(t, checkTable(m))
}

// A large cluster costs a member no more: it probes its neighbours, each once
// a round, and asks the target's other monitors for help.
func TestBeyondSixtyFourMembersOnlyNeighboursAreProbed(t *testing.T) {
	for n, sparse := range map[int]bool{63: false, 64: true, 500: true} {
		m, out := among(t, n, nil)
		probed, asked := make(map[uint64]int), 0
		for len(m.prober.open) < 1 || asked < 20 {
			m.Tick(m.NextDeadline(), out)
			for _, p := range out.Packets {
				switch msg := p.Msg.(type) {
				case *Probe:
					probed[msg.To]++
				case *PingReq:
					asked++
					require.True(t, containsRow(m.beside(m.table.byInstance[msg.Target]), m.rowAt(p.To)), "not one of the target's monitors")
				}
			}
			// Nobody dies of this: all are as before.
			for _, r := range m.table.live {
				if r.State == Suspect {
					hears(m, m.stepped, with(r.Member, func(m *Member) { m.State, m.Accusers = Alive, nil; m.Incarnation++ }), out)
				}
			}
			out.Reset()
		}
		for instance := range probed {
			require.True(t, !sparse || m.monitors(m.table.byInstance[instance]))
		}
		require.Equal(t, sparse, m.sparse())
	}
}

func (m *Machine) rowAt(addr string) *row {
	for _, r := range m.table.live {
		if r.PeerAddr == addr {
			return r
		}
	}
	return nil
}
