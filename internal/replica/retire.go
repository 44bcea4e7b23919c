package replica

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// retiring is what a Horizon knows of who may return, and of who is gone for good
// and not yet forgotten.
type retiring struct {
	wall int64             // the latest wall time, in ms, that Tend was told
	may  map[uint64]string // the others that may return, and their names
	gone map[uint64]*goneMember
	// asked are instances that this node does not know, and others want to forget: the
	// reading since which it can say that it does not name them, and the turn up to
	// which it says so.
	asked map[uint64]answer
	open  map[uint64]int // streams of pushes that are served, by instance
}

type goneMember struct{ heard map[uint64]heardGone } // by the member that said so

type heardGone struct {
	Standing

	members, reading uint64
}

type answer struct{ since, until uint64 }

const (
	// answerTurns is for how many of its own payloads a node answers after it has been
	// asked last.
	answerTurns = 1024
	// mostGone bounds the instances that are on their way out. Those beyond stay named.
	mostGone = 1 << 16
	// seekRecords is how many records are looked at in each Tend.
	seekRecords = 16 << 10
)

func newRetiring() retiring {
	return retiring{
		may: make(map[uint64]string), gone: make(map[uint64]*goneMember), asked: make(map[uint64]answer), open: make(map[uint64]int),
	}
}

// goneLocked notes that an instance is gone for good. mu must be held.
func (h *Horizon) goneLocked(instance uint64) {
	r := &h.retire
	delete(r.may, instance)
	delete(r.asked, instance)
	for _, g := range r.gone {
		delete(g.heard, instance)
	}
	if r.gone[instance] == nil && instance != h.engine.Instance() && len(r.gone) < mostGone {
		r.gone[instance] = &goneMember{heard: make(map[uint64]heardGone)}
		h.engine.WatchGone(instance)
	}
}

// Gone reports whether an instance is known to be gone for good.
func (h *Horizon) Gone(instance uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.retire.gone[instance] != nil
}

