package bootstrap

import "time"

// dial starts as many of the waiting dials as there is room for. Where a member
// is nobody is dialled.
func (m *Machine) dial(now time.Time, out *Effects) {
	for m.dialing < MaxDials && len(m.queue) > 0 {
		addr := m.queue[0]
		m.queue = m.queue[1:]
		s := m.seeds[addr]
		if s == nil || !s.queued {
			continue
		}
		s.queued = false
		if m.isLive(addr, s) {
			continue // met there before, or by another way
		}
		s.dialing = true
		if s.first.IsZero() {
			s.first = now
		}
		m.dialing++
		out.Dials = append(out.Dials, addr)
	}
}

// Dialled takes in how a dial ended; instance is who was met.
func (m *Machine) Dialled(now time.Time, addr string, outcome Outcome, instance uint64, out *Effects) {
	s := m.seeds[addr]
	if s == nil || !s.dialing {
		return
	}
	m.dialing--
	s.dialing, s.outcome, s.instance = false, outcome, instance
	if outcome != Silent && outcome != Foreign {
		s.first = time.Time{} // one of ours is there: a silence that follows is a new one
	}
	if !s.named {
		delete(m.seeds, addr)
	}
	m.Tick(now, out)
}

// Done reports whether the search has come to an end, as far as this node can
// tell: nobody else is there, or everybody whom the last answer named has
// answered or had the time to. It may become false again.
func (m *Machine) Done(now time.Time) bool {
	if m.alone() {
		return true
	}
	if !m.answered || m.others() == 0 {
		return false
	}
	met, refused := len(m.live) > 0, false
	for addr, s := range m.seeds {
		if !s.named {
			continue
		}
		switch {
		case s.outcome == Met || m.isLive(addr, s):
			met = true
		case s.outcome == Own:
		case s.none() && now.Sub(s.first) >= Patience:
		case s.outcome == Refused:
			refused = true
		default:
			return false
		}
	}
	return met || !refused
}
