package membership

import (
	"math"
	"slices"
	"time"
)

const (
	// confirmations is after how many independent ones a suspicion runs no
	// longer than it must (the K of Lifeguard, Local Health Aware Suspicion,
	// with the paper's value). A claim carries one accuser more: the first.
	confirmations = 3
	maxAccusers   = confirmations + 1
	// loneSuspicion times the least time to refute is how long a suspect may
	// take whom nobody but its accuser can probe.
	loneSuspicion = 3
)

// suspicion holds the suspects (SWIM §4.2).
type suspicion struct {
	rows []*row
}

func (s *suspicion) add(r *row, since, until time.Time) {
	r.suspectSince, r.suspectUntil, r.condemned = since, until, false
	s.rows = append(s.rows, r)
}

func (s *suspicion) drop(r *row) {
	if r.suspectUntil.IsZero() {
		return
	}
	r.suspectSince, r.suspectUntil, r.condemned = time.Time{}, time.Time{}, false
	s.rows = slices.DeleteFunc(s.rows, func(other *row) bool { return other == r })
}

func (s *suspicion) next() time.Time {
	var next time.Time
	for _, r := range s.rows {
		if next.IsZero() || r.suspectUntil.Before(next) {
			next = r.suspectUntil
		}
	}
	return next
}

// postpone gives every suspect more time.
func (s *suspicion) postpone(by time.Duration) {
	for _, r := range s.rows {
		r.suspectSince, r.suspectUntil = r.suspectSince.Add(by), r.suspectUntil.Add(by)
	}
}

// leastSuspicion is the time that every suspect has to refute: long enough for
// the accusation to reach it and its refutation to come back by gossip, both
// of which take O(log n) periods (SWIM §4.1).
func (m *Machine) leastSuspicion() time.Duration {
	n := float64(len(m.table.live) + 1)
	return time.Duration(float64(m.cfg.SuspicionMult) * max(1, math.Log10(n)) * float64(m.cfg.ProbeInterval))
}

// suspicionTimeout is how long a suspect with so many accusers may take to
// refute. It begins at SuspicionMaxMult times the least, and shrinks with the
// logarithm of the independent confirmations (Lifeguard, Local Health Aware
// Suspicion): an accuser who is ill itself finds nobody to confirm.
func (m *Machine) suspicionTimeout(accusers int) time.Duration {
	least := m.leastSuspicion()
	if m.cfg.Plain {
		return least
	}
	// Others than us, the suspect and its first accuser may confirm; who
	// does not know who that was counts itself out.
	k := min(confirmations, len(m.table.live)-1)
	if k <= 0 {
		return loneSuspicion * least
	}
	most := float64(m.cfg.SuspicionMaxMult) * float64(least)
	confirmed := float64(max(0, accusers-1))
	shrunk := most - (most-float64(least))*math.Log(confirmed+1)/math.Log(float64(k)+1)
	return max(least, time.Duration(shrunk))
}

// suspicionEnd is when a suspect's time is over. While the own health is bad it
// is longer, unless others have confirmed.
func (m *Machine) suspicionEnd(r *row) time.Time {
	switch {
	case r.condemned:
		return r.suspectSince.Add(m.leastSuspicion())
	case len(r.Accusers) > 1:
		return r.suspectSince.Add(m.suspicionTimeout(len(r.Accusers)))
	}
	return r.suspectSince.Add(m.stretch(m.suspicionTimeout(len(r.Accusers))))
}

// becomeSuspect accuses a member whose probe was not answered, and tells it
// so at once: if it lives, it need not wait for the rumour to refute.
func (m *Machine) becomeSuspect(now time.Time, r *row, out *Effects) {
	c := r.Member
	c.State = Suspect
	if m.cfg.Plain {
		m.believe(now, r, c, out)
		return
	}
	c.Accusers = []uint64{m.self.Instance}
	m.believe(now, r, c, out)
	m.gossipTo(r.PeerAddr, r.Instance, []*row{r}, out)
}

// confirm adds accusers to a suspicion. Each of the first few is told on
// (Lifeguard re-gossips K confirmations), the others change nothing.
func (m *Machine) confirm(now time.Time, r *row, accusers []uint64) {
	if r.State != Suspect || m.cfg.Plain {
		return
	}
	union := r.Accusers
	for _, a := range accusers {
		if at, known := slices.BinarySearch(union, a); !known && len(union) < maxAccusers && a != r.Instance {
			union = slices.Insert(slices.Clone(union), at, a) // messages share the old one
		}
	}
	if len(union) == len(r.Accusers) {
		return
	}
	c := r.Member
	c.Accusers = union
	m.table.write(r, c)
	r.suspectUntil = m.suspicionEnd(r)
	m.tell(now, r)
}

// condemn takes in that others have declared a member dead. It still gets the
// time to refute that everybody has to be given, from when we first heard of
// the suspicion: a process that was held up sends what it concluded meanwhile
// all at once, accusation and verdict. (SWIM §4.2 believes every Confirm.)
func (m *Machine) condemn(now time.Time, r *row, c Member, out *Effects) {
	if c.State = Suspect; c.Compare(r.Member) > 0 {
		c.Accusers = nil
		m.believe(now, r, c, out)
		m.check(now, r, out)
	}
	r.condemned = true
	r.suspectUntil = m.suspicionEnd(r)
	m.expireSuspects(now, out)
}

// expireSuspects declares those dead that did not refute in time.
func (m *Machine) expireSuspects(now time.Time, out *Effects) {
	var expired []*row
	for _, r := range m.suspect.rows {
		if !due(r.suspectUntil, now) {
			continue
		}
		if !m.cfg.Plain { // our health may have changed
			if until := m.suspicionEnd(r); until.After(now) {
				r.suspectUntil = until
				continue
			}
		}
		expired = append(expired, r)
	}
	if len(expired) > 0 && m.heldUp() {
		// We cannot hear refutations if we cannot even send: wait.
		for _, r := range expired {
			r.suspectUntil = now.Add(m.cfg.ProbeInterval)
		}
		return
	}
	for _, r := range expired {
		c := r.Member
		c.State, c.Accusers = Dead, nil
		m.believe(now, r, c, out)
	}
}
