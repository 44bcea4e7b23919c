package membership

import (
	"fmt"

	"github.com/stretchr/testify/require"
)

// check holds after every step. It allocates next to nothing, as it runs
// millions of times.
func (n *node) check() {
	t, m := n.w.t, n.machine
	if n.steps++; n.steps%(len(m.table.all)/8+1) == 0 { // its cost grows with the table
		require.NoError(t, checkTable(m))
	}
	if !m.left && m.self.State != Alive {
		require.Equal(t, Alive, m.self.State, "a member is alive to itself")
	}
	if n.checked == m.Version() {
		return
	}
	n.checked = m.Version()
	// Claims only ever grow. A name may be forgotten once it is dead or left.
	for name, old := range n.rows {
		r, ok := m.table.byName[name]
		if !ok {
			require.False(t, old.State.live(), "%s forgot %s, which was %s", n.name, name, old.State)
			delete(n.rows, name)
			continue
		}
		if r.Compare(old) < 0 {
			require.Fail(t, "a claim was taken back", "%s went from %+v to %+v", n.name, old, r.Member)
		}
	}
	for _, r := range m.table.all {
		n.rows[r.Name] = r.Member
	}
}

// checkTable verifies every index against the rows.
func checkTable(m *Machine) error {
	live, dead, left, queued := 0, 0, 0, 0
	for i, r := range m.table.all {
		if r.allAt != i || m.table.byName[r.Name] != r || m.table.byInstance[r.Instance] != r {
			return fmt.Errorf("%s: indexes", r.Name)
		}
		if r.size != memberSize(&r.Member) {
			return fmt.Errorf("%s: size", r.Name)
		}
		if r.queued != nil {
			queued++
		}
		if r == m.self {
			if i != 0 || r.liveAt != -1 || r.gone != nil {
				return fmt.Errorf("the own row is filed")
			}
			continue
		}
		if suspect := r.State == Suspect; suspect == r.suspectUntil.IsZero() || suspect != containsRow(m.suspect.rows, r) {
			return fmt.Errorf("%s is %s, its suspicion ends %s", r.Name, r.State, r.suspectUntil)
		}
		switch r.State {
		case Alive, Suspect:
			live++
			if m.table.live[r.liveAt] != r || r.gone != nil {
				return fmt.Errorf("%s: not filed as live", r.Name)
			}
		case Dead:
			dead++
		case Left:
			left++
		}
		if !r.State.live() && (r.liveAt != -1 || r.gone == nil) {
			return fmt.Errorf("%s: filed as live", r.Name)
		}
	}
	rows := len(m.table.all)
	switch {
	case len(m.table.byName) != rows || len(m.table.byInstance) != rows:
		return fmt.Errorf("%d rows, %d names, %d instances", rows, len(m.table.byName), len(m.table.byInstance))
	case len(m.table.live) != live || m.table.dead.Len() != dead || m.table.left.Len() != left:
		return fmt.Errorf("live, dead or left are miscounted")
	case m.gossip.pending != queued:
		return fmt.Errorf("%d queued, %d counted", queued, m.gossip.pending)
	case queued > 0 && m.gossip.nextRound.IsZero():
		return fmt.Errorf("%d queued, and no round of gossip", queued)
	case rows > MaxMembers || dead > MaxDead || left > MaxLeft || len(m.tables.calls) > maxCalls || len(m.relays.open) > maxRelays:
		return fmt.Errorf("past a limit: %d rows, %d dead, %d left, %d calls, %d relays", rows, dead, left, len(m.tables.calls), len(m.relays.open))
	case m.left || m.yielded:
		return nil
	case live > 0 && m.prober.target == nil && m.prober.nextProbe.IsZero():
		return fmt.Errorf("%d live, and no probe", live)
	case live > 0 && m.tables.nextExchange.IsZero():
		return fmt.Errorf("%d live, and no exchange", live)
	case dead+len(m.tables.join) > 0 && m.tables.nextRejoin.IsZero():
		return fmt.Errorf("%d dead, %d to join, and no rejoin", dead, len(m.tables.join))
	case left > 0 && m.nextReap.IsZero():
		return fmt.Errorf("%d left, and no reaping", left)
	}
	return nil
}
