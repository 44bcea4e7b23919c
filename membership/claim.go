package membership

import (
	"fmt"
	"time"
)

// channel says how a claim reached us.
type channel uint8

const (
	byDatagram channel = iota
	byTable            // in a push-pull
)

// hearAll merges the claims of one datagram, and returns the rows that its
// sender should be told: those where it is behind.
func (m *Machine) hearAll(now time.Time, from string, claims []Member, out *Effects) []*row {
	var tell []*row
	for i := range claims {
		if r := m.hear(now, from, claims[i], byDatagram, out); r != nil && !containsRow(tell, r) {
			tell = append(tell, r)
		}
	}
	return tell
}

// hear merges one claim. It returns the row when whoever made the claim
// believes another instance or state than we do, and ours supersedes: a stale
// alive is answered with the accusation, a stale accusation with its
// refutation. Each answer is a greater claim, so that answers end.
func (m *Machine) hear(now time.Time, from string, c Member, how channel, out *Effects) *row {
	switch {
	case c.Name == m.self.Name && c.Instance == m.self.Instance:
		return m.hearOfSelf(now, from, c, out)
	case c.Name == m.self.Name:
		return m.hearOfRival(now, c, out)
	}
	r := m.table.byName[c.Name]
	if other := m.table.byInstance[c.Instance]; other != nil && other != r {
		m.refuse(from, fmt.Errorf("member %.40q claims the instance of %.40q: %w", c.Name, other.Name, ErrMalformed), out)
		return nil
	}
	if r == nil {
		m.hearOfStranger(now, c, out)
		return nil
	}
	if how == byTable && c.State == Dead && c.Instance == r.Instance && r.State.live() {
		m.warn(r, c, out)
		return nil
	}
	switch order := c.Compare(r.Member); {
	case order > 0:
		m.believe(now, r, c, out)
	case order < 0 && (c.State != r.State || c.Instance != r.Instance):
		return r
	}
	return nil
}

// warn passes an accusation from a table on to the accused, who refutes it.
// Whoever returns from a partition believes everybody of this side dead. To
// believe it would make a whole cluster suspect for one member's sake, to
// ignore it would leave that member alone for ever; nobody but the accused
// can raise its incarnation.
func (m *Machine) warn(r *row, c Member, out *Effects) {
	if c.Compare(r.Member) > 0 && m.warnings > 0 {
		m.warnings--
		m.send(r.PeerAddr, &Gossip{From: m.self.Instance, Updates: []Member{c}}, out)
	}
}

// hearOfStranger takes in a name that has no row.
func (m *Machine) hearOfStranger(now time.Time, c Member, out *Effects) {
	if c.State == Left {
		// Whoever still remembers it would give it back to those who forgot
		// it, and no table would ever be rid of it.
		return
	}
	if len(m.table.all) >= MaxMembers {
		gone := m.table.oldestGone()
		if gone == nil || c.State == Dead {
			if !m.tableFull {
				m.tableFull = true
				out.event(Event{Kind: EventTableFull, Member: c})
			}
			return
		}
		m.forget(gone)
	}
	// Filed as if it had been dead before, so that believe tells the change.
	r := m.table.insert(c)
	r.State = Dead
	m.believe(now, r, c, out)
}

// believe replaces a row's claim by a greater one: files it anew, starts or
// ends its suspicion, queues it to be told, and says what changed.
func (m *Machine) believe(now time.Time, r *row, c Member, out *Effects) {
	old, fresh := r.Member, r.liveAt < 0 && r.gone == nil
	m.table.write(r, c)
	if fresh || old.State != c.State || old.Instance != c.Instance {
		r.since = now
		m.table.file(r)
	}
	m.suspect.drop(r)
	if c.State == Suspect {
		m.suspect.add(r, now.Add(m.suspicionTimeout()))
	}
	if !fresh || c.State != Dead {
		m.tell(now, r) // that a stranger is dead is news to nobody
	}
	m.report(old, fresh, c, out)

	switch {
	case c.State.live() && (fresh || !old.State.live()):
		m.welcome(now, r)
	case c.State == Dead:
		m.buryDead(now)
	case c.State == Left:
		m.buryLeft(now)
	}
}

