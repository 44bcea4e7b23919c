package membership

import "time"

// Two processes may carry one name: a restart and its predecessor, which is
// the common case and ends with the predecessor superseded; or two that live,
// by a mistake in their configuration or because a copy was started. They
// cannot both be the member. Hearing of each other, both take a later start,
// and that is how they find out: a start that rises again proves a rival
// alive, for only the rival itself raises it. Whoever has less patience gives
// up first, and it is never the same patience on both sides: the newcomer has
// less, and of equals the smaller instance.

const (
	// patience is how many rises of a rival are borne at least: a claim that
	// arrives late can look like one.
	patience            = 3
	patienceGreater     = 2
	patienceEstablished = 4
	// newcomer is how long a process counts as just started.
	newcomer = 30 * time.Second
	// maxRivals bounds what is remembered of them.
	maxRivals = 64
)

type rivals struct {
	started map[uint64]int64 // instance to the latest start heard
	rises   int
}

// rose records a rival's start and tells whether it is later than one heard
// before.
func (v *rivals) rose(instance uint64, started int64) bool {
	before, known := v.started[instance]
	if v.started == nil || len(v.started) >= maxRivals && !known {
		v.started = make(map[uint64]int64)
	}
	v.started[instance] = max(before, started)
	return known && started > before
}

// hearOfRival deals with a claim about the own name and another instance.
func (m *Machine) hearOfRival(now time.Time, c Member, out *Effects) *row {
	if m.left {
		return nil
	}
	rose := m.rivals.rose(c.Instance, c.Started)
	if c.Compare(m.self.Member) < 0 {
		return m.self
	}
	if rose && c.State.live() {
		m.rivals.rises++
		if m.rivals.rises >= m.patience(now, c.Instance) {
			m.yield(c, out)
			return nil
		}
		out.event(Event{Kind: EventConflict, Member: c})
	}
	if !m.raise(now, c.Started+1, 0) {
		m.yield(c, out)
		return nil
	}
	return m.self
}

func (m *Machine) patience(now time.Time, rival uint64) int {
	p := patience
	if m.self.Instance > rival {
		p += patienceGreater
	}
	if now.Sub(m.born) >= newcomer {
		p += patienceEstablished
	}
	return p
}

// yield gives the name up: the machine falls silent for good.
func (m *Machine) yield(rival Member, out *Effects) {
	m.yielded = true
	out.event(Event{Kind: EventConflict, Member: rival, Fatal: true})
}