// MayReturn lists the instances of a name that may return.
func (h *Horizon) MayReturn(name string) (ids []uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, is := range h.retire.may {
		if is == name {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// PushesBegin and the function that it returns enclose the serving of a stream of
// pushes. One of an instance that is gone for good is not to be served: ok is false,
// and there is nothing to end. Gone is to be asked before each frame.
func (h *Horizon) PushesBegin(peer uint64) (end func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.retire
	if r.gone[peer] != nil {
		return nil, false
	}
	r.open[peer]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.open[peer]--; r.open[peer] == 0 {
			delete(r.open, peer)
		}
	}, true
}

// membersLocked is a hash of the instances that may return, this one among them.
func (h *Horizon) membersLocked() uint64 {
	all := append(slices.Collect(maps.Keys(h.retire.may)), h.engine.Instance())
	slices.Sort(all)
	b := make([]byte, 0, 8*len(all))
	for _, id := range all {
		b = binary.BigEndian.AppendUint64(b, id)
	}
	return xxhash.Sum64(b)
}

// goneReportLocked is what the node tells the others of those that are gone.
func (h *Horizon) goneReportLocked() GoneReport {
	if len(h.sessions) > 0 {
		return h.sessions[0].gone
	}
	return h.standingsLocked()
}

// standingsLocked is how the node stands to those that are gone. mu must be held.
func (h *Horizon) standingsLocked() (g GoneReport) {
	r := &h.retire
	if len(r.gone)+len(r.asked) == 0 {
		return GoneReport{}
	}
	reading, all := h.engine.Gone(r.wall, func(id uint64) bool { return r.open[id] > 0 || h.members[id] != nil })
	g = GoneReport{Members: h.membersLocked(), Reading: reading}
	for _, is := range all {
		g.Of = append(g.Of, Standing{Gone: is, Asks: true})
	}
	for _, id := range slices.Sorted(maps.Keys(r.asked)) {
		a := r.asked[id]
		switch {
		case h.turns > a.until:
			delete(r.asked, id)
		case h.engine.Names(id): // it is asked again, and then taken for gone
			delete(r.asked, id)
		default:
			s := Standing{}
			s.Instance, s.Unnamed = id, a.since
			g.Of = append(g.Of, s)
		}
	}
	return g
}

// HeardGone takes in how a member stands to those that are gone. The clock must have
// taken in its reading: one that is refused tells nothing of what came before what.
func (h *Horizon) HeardGone(member uint64, g *GoneReport) {
	if len(g.Of) == 0 || g.Reading > h.engine.Clock().Read() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.retire
	if _, may := r.may[member]; !may {
		return
	}
	for _, s := range g.Of {
		if r.gone[s.Instance] == nil && s.Asks {
			h.askedLocked(s.Instance)
		}
		if is := r.gone[s.Instance]; is != nil && g.Reading >= is.heard[member].reading {
			is.heard[member] = heardGone{s, g.Members, g.Reading}
		}
	}
}

// askedLocked answers for an instance that is gone by what a member says. If this
// node has never known it and names it, it is on its way out here too.
func (h *Horizon) askedLocked(instance uint64) {
	r := &h.retire
	if _, may := r.may[instance]; may || instance == h.engine.Instance() {
		return
	}
	if h.engine.Names(instance) {
		h.goneLocked(instance)
		return
	}
	a, ok := r.asked[instance]
	if !ok {
		if len(r.asked) >= mostGone {
			return
		}
		var err error
		if a.since, err = h.engine.Clock().Now(r.wall); err != nil {
			return // the wall clock is far behind: some other time
		}
	}
	a.until = h.turns + answerTurns
	r.asked[instance] = a
}

// Tend retires those that are gone for good and of which nothing is left, and forgets
// those that nobody names any more; neither while this node takes part in a session.
// It is to be called now and then, never while another one or Unpark runs, with the
// wall time in ms, and returns how many were retired and forgotten.
func (h *Horizon) Tend(wall int64) (retired, forgotten int) {
	h.engine.SeekGone(wall, seekRecords)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.retire
	r.wall = wall
	if len(r.gone) == 0 || len(h.sessions) > 0 {
		return 0, 0
	}
	own := h.standingsLocked()
	for _, s := range own.Of {
		switch {
		case !s.Asks:
		case s.Unnamed == 0 && h.clearLocked(&own, s):
			h.engine.Retire(s.Instance)
			retired++
		case s.Unnamed != 0 && h.unnamedLocked(&own, s):
			h.engine.ForgetGone(s.Instance)
			delete(r.gone, s.Instance)
			forgotten++
		}
	}
	if retired+forgotten > 0 {
		for _, m := range h.members {
			h.engine.KeepNamed(&m.report.Departed)
		}
	}
	return retired, forgotten
}

// clearLocked reports whether there was an instant at which all members that may
// return had seen the same of an instance, and held nothing of it.
func (h *Horizon) clearLocked(own *GoneReport, s Standing) bool {
	return h.instantLocked(own, s, func(o Standing) uint64 {
		if o.Place != s.Place && !plantedBugRetire {
			return 0
		}
		return o.Since
	})
}

// unnamedLocked reports whether there was an instant at which no member that may
// return named an instance.
func (h *Horizon) unnamedLocked(own *GoneReport, s Standing) bool {
	return h.instantLocked(own, s, func(o Standing) uint64 { return o.Unnamed })
}

// instantLocked reports whether something held for all members that may return at one
// instant: the latest reading since which it does for one of them, if the others say
// so of that reading or a later one, and all of the same members.
func (h *Horizon) instantLocked(own *GoneReport, s Standing, since func(Standing) uint64) bool {
	latest, least := since(s), own.Reading
	if latest == 0 {
		return false
	}
	if plantedBugRetire {
		return true
	}
	for id := range h.retire.may {
		is, ok := h.retire.gone[s.Instance].heard[id]
		if !ok || is.members != own.Members || since(is.Standing) == 0 {
			return false
		}
		latest, least = max(latest, since(is.Standing)), min(least, is.reading)
	}
	return latest <= least
}

// Leaving is an instance that is gone and not forgotten, the least one of those that
// are not among some; 0 if there is none.
func (h *Horizon) Leaving(but map[uint64]bool) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(h.retire.gone)) {
		if !but[id] {
			return id
		}
	}
	return 0
}

// Explain says for people how this node and, as it has heard, the others stand to an
// instance.
func (h *Horizon) Explain(instance uint64) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.retire.gone[instance]
	if g == nil {
		return "not known to be gone"
	}
	own := h.standingsLocked()
	s := fmt.Sprintf("members %016x, reading %x", own.Members, own.Reading)
	for _, o := range own.Of {
		if o.Instance == instance {
			s += fmt.Sprintf(", place %x, since %x, unnamed %x", o.Place, o.Since, o.Unnamed)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(h.retire.may)) {
		o := g.heard[id]
		s += fmt.Sprintf("; %s %016x: members %016x, reading %x, place %x, since %x, unnamed %x",
			h.retire.may[id], id, o.members, o.reading, o.Place, o.Since, o.Unnamed)
	}
	return s
}
