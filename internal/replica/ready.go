package replica

import "time"

// judge decides whether the node has become ready: by a settled round with a
// ready member, known as live yet or not (p is nil then), or as the oldest.
func (m *Machine) judge(p *peer, res RoundResult, out *Effects) {
	if m.ready {
		return
	}
	switch {
	case res.PeerReady && !res.Failed && (res.Converged || p != nil && p.again >= maxAgain):
	case m.eldest():
	default:
		return
	}
	m.ready, out.Ready = true, true
}

// eldest reports whether no known live member is ready, this node is the oldest
// of all, and it has settled a round with each of the others, of which there
// is at least one.
func (m *Machine) eldest() bool {
	others := 0
	for _, p := range m.peers {
		if !p.up {
			continue
		}
		if p.ready || !p.settled || p.older(m.self) {
			return false
		}
		others++
	}
	return others > 0
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
