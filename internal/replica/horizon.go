package replica

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
)

// Horizon knows which members count when dead entries are to go (docs/deletes.md,
// Purge), and what each of them has last reported of what it has seen. A member
// counts while it is alive or suspect, and after that for a grace; one that left
// by its own will counts no longer, as it has handed over all that it had.
//
// Safe for concurrent use.
type Horizon struct {
	engine *engine.Engine
	cfg    HorizonConfig

	mu       sync.Mutex
	members  map[uint64]*member
	sessions []*frozen // in which this node takes part, in the order in which they began
	turns    uint64
	retire   retiring
}

// frozen is what the node would have reported when a session began.
type frozen struct {
	report causal.Report
	gone   GoneReport
}

// member is one that counts.
type member struct {
	report causal.Report
	heard  bool
	failed time.Time // zero: it is alive
}

// HorizonConfig is what a Horizon goes by. Zero durations mean what is given.
type HorizonConfig struct {
	// Grace is for how long a member counts that is believed dead.
	Grace time.Duration
	// GoneAfter is for how long the name of an instance must have been another one's, or
	// how long ago an operator must have said that it will not return, before it is gone
	// for good. Of two processes that live and bear one name, one has given up by then
	// (membership, rivals). Default 10 min.
	GoneAfter time.Duration
	// StrangeAfter is for how long an instance must have been named that was never a
	// member here before the others are asked whether it is gone. Default 1 h.
	StrangeAfter time.Duration
	// SeekPause is the pause between two passes over all records for those of
	// instances that are gone. Default 30 s.
	SeekPause time.Duration
}

// NewHorizon returns a horizon for an engine whose node knows nobody yet.
func NewHorizon(e *engine.Engine, cfg HorizonConfig) *Horizon {
	cfg.GoneAfter = cmp.Or(cfg.GoneAfter, 10*time.Minute)
	cfg.StrangeAfter = cmp.Or(cfg.StrangeAfter, time.Hour)
	cfg.SeekPause = cmp.Or(cfg.SeekPause, 30*time.Second)
	return &Horizon{engine: e, cfg: cfg, members: make(map[uint64]*member), retire: newRetiring()}
}

// Alive says that a member is alive. Every other instance of its name has been
// replaced, and is gone for good once it has stayed so. One that is gone already is
// not listened to.
func (h *Horizon) Alive(instance uint64, name string) {
	if instance == h.engine.Instance() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.retire.isGone(instance) {
		return
	} else if h.retire.gone[instance] != nil { // others, or nobody, had known it
		delete(h.retire.gone, instance)
		h.engine.ForgetGone(instance)
	}
	for id, other := range h.retire.may {
		if other.name == name && id != instance {
			h.retire.end(id)
		}
	}
	h.retire.may[instance] = mayReturn{name: name}
	if m := h.members[instance]; m != nil {
		m.failed = time.Time{}
		return
	}
	h.members[instance] = &member{}
}

// Failed says that a member is believed dead.
func (h *Horizon) Failed(now time.Time, instance uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.members[instance]; m != nil && m.failed.IsZero() {
		m.failed = now
	}
}

// Left says that a member counts no longer: it has left.
func (h *Horizon) Left(instance uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members, instance)
	h.goneLocked(instance, true)
}

// Forget is Left for a member of which somebody says that it will not return. One
// that is not believed dead counts on, whatever is said: to purge without it
// while it writes would be to purge what it has not seen.
func (h *Horizon) Forget(instance uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[instance]
	_, may := h.retire.may[instance]
	if m == nil && !may || m != nil && m.failed.IsZero() {
		return false
	}
	delete(h.members, instance)
	if may {
		h.retire.end(instance)
	}
	return true
}

// Heard takes in what a member has reported. What it said before of departed
// instances that this node names holds: nothing that was seen is unseen again.
func (h *Horizon) Heard(instance uint64, r causal.Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.members[instance]
	if m == nil {
		return
	}
	m.heard = true
	m.report.Least = max(m.report.Least, r.Least)
	m.report.Departed.Merge(&r.Departed)
	h.engine.KeepNamed(&m.report.Departed)
}

// SessionBegins and the function that it returns enclose each session that the
// node takes part in, on either side, and all that it states in it. What lists on
// their way may not show yet is not reported before they have come: while sessions
// go on, the report is the one from before the oldest of them.
//
// With an instance that is gone for good there is no session: ok is false, and there
// is nothing to end.
func (h *Horizon) SessionBegins(peer uint64) (ends func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.retire.isGone(peer) {
		return nil, false
	}
	// What another session brings meanwhile would make a claim of now false.
	s := &frozen{h.engine.Report(h.countedLocked()), h.goneReportLocked()}
	h.sessions = append(h.sessions, s)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.sessions = slices.DeleteFunc(h.sessions, func(o *frozen) bool { return o == s })
	}, true
}

// Report is what the node tells the others.
func (h *Horizon) Report() causal.Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reportLocked()
}

// report is all that the node tells the others, of one instant.
func (h *Horizon) report() (causal.Report, GoneReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gone := h.goneReportLocked()
	return h.reportLocked(), gone
}

// nextTurn is another number each time, scattered so that no member, whichever of
// the payloads it gets, gets the same ones for ever.
func (h *Horizon) nextTurn() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turns++
	return h.turns * 0x9e3779b97f4a7c15 >> 32
}

func (h *Horizon) reportLocked() causal.Report {
	if len(h.sessions) > 0 {
		r := h.sessions[0].report
		return causal.Report{Least: r.Least, Departed: r.Departed.Clone()}
	}
	return h.engine.Report(h.countedLocked())
}

func (h *Horizon) countedLocked() []uint64 {
	ids := make([]uint64, 0, len(h.members))
	for id := range h.members {
		ids = append(ids, id)
	}
	return ids
}

// Purge forgets the dead entries that may go, and returns how many did.
func (h *Horizon) Purge(now time.Time) int {
	h.mu.Lock()
	others := make([]causal.Report, 0, len(h.members))
	counts := map[uint64]bool{h.engine.Instance(): true}
	for id, m := range h.members {
		if !m.failed.IsZero() && now.Sub(m.failed) >= h.cfg.Grace {
			delete(h.members, id)
			continue
		}
		counts[id] = true
		others = append(others, causal.Report{Least: m.report.Least, Departed: m.report.Departed.Clone()})
		if !m.heard {
			others[len(others)-1].Least = 0
		}
	}
	own := h.reportLocked()
	h.mu.Unlock()
	return h.engine.Purge(own, others, func(id uint64) bool { return counts[id] })
}

// Holding is a member that keeps dead entries from going, and up to which time it
// has seen everything, as a clock reading.
type Holding struct {
	Instance uint64
	Least    uint64
	Failed   bool
	Heard    bool // it has reported something
}

// HeldUp lists the members that count by how far they have seen everything, the
// one that is furthest behind first.
func (h *Horizon) HeldUp() []Holding {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Holding, 0, len(h.members))
	for id, m := range h.members {
		all = append(all, Holding{Instance: id, Least: m.report.Least, Failed: !m.failed.IsZero(), Heard: m.heard})
	}
	slices.SortFunc(all, func(a, b Holding) int {
		return cmp.Or(cmp.Compare(a.Least, b.Least), cmp.Compare(a.Instance, b.Instance))
	})
	return all
}
