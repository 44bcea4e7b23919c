package replica

import "time"

// Searched says whether the node's search for peers has come to an end: those
// whom discovery named have answered or had the time to, or it named nobody.
func (m *Machine) Searched(now time.Time, done bool, out *Effects) {
	m.searched = done
	m.advance(now, out)
}

// HasSearched is what the last Searched said, for the payload.
func (m *Machine) HasSearched() bool { return m.searched }

// judge decides whether the node has become ready: by a settled round with a
// ready member, known as live yet or not (p is nil then), or as the oldest.
func (m *Machine) judge(p *peer, res RoundResult, out *Effects) {
	if m.ready {
		return
	}
	switch {
	case res.PeerReady && !res.Failed && (res.Converged || p != nil && p.again >= maxAgain):
	case m.gathered() && m.eldest():
	default:
		return
	}
	m.ready, out.Ready = true, true
}

// gathered reports whether those who may begin a cluster are there: as many as
// are expected, or, where no number is, all that one member's search could find.
func (m *Machine) gathered() bool {
	live, searched := 1, m.searched
	for _, p := range m.peers {
		if p.up {
			live++
			searched = searched || p.searched
		}
	}
	if m.cfg.Expect > 0 {
		return live >= m.cfg.Expect
	}
	return searched
}

// eldest reports whether no known live member is ready, this node is the oldest
// of all, and it has settled a round with each of the others, if there are any.
func (m *Machine) eldest() bool {
	for _, p := range m.peers {
		if p.up && (p.ready || !p.settled || p.older(m.self)) {
			return false
		}
	}
	return true
}

// seekReady owes a round to each live peer that has become ready since the last
// one: its first round may have ended before it was.
func (m *Machine) seekReady(now time.Time) {
	if m.ready {
		return
	}
	for _, p := range m.peers {
		if p.up && p.ready && p.owed == ReasonNone && (m.round == nil || m.round.peer != p.Instance) {
			m.owe(now, p, ReasonNotReady, now)
		}
	}
}

// Leaving says that this node is about to go: what peers may lack is owed to them
// now, to those too that are still fetching it by themselves.
func (m *Machine) Leaving(now time.Time, out *Effects) {
	m.leaving = true
	m.advance(now, out)
}

// fetchesUntil is until when a peer is left alone, zero if it is not: it has joined,
// is not ready, and fetches everything from one member of its choice. A round that
// this node opened meanwhile would bring it the same entries a second time.
func (m *Machine) fetchesUntil(p *peer) time.Time {
	if !m.ready || m.leaving || !p.joins || p.owed == ReasonAsked {
		return time.Time{}
	}
	return p.upAt.Add(joinPatience)
}
