package membership

import "time"

// leaveTell is how many members are told of a leave at once, before gossip
// takes it further.
const leaveTell = 16

// Leave says goodbye. The machine goes on answering, but starts nothing; when
// the goodbye has been told it says EventLeaveDone. There is no way back: who
// returns does so as a new instance.
func (m *Machine) Leave(now time.Time, out *Effects) {
	m.begin(now)
	if m.yielded {
		out.event(Event{Kind: EventLeaveDone, Member: m.self.Member}) // long gone
	}
	if m.left || m.yielded {
		return
	}
	m.left = true
	self := m.self.Member
	self.State = Left
	m.table.write(m.self, self)
	m.prober.abandon(now)
	m.prober.nextProbe = time.Time{}
	m.tables.stop()
	for _, r := range m.table.sample(m.cfg.Rand, leaveTell, func(*row) bool { return true }) {
		m.gossipTo(r.PeerAddr, r.Instance, []*row{m.self}, out)
	}
	m.tell(now, m.self)
	m.leaveDeadline = now.Add(m.leaveLimit())
	m.tickLeave(now, out)
}

// leaveLimit is more than telling takes, were there nothing else to tell.
func (m *Machine) leaveLimit() time.Duration {
	return m.cfg.GossipInterval * time.Duration(m.retransmits()+2)
}

// tickLeave ends the leave once the goodbye is not queued any more.
func (m *Machine) tickLeave(now time.Time, out *Effects) {
	if m.leaveDeadline.IsZero() || m.self.queued != nil && !due(m.leaveDeadline, now) {
		return
	}
	m.leaveDeadline = time.Time{}
	out.event(Event{Kind: EventLeaveDone, Member: m.self.Member})
}
