package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Two live processes with one name: one of them, and only one, gives up; the
// others believe in the one that stays.
func TestOfTwoLiveProcessesWithOneNameOneGivesUp(t *testing.T) {
	for seed := range uint64(seeds(20)) {
		for _, oldAge := range []time.Duration{0, time.Minute} {
			for _, gap := range []time.Duration{0, 2 * time.Minute} {
				t.Run(fmt.Sprintf("seed=%d/age=%s/gap=%s", seed, oldAge, gap), func(t *testing.T) {
					w := newWorld(t, seed, 5)
					w.mayYield = true
					double := w.nodes[4]
					double.name = "n1" // its address is its own
					for _, n := range w.nodes[:4] {
						n.start()
					}
					w.runFor(oldAge)
					if gap > 0 {
						// Two established ones, as when two clusters meet.
						w.partition(w.nodes[:4], w.nodes[4:], false)
					}
					double.start()
					w.runFor(gap)
					w.heal()
					gone := func() (yielded []*node) {
						for _, n := range w.nodes {
							if n.machine.yielded {
								yielded = append(yielded, n)
							}
						}
						return yielded
					}
					w.runUntil(20*time.Second, "conflict", func() error {
						if y := gone(); len(y) != 1 {
							return fmt.Errorf("%d have given up", len(y))
						}
						return nil
					})
					out := gone()[0]
					require.Contains(t, []*node{w.nodes[1], double}, out)
					if oldAge > 30*time.Second && gap == 0 {
						require.Same(t, double, out, "the newcomer goes")
					}
					require.True(t, out.machine.NextDeadline().IsZero())
					out.crash()
					w.runUntil(10*time.Second, "agreement", w.agreed)
				})
			}
		}
	}
}

func TestRivalsAreBounded(t *testing.T) {
	m, out := lone(t, nil)
	for i := range 10 * maxRivals {
		hears(m, simStart, with(plain("a", uint64(i+2)), func(m *Member) { m.State = Dead }), out)
	}
	require.LessOrEqual(t, len(m.rivals.started), maxRivals)
	require.False(t, m.yielded)
	require.Zero(t, kinds(out)[EventConflict], "dead ones are no conflict")
}
