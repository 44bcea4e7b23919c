package replica

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// retiring is what a Horizon knows of who may return, and of who is gone for good
// and not yet forgotten.
type retiring struct {
	wall int64 // the latest wall time, in ms, that Tend was told
	may  map[uint64]mayReturn
	gone map[uint64]*goneMember
	// asked are instances that this node does not know, and others want to forget: the
	// reading since which it can say that it does not name them, and the turn up to
	// which it says so.
	asked map[uint64]answer
	open  map[uint64]int // streams of pushes that are served, by instance

	seeking   bool // a pass over all records is under way: Tend's alone
	seekAt    time.Time
	strangers map[uint64]time.Duration // instances that are named and were never members, since when by ran
	askAt     time.Time                // when Tend looks next who is a stranger, and who has seen something else
	tended    time.Time                // when Tend ran last
	ran       time.Duration            // for how long Tend has been called, a longestStep at most for each call

	// buried are the last ones that were gone though their processes need not have
	// ended, and are forgotten: they are refused as long as there is room.
	buried  map[uint64]bool
	burials []uint64 // a ring
	bury    int
}

// mayReturn is another instance that may return.
type mayReturn struct {
	name  string
	ended bool          // its name came back as another instance, or was forgotten
	at    time.Duration // when, by ran
}

// end notes that one that may return has ended, as far as is known.
func (r *retiring) end(instance uint64) {
	if is := r.may[instance]; !is.ended {
		is.ended, is.at = true, r.ran
		r.may[instance] = is
	}
}

type goneMember struct {
	sure  bool                 // its end is known; else it was never a member here, or others say that it has ended
	bury  bool                 // its process need not have ended
	heard map[uint64]heardGone // by the member that said so
}

// heardGone is what a member claimed as of a reading. That it claims nothing later need
// not be told: a claim is about an instant that has passed, and stays true of that.
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
	// mostBuried bounds those.
	mostBuried = 4096
	// longestStep is the most by which one Tend lets ages grow: who was paused hears
	// from the others before he judges by the time that has passed.
	longestStep = time.Second
	// seekRecords is how many records are looked at in each Tend.
	seekRecords = 16 << 10
)

func newRetiring() retiring {
	return retiring{
		may: make(map[uint64]mayReturn), gone: make(map[uint64]*goneMember), buried: make(map[uint64]bool), asked: make(map[uint64]answer), open: make(map[uint64]int),
	}
}

func (r *retiring) isGone(instance uint64) bool {
	g := r.gone[instance]
	return g != nil && g.sure || r.buried[instance]
}

// buryLocked has an instance be refused that is forgotten now.
func (r *retiring) buryLocked(instance uint64) {
	if len(r.burials) < mostBuried {
		r.burials = append(r.burials, instance)
	} else {
		delete(r.buried, r.burials[r.bury])
		r.burials[r.bury] = instance
		r.bury = (r.bury + 1) % mostBuried
	}
	r.buried[instance] = true
}

// goneLocked notes that an instance is gone for good, and returns what is known of it;
// nil where there are too many. mu must be held.
func (h *Horizon) goneLocked(instance uint64, sure bool) *goneMember {
	r := &h.retire
	g := r.gone[instance]
	if g == nil {
		if instance == h.engine.Instance() || len(r.gone) >= mostGone {
			return nil
		}
		g = &goneMember{heard: make(map[uint64]heardGone)}
		r.gone[instance] = g
		h.engine.WatchGone(instance)
	}
	g.sure = g.sure || sure
	delete(r.may, instance)
	delete(r.asked, instance)
	for _, o := range r.gone {
		delete(o.heard, instance)
	}
	return g
}

// Gone reports whether an instance is known to be gone for good.
func (h *Horizon) Gone(instance uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.retire.isGone(instance)
}

