package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALeaveIsKnownWithinASecondAndIsNoFailure(t *testing.T) {
	for seed := range uint64(seeds(20)) {
		w := newWorld(t, seed, 6)
		w.startAll()
		w.loss = 0.2
		n := w.nodes[seed%6]
		n.leave()
		w.runUntil(time.Second, "leave", func() error {
			if !n.done {
				return fmt.Errorf("not told yet")
			}
			return nil
		})
		n.crash()
		w.loss = 0
		w.runUntil(5*time.Second, "agreement", w.agreed)
		w.runFor(time.Minute)
		require.NoError(t, w.agreed())
		for _, other := range w.running() {
			require.Equal(t, Left, other.machine.table.byName[n.name].State)
		}
		require.Zero(t, w.failures)

		w.runFor(61 * time.Minute)
		for _, other := range w.running() {
			require.Nil(t, other.machine.table.byName[n.name], "forgotten after an hour")
		}
		n.start()
		w.runUntil(5*time.Second, "return", w.agreed)
	}
}

func TestALeaveEndsWhenNobodyListens(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.startAll()
	w.partition(w.nodes[:1], w.nodes[1:], false)
	n := w.nodes[0]
	n.leave()
	w.runFor(time.Second)
	require.True(t, n.done)
}

func TestALeaveIsToldThoughMuchElseIs(t *testing.T) {
	m, out := among(t, 300, nil)
	for _, c := range others(300) {
		hears(m, simStart, with(c, func(m *Member) { m.Incarnation++ }), out)
	}
	out.Reset()
	m.Leave(simStart, out)
	require.Equal(t, leaveTell, told(out, m.Self()))
	tickUntil(m, simStart.Add(10*time.Second), out)
	require.Equal(t, 1, kinds(out)[EventLeaveDone])
	require.GreaterOrEqual(t, told(out, m.Self()), leaveTell+m.retransmits())
}