// report tells the driver what a change of belief amounts to.
func (m *Machine) report(old Member, fresh bool, c Member, out *Effects) {
	was, is := !fresh && old.State.live(), c.State.live()
	if was && old.Instance != c.Instance {
		old.State = Dead
		out.event(Event{Kind: EventFailed, Member: old})
		was = false
	}
	switch {
	case is && !was:
		out.event(Event{Kind: EventJoined, Member: c})
		if c.State == Suspect {
			out.event(Event{Kind: EventSuspected, Member: c})
		}
	case is && old.State == Suspect && c.State == Alive:
		out.event(Event{Kind: EventRecovered, Member: c})
	case is && old.State == Alive && c.State == Suspect:
		out.event(Event{Kind: EventSuspected, Member: c})
	case was && c.State == Dead:
		out.event(Event{Kind: EventFailed, Member: c})
	case was && c.State == Left:
		out.event(Event{Kind: EventLeft, Member: c})
	}
	if was && is && !old.sameAttributes(c) {
		out.event(Event{Kind: EventUpdated, Member: c})
	}
}

// buryDead schedules the attempts at a dead member and keeps the limit.
func (m *Machine) buryDead(now time.Time) {
	if m.table.dead.Len() > MaxDead {
		m.forget(m.table.dead.Front().Value.(*row))
	}
	m.scheduleRejoin(now)
}

// buryLeft schedules when a member that left is forgotten and keeps the limit.
func (m *Machine) buryLeft(now time.Time) {
	if m.table.left.Len() > MaxLeft {
		m.forget(m.table.left.Front().Value.(*row))
	}
	if m.nextReap.IsZero() {
		m.nextReap = now.Add(m.cfg.LeftRetention)
	}
}

// reapLeft forgets the members that left long enough ago.
func (m *Machine) reapLeft(now time.Time) {
	if !due(m.nextReap, now) {
		return
	}
	m.nextReap = time.Time{}
	for e := m.table.left.Front(); e != nil; e = m.table.left.Front() {
		r := e.Value.(*row)
		if until := r.since.Add(m.cfg.LeftRetention); until.After(now) {
			m.nextReap = until
			return
		}
		m.forget(r)
	}
}

// forget removes a row that is dead or left.
func (m *Machine) forget(r *row) {
	m.gossip.remove(r)
	m.table.remove(r)
}

// hearOfSelf refutes what is said of this instance: it takes a claim greater
// than the one it heard (SWIM §4.2, incarnations).
func (m *Machine) hearOfSelf(now time.Time, from string, c Member, out *Effects) *row {
	if c.Compare(m.self.Member) <= 0 {
		if c.State != m.self.State {
			return m.self
		}
		return nil
	}
	if m.left {
		return nil
	}
	if !m.raise(now, c.Started, c.Incarnation) {
		m.yield(c, out)
		return nil
	}
	if c.State != Alive {
		out.event(Event{Kind: EventAccused, Member: c, From: from})
	}
	return m.self
}

// raise announces the own member above a claim of this start and incarnation,
// and returns false when nothing is above. The incarnations of a start are
// bounded, so that no claim can leave us without a greater one: when they are
// used up the start moves on by a millisecond.
func (m *Machine) raise(now time.Time, started int64, incarnation uint64) bool {
	self := m.self.Member
	self.Started = max(self.Started, started)
	self.Incarnation = max(self.Incarnation, incarnation, uint64(self.Started)) + 1
	if self.Incarnation-uint64(self.Started) >= incarnationSpan {
		self.Started++
		self.Incarnation = uint64(self.Started)
	}
	if self.Started >= maxStarted {
		return false
	}
	m.table.write(m.self, self)
	m.tell(now, m.self)
	return true
}
