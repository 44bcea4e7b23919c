package membership

import (
	"math"
	"slices"
	"time"
)

// suspicion holds the suspects (SWIM §4.2).
type suspicion struct {
	rows []*row
}

func (s *suspicion) add(r *row, until time.Time) {
	r.suspectUntil = until
	s.rows = append(s.rows, r)
}

func (s *suspicion) drop(r *row) {
	if r.suspectUntil.IsZero() {
		return
	}
	r.suspectUntil = time.Time{}
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
		r.suspectUntil = r.suspectUntil.Add(by)
	}
}

// suspicionTimeout is how long a suspect may take to refute: long enough for
// the accusation to reach it and its refutation to come back by gossip, both
// of which take O(log n) periods (SWIM §4.1).
func (m *Machine) suspicionTimeout() time.Duration {
	n := float64(len(m.table.live) + 1)
	return time.Duration(float64(m.cfg.SuspicionMult) * max(1, math.Log10(n)) * float64(m.cfg.ProbeInterval))
}

// becomeSuspect accuses a member whose probe was not answered, and tells it
// so at once: if it lives, it need not wait for the rumour to refute.
func (m *Machine) becomeSuspect(now time.Time, r *row, out *Effects) {
	c := r.Member
	c.State = Suspect
	m.believe(now, r, c, out)
	m.gossipTo(r.PeerAddr, r.Instance, []*row{r}, out)
}

// expireSuspects declares those dead that did not refute in time.
func (m *Machine) expireSuspects(now time.Time, out *Effects) {
	var expired []*row
	for _, r := range m.suspect.rows {
		if due(r.suspectUntil, now) {
			expired = append(expired, r)
		}
	}
	for _, r := range expired {
		c := r.Member
		c.State = Dead
		m.believe(now, r, c, out)
	}
}