// MayReturn lists the instances of a name that may return.
func (h *Horizon) MayReturn(name string) (ids []uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, is := range h.retire.may {
		if is.name == name {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Electorate lists the others that count for a write concern: all that may return,
// but for those whose name another instance bears by now, or that were forgotten.
func (h *Horizon) Electorate() (ids []uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, is := range h.retire.may {
		if !is.ended {
			ids = append(ids, id)
		}
	}
	return ids
}

// PushesBegin and the function that it returns enclose the serving of a stream of
// pushes. One of an instance that is gone for good is not to be served: ok is false,
// and there is nothing to end. Gone is to be asked before each frame.
func (h *Horizon) PushesBegin(peer uint64) (end func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.retire
	if r.isGone(peer) {
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
		if is.Since != 0 || is.Unnamed != 0 { // nothing else helps anybody
			g.Of = append(g.Of, Standing{Gone: is, Asks: true, Sure: r.isGone(is.Instance)})
		}
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
		if _, may := r.may[s.Instance]; may && s.Asks && s.Sure && (h.members[s.Instance] == nil || !h.members[s.Instance].failed.IsZero()) {
			r.end(s.Instance) // its end was told while this node was away
		}
		if g := r.gone[s.Instance]; g == nil && s.Asks {
			h.askedLocked(s.Instance, s.Sure)
		} else if g != nil && s.Sure {
			g.sure = true
		}
		if is := r.gone[s.Instance]; is != nil && g.Reading >= is.heard[member].reading {
			is.heard[member] = heardGone{s, g.Members, g.Reading}
		}
	}
}

// askedLocked answers for an instance that is gone by what a member says. If this
// node has never known it and names it, it is on its way out here too.
func (h *Horizon) askedLocked(instance uint64, sure bool) {
	r := &h.retire
	if _, may := r.may[instance]; may || instance == h.engine.Instance() {
		return
	}
	if h.engine.Names(instance) {
		h.goneLocked(instance, sure)
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

// Tended is what Tend did, and what it asks for.
type Tended struct {
	Retired   []uint64 // instances
	Forgotten int
	// Unlike are members that have seen something else of an instance that could be
	// retired: a round with each is wanted.
	Unlike []uint64
}

// Tend takes for gone whose end is known and long ago, retires those that are gone for
// good and of which nothing is left, and forgets those that nobody names any more;
// neither while this node takes part in a session. It is to be called now and then,
// never while another one or Unpark runs, with the wall time in ms.
func (h *Horizon) Tend(now time.Time, wall int64) (t Tended) {
	h.seek(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.retire
	r.wall = wall
	step := min(now.Sub(r.tended), longestStep)
	if r.tended.IsZero() {
		step = 0
	}
	r.tended = now
	r.ran += step
	for id, is := range r.may {
		if is.ended && r.ran-is.at >= h.cfg.GoneAfter && h.members[id] == nil {
			if g := h.goneLocked(id, true); g != nil {
				g.bury = true
			}
		}
	}
	asks := !now.Before(r.askAt)
	if asks {
		r.askAt = now.Add(h.cfg.SeekPause)
		h.meetStrangersLocked()
	}
	if len(r.gone) == 0 || len(h.sessions) > 0 {
		return t
	}
	own := h.standingsLocked()
	for _, s := range own.Of {
		switch {
		case !s.Asks:
		case s.Unnamed == 0 && h.clearLocked(&own, s):
			h.engine.Retire(s.Instance)
			t.Retired = append(t.Retired, s.Instance)
		case s.Unnamed == 0 && asks:
			t.Unlike = h.unlikeLocked(&own, s, t.Unlike)
		case s.Unnamed != 0 && h.unnamedLocked(&own, s):
			h.engine.ForgetGone(s.Instance)
			if r.gone[s.Instance].bury {
				r.buryLocked(s.Instance)
			}
			delete(r.gone, s.Instance)
			t.Forgotten++
		}
	}
	if len(t.Retired)+t.Forgotten > 0 {
		for _, m := range h.members {
			h.engine.KeepNamed(&m.report.Departed)
		}
	}
	return t
}

// meetStrangersLocked takes for gone, if the others agree, who has been named for long
// and was never a member: those that knew it have ended before it could be retired.
func (h *Horizon) meetStrangersLocked() {
	r := &h.retire
	still := make(map[uint64]time.Duration)
	for _, id := range h.engine.Named() {
		if _, may := r.may[id]; may || r.gone[id] != nil || id == h.engine.Instance() {
			continue
		}
		still[id] = r.ran
		if since, ok := r.strangers[id]; ok {
			still[id] = since
		}
		if r.ran-still[id] >= h.cfg.StrangeAfter {
			h.goneLocked(id, false)
			delete(still, id)
		}
	}
	r.strangers = still
}

// unlikeLocked appends the members that have not seen the same of an instance of which
// they hold nothing, as far as is known. Only a round brings what they lack.
func (h *Horizon) unlikeLocked(own *GoneReport, s Standing, to []uint64) []uint64 {
	for id := range h.retire.may {
		is, ok := h.retire.gone[s.Instance].heard[id]
		if !ok || is.members != own.Members || is.Unnamed == 0 && (is.Since == 0 || is.Place == s.Place) {
			continue
		}
		if !slices.Contains(to, id) {
			to = append(to, id)
		}
	}
	return to
}

// seek goes on with the pass over all records, or begins one where one is due.
func (h *Horizon) seek(now time.Time) {
	r := &h.retire
	if !r.seeking && now.Before(r.seekAt) {
		return
	}
	begun, ended := h.engine.SeekGone(seekRecords)
	if r.seeking = begun && !ended; ended {
		r.seekAt = now.Add(h.cfg.SeekPause)
	}
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

// Known says that a member is dead, or that it has left, of which this node may never
// have heard anything else: it may return, or is gone.
func (h *Horizon) Known(instance uint64, name string, left bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, may := h.retire.may[instance]
	switch {
	case h.members[instance] != nil, h.retire.gone[instance] != nil, h.retire.buried[instance], instance == h.engine.Instance():
	case may && left:
		h.goneLocked(instance, true)
	case !may && !left:
		h.retire.may[instance] = mayReturn{name: name}
	}
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
	if h.engine.SeenAhead(instance) {
		s += ", with something ahead of a gap"
	}
	for _, o := range own.Of {
		if o.Instance == instance {
			s += fmt.Sprintf(", place %x, since %x, unnamed %x", o.Place, o.Since, o.Unnamed)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(h.retire.may)) {
		o := g.heard[id]
		s += fmt.Sprintf("; %s %016x: members %016x, reading %x, place %x, since %x, unnamed %x",
			h.retire.may[id].name, id, o.members, o.reading, o.Place, o.Since, o.Unnamed)
	}
	return s
}
