package causal

import (
	"fmt"
	"math/bits"
	"slices"
)

// action is one step of a history.
type action struct {
	what       string
	a, b, c, d uint8
}

func (a action) String() string {
	name := func(i uint8) string { return string('A' + rune(i)) }
	switch a.what {
	case "write":
		what := []string{"puts", "puts with a TTL", "", "deletes"}[a.c]
		if a.d > 1 {
			what = "by a clock that is ahead " + what
		}
		return fmt.Sprintf("%s %s k%d", name(a.a), what, a.b)
	case "session":
		return fmt.Sprintf("%s deletes k%d for a session that put w%d", name(a.a), a.b, a.c)
	case "push":
		return fmt.Sprintf("the push of w%d reaches %s", a.a, name(a.b))
	case "unseen":
		return fmt.Sprintf("the push of w%d reaches %s, which merges it unseen", a.a, name(a.b))
	case "probe":
		return fmt.Sprintf("%s probes %s", name(a.a), name(a.b))
	case "expire":
		return fmt.Sprintf("w%d expires", a.a)
	case "purge":
		out := fmt.Sprintf("%s purges k%d", name(a.a), a.b)
		for i := range uint8(slots) {
			if a.c&(1<<i) != 0 {
				out += ", having given up " + name(i)
			}
		}
		for o := range 8 {
			if a.d&(1<<o) != 0 {
				out += fmt.Sprintf(", when instance %d counts no longer", o)
			}
		}
		return out
	case "crash":
		return fmt.Sprintf("%s crashes and restarts empty", name(a.a))
	case "clear":
		return fmt.Sprintf("nobody holds anything of instance %d, which is gone", a.a)
	case "retire":
		return fmt.Sprintf("%s retires instance %d", name(a.a), a.b)
	case "forget":
		return fmt.Sprintf("%s forgets that instance %d is retired", name(a.a), a.b)
	case "start":
		return fmt.Sprintf("%s starts to tell %s what it holds", name(a.a), name(a.b))
	case "list":
		return fmt.Sprintf("it lists k%d", a.a)
	case "half":
		return fmt.Sprintf("the list of k%d arrives, the session breaks off before the entry comes", a.a)
	case "hear":
		return fmt.Sprintf("the list of k%d arrives", a.a)
	case "tell":
		return fmt.Sprintf("%s tells %s all that it holds", name(a.a), name(a.b))
	case "state":
		return fmt.Sprintf("%s states to %s what it holds and has seen", name(a.a), name(a.b))
	case "look":
		return fmt.Sprintf("%s notes what it holds, for %s", name(a.a), name(a.b))
	}
	return a.what
}

// successors calls yield with each step that may come next, and where it leads.
func (s *state) successors(yield func(action, *state)) {
	for i := range uint8(slots) {
		s.writes1(i, yield)
		s.purges(i, yield)
		s.lives(i, yield)
		for j := range uint8(slots) {
			if i != j {
				s.talks(i, j, yield)
			}
		}
	}
	for w := range uint8(len(s.writes)) {
		s.pushes(w, yield)
	}
	s.listing(yield)
	s.clears(yield)
}

// writes1 are the writes of node i.
func (s *state) writes1(i uint8, yield func(action, *state)) {
	if !s.nodes[i].ready && !broken(writesBeforeItsRound) {
		return
	}
	for key := range s.left.keys {
		for ahead := uint8(1); ahead <= 1+min(s.left.skips, 1); ahead++ {
			for _, kind := range []uint8{put, shortPut, tombstone} {
				if *s.left.of(kind) == 0 {
					continue
				}
				n := s.clone()
				*n.left.of(kind)--
				n.left.skips -= ahead - 1
				n.issue(i, key, kind, uint64(ahead), s.seenBy(i, key))
				yield(action{"write", i, key, kind, ahead}, n)
			}
		}
		if !broken(sessionUnseen) || s.left.deletes == 0 {
			continue
		}
		for w := range uint8(len(s.writes)) {
			if s.writes[w].key == key && !s.nodes[i].know.Seen.Covers(s.writes[w].dot) {
				n := s.clone()
				n.left.deletes--
				n.nodes[i].clock = max(n.nodes[i].clock, s.writes[w].dot.Time)
				n.issue(i, key, tombstone, 1, s.seenBy(i, key)|s.writes[w].past|1<<w)
				yield(action{"session", i, key, w, 0}, n)
			}
		}
	}
}

func (b *budget) of(kind uint8) *uint8 {
	switch kind {
	case put:
		return &b.puts
	case shortPut:
		return &b.shortPuts
	}
	return &b.deletes
}

func (s *state) issue(i, key, kind uint8, ahead uint64, past set) {
	n := &s.nodes[i]
	n.clock += ahead
	over := n.know.Over(s.dot(n.held[key]))
	w := write{
		dot: Dot{n.clock, n.instance}, over: over, prev: n.last,
		hidden: n.know.Hidden.Clone(), key: key, kind: kind, past: past,
	}
	for j := range uint8(slots) {
		if j != i {
			w.onWay |= 1 << j
		}
	}
	n.know.Own(w.dot)
	n.last = n.clock
	s.writes = append(s.writes, w)
	s.store(i, key, uint8(len(s.writes)))
}

// store makes a write what node i holds, for another reason than the session in
// progress, which notes it if it is live.
func (s *state) store(i, key, held uint8) {
	s.nodes[i].held[key] = held
	if x := &s.session; x.active && x.to == i && held != 0 && !s.isDead(held) && (!x.claim || x.phase&looked != 0) {
		x.came |= 1 << (held - 1)
	}
}

// pushes are the arrivals of pushes of one write, and its end if it has one.
func (s *state) pushes(w uint8, yield func(action, *state)) {
	for i := range uint8(slots) {
		if s.writes[w].onWay&(1<<i) == 0 {
			continue
		}
		n := s.clone()
		if n.push(w, i) {
			yield(action{"push", w, i, 0, 0}, n)
		} else if s.left.unseen > 0 {
			n = s.clone()
			n.left.unseen--
			n.pushUnseen(w, i)
			yield(action{"unseen", w, i, 0, 0}, n)
		}
	}
	if s.writes[w].kind == shortPut {
		n := s.clone()
		n.writes[w].kind = expired
		yield(action{"expire", w, 0, 0, 0}, n)
	}
}

func (s *state) push(w, i uint8) (taken bool) {
	wr, n := &s.writes[w], &s.nodes[i]
	p := Push{Write: wr.dot, Over: wr.over, Prev: wr.prev, Hidden: wr.hidden}
	switch n.know.Judge(&p, s.dot(n.held[wr.key])) {
	case Held:
		return false
	case Replaces:
		s.store(i, wr.key, w+1)
	}
	n.clock = max(n.clock, wr.dot.Time)
	wr.onWay &^= 1 << i
	return true
}

// pushUnseen is what becomes of a push that a node would hold, once it has been held
// for long enough: it is merged as an entry of a round, and teaches nothing.
func (s *state) pushUnseen(w, i uint8) {
	wr, n := &s.writes[w], &s.nodes[i]
	wr.onWay &^= 1 << i
	n.clock = max(n.clock, wr.dot.Time)
	if broken(unseenIsSeen) {
		n.know.Seen.Take(wr.dot, wr.prev)
	}
	if held := n.held[wr.key]; held != w+1 && n.know.Merge(wr.dot, s.dot(held)) {
		s.store(i, wr.key, w+1)
	}
}

// counting is whom a node does not count when it purges.
type counting struct {
	givenUp uint8 // slots: cut off for longer than the grace, they will be back
	buried  bool  // all that crashed, that long ago
}

// purges are what node i does by itself to what it holds and knows.
func (s *state) purges(i uint8, yield func(action, *state)) {
	for key := range s.left.keys {
		if !s.isDead(s.nodes[i].held[key]) {
			continue
		}
		for givenUp := range uint8(1 << slots) {
			if givenUp&(1<<i) != 0 || bits.OnesCount8(givenUp) > int(s.left.giveUps) {
				continue
			}
			for _, buried := range []bool{false, true} {
				c := counting{givenUp, buried}
				if buried && s.dead == 0 || !s.purgeable(i, key, c) {
					continue
				}
				n := s.clone()
				n.purge(i, key, c)
				yield(action{"purge", i, key, givenUp, s.dead &^ n.dead}, n)
			}
		}
	}
	for o := uint64(1); o < s.next; o++ {
		if !s.isClear(o) || s.busy(i) && !broken(retiresDuringRound) {
			continue
		}
		k := &s.nodes[i].know
		if k.Names(o) {
			n := s.clone()
			n.retire(i, o)
			yield(action{"retire", i, uint8(o), 0, 0}, n)
		}
		if k.Seen.retired(o) && (!s.named(o) || broken(forgetsTooEarly)) {
			n := s.clone()
			n.nodes[i].know.Forget(o)
			yield(action{"forget", i, uint8(o), 0, 0}, n)
		}
	}
}

// counted are the instances that node i counts.
func (s *state) counted(i uint8, c counting) []uint64 {
	all := make([]uint64, 0, 8)
	for j := range s.nodes {
		if c.givenUp&(1<<j) == 0 {
			all = append(all, s.nodes[j].instance)
		}
	}
	for o := range uint64(8) {
		if s.dead&(1<<o) != 0 && !c.buried {
			all = append(all, o)
		}
	}
	return all
}

// report is what node i tells the others once clocks have come to upto and
// everybody has probed everybody.
func (s *state) report(i uint8, upto uint64, counted []uint64) Report {
	if s.busy(i) && !broken(reportsDuringRound) {
		return Report{} // as of before it: a purge that this would allow came before it, too
	}
	n := &s.nodes[i]
	know := Knowledge{Seen: n.know.Seen.Clone()}
	for j := range s.nodes {
		if from := &s.nodes[j]; j != int(i) {
			know.Seen.Reach(from.instance, from.last, max(from.clock, upto))
		}
	}
	return know.Report(n.instance, max(n.clock, upto), counted)
}

func (s *state) purgeable(i, key uint8, c counting) bool {
	if broken(equalRootsAreSeen) {
		return s.sameLive(s.nodes[0].held, s.nodes[1].held) && s.sameLive(s.nodes[0].held, s.nodes[2].held)
	}
	dead := s.dot(s.nodes[i].held[key])
	counted := s.counted(i, c)
	var others []Report
	for j := range uint8(slots) {
		if j != i && c.givenUp&(1<<j) == 0 {
			others = append(others, s.report(j, dead.Time, counted))
		}
	}
	return s.nodes[i].know.Purgeable(dead, slices.Contains(counted, dead.Instance), s.report(i, dead.Time, counted), others)
}

func (s *state) purge(i, key uint8, c counting) {
	n := &s.nodes[i]
	gone := n.held[key] - 1
	known := n.know.Seen.Covers(s.writes[gone].dot)
	if !known {
		s.ended |= 1 << gone
	}
	n.know.Purged(s.writes[gone].dot)
	n.held[key] = 0
	if c.givenUp != 0 {
		s.left.giveUps -= uint8(bits.OnesCount8(c.givenUp))
		s.gaveUp = true
	}
	for o := uint64(1); c.buried && o < s.next; o++ {
		if s.dead&(1<<o) != 0 {
			s.bury(o)
		}
	}
	for j := range s.nodes {
		to := &s.nodes[j]
		to.clock = max(to.clock, s.writes[gone].dot.Time)
		if counts := c.givenUp&(1<<j) == 0; known && counts && !to.know.Seen.Covers(s.writes[gone].dot) {
			to.purged |= 1 << gone
		}
	}
	if broken(discardOnReturn) {
		for j := range uint8(slots) {
			if c.givenUp&(1<<j) != 0 {
				s.discard(j)
			}
		}
	}
}

// clears are the instants at which nobody holds anything of an instance that is
// gone. The others have closed what it had sent by then.
func (s *state) clears(yield func(action, *state)) {
	for o := uint64(1); o < s.next && s.left.retires > 0; o++ {
		if s.isClear(o) || !s.mayClear(o) {
			continue
		}
		n := s.clone()
		n.left.retires--
		n.bury(o)
		n.clear |= 1 << o
		var held set
		for i := range n.nodes {
			for _, h := range n.nodes[i].held {
				if h != 0 {
					held |= 1 << (h - 1)
				}
			}
		}
		for w := range n.writes {
			d := n.writes[w].dot
			for i := range n.nodes {
				if d.Instance == o && n.nodes[i].know.Seen.Covers(d) {
					n.forgot |= (1<<w | n.writes[w].past) &^ held
				}
			}
		}
		yield(action{"clear", uint8(o), 0, 0, 0}, n)
	}
}

func (s *state) isClear(o uint64) bool { return s.clear&(1<<o) != 0 }

func (s *state) mayClear(o uint64) bool {
	of := func(held uint8) bool { return s.dot(held).Instance == o }
	holders := 0
	for i := range s.nodes {
		n := &s.nodes[i]
		if n.instance == o {
			return false
		}
		if of(n.held[0]) || of(n.held[1]) {
			holders++
		}
	}
	if !s.seenAlike(o) && !broken(retiresTooEarly) && !broken(retiresUnlike) && !broken(retiresWithoutOne) {
		return false
	}
	x := &s.session
	onWay := x.active && (x.list != 0 || x.claim && x.phase&sent != 0) && (of(x.held[0]) || of(x.held[1]))
	switch {
	case broken(retiresTooEarly):
		return true
	case broken(retiresWithoutOne):
		return holders <= 1 && !onWay
	}
	return holders == 0 && !onWay
}

// seenAlike reports whether all have seen the same of an instance.
func (s *state) seenAlike(o uint64) bool {
	for i := range s.nodes {
		seen := &s.nodes[i].know.Seen
		ahead := slices.ContainsFunc(seen.Ahead, func(a Ahead) bool { return a.Instance == o })
		if ahead || seen.Base.At(o) != s.nodes[0].know.Seen.Base.At(o) {
			return false
		}
	}
	return true
}

// busy reports whether node i takes part in the session in progress.
func (s *state) busy(i uint8) bool {
	return s.session.active && (s.session.from == i || s.session.to == i)
}

// named reports whether anybody names an instance.
func (s *state) named(o uint64) bool {
	return slices.ContainsFunc(s.nodes[:], func(n node) bool { return n.know.Names(o) })
}

func (s *state) retire(i uint8, o uint64) {
	n := &s.nodes[i]
	for w := range s.writes {
		if d := s.writes[w].dot; d.Instance == o && n.know.Seen.Covers(d) {
			n.forgot |= 1 << w
		}
	}
	n.know.Retire(o)
	n.retired |= 1 << o
}

// lives are crashes.
func (s *state) lives(i uint8, yield func(action, *state)) {
	if s.left.crashes > 0 {
		n := s.clone()
		n.left.crashes--
		n.crash(i)
		yield(action{"crash", i, 0, 0, 0}, n)
	}
}

func (s *state) crash(i uint8) {
	id := s.next
	s.next++
	if broken(reusesInstance) {
		id = s.nodes[i].instance
	} else {
		s.dead |= 1 << s.nodes[i].instance
	}
	s.nodes[i] = node{instance: id}
	for w := range s.writes {
		s.writes[w].onWay &^= 1 << i
	}
	if s.session.active && (s.session.from == i || s.session.to == i) {
		s.session = session{}
	}
}

// bury ends the time in which a crashed instance still counts. Its connections
// have been gone for long, and with them what it had sent.
func (s *state) bury(o uint64) {
	s.dead &^= 1 << o
	if broken(takesFromTheGone) {
		return
	}
	for w := range s.writes {
		if s.writes[w].dot.Instance == o {
			s.writes[w].onWay = 0
		}
	}
}

// discard is what a node does on its return that does not trust what it alone
// holds.
func (s *state) discard(i uint8) {
	n := &s.nodes[i]
	for key, h := range n.held {
		for j := range s.nodes {
			if s.nodes[j].held[key] != h {
				n.held[key] = 0
			}
		}
	}
}

// talks are probes and the beginnings of sessions.
func (s *state) talks(i, j uint8, yield func(action, *state)) {
	if s.left.probes > 0 {
		n := s.clone()
		n.left.probes--
		n.probe(i, j)
		yield(action{"probe", i, j, 0, 0}, n)
	}
	if !s.nothingToTell(i, j) {
		n := s.clone()
		n.tell(i, j)
		yield(action{"tell", i, j, 0, 0}, n)
	}

	if s.session.active || s.left.sessions == 0 {
		return
	}
	n := s.clone()
	n.left.sessions--
	n.begin(i, j)
	yield(action{"start", i, j, 0, 0}, n)

	from, to := &s.nodes[i], &s.nodes[j]
	if to.ready && from.held == [2]uint8{} && len(from.know.Seen.Base)+len(from.know.Seen.Ahead) == 0 {
		return // it would teach nothing
	}
	n = s.clone()
	n.left.sessions--
	n.session = session{active: true, claim: true, from: i, to: j}
	n.state()
	yield(action{"state", i, j, 0, 0}, n)
	n = s.clone()
	n.left.sessions--
	n.session = session{active: true, claim: true, from: i, to: j}
	n.look()
	yield(action{"look", j, i, 0, 0}, n)
}

func (s *state) probe(i, j uint8) {
	from, to := &s.nodes[i], &s.nodes[j]
	to.know.Seen.Reach(from.instance, from.last, from.clock)
	to.clock = max(to.clock, from.clock)
}

func (s *state) begin(i, j uint8) {
	s.session = session{active: true, from: i, to: j, know: s.statement(i)}
}

// statement is what node i says that it knows: what is retired is its own affair.
func (s *state) statement(i uint8) Knowledge {
	k := s.nodes[i].know.Clone()
	k.Seen.Retired = nil
	return k
}

// state is what from says in a claim, look what to notes for it.
func (s *state) state() {
	x := &s.session
	x.phase |= stated
	x.know, x.held = s.statement(x.from), s.nodes[x.from].held
}

func (s *state) look() {
	x := &s.session
	x.phase |= looked
	x.looked = s.nodes[x.to].held
}

// listing are the steps of the session in progress.
func (s *state) listing(yield func(action, *state)) {
	x := &s.session
	switch {
	case !x.active:
		return
	case x.claim:
		s.claiming(yield)
	case x.list != 0:
		n := s.clone()
		n.hear(x.list - 1)
		yield(action{"hear", x.list - 1, 0, 0, 0}, n)
		if broken(dropsBeforeItCame) {
			n := s.clone()
			n.drop(x.to, x.list-1, &x.know.Seen, x.held[0])
			n.session = session{}
			yield(action{"half", x.list - 1, 0, 0, 0}, n)
		}
	default:
		for key := range s.left.keys {
			if x.heard&(1<<key) == 0 {
				n := s.clone()
				n.list(key)
				yield(action{"list", key, 0, 0, 0}, n)
			}
		}
	}
	n := s.clone()
	if broken(acceptsBrokenRound) && x.heard != 0 {
		n.accept()
	}
	n.session = session{}
	yield(action{what: "the session breaks off"}, n)
}

func (s *state) sameLive(a, b [2]uint8) bool {
	return s.live(a[0]) == s.live(b[0]) && s.live(a[1]) == s.live(b[1])
}

// list puts what from holds of a key on its way.
func (s *state) list(key uint8) {
	x := &s.session
	from := &s.nodes[x.from]
	x.list = key + 1
	x.held[0] = from.held[key]
	if broken(listHidesYounger) && !x.know.Seen.Covers(s.dot(x.held[0])) {
		x.held[0] = 0
	}
	x.know.Hidden = from.know.Hidden.Clone()
}

// hear is the arrival of the list of a key. With the last one to accepts what
// from knew at the start.
func (s *state) hear(key uint8) {
	x := &s.session
	theirs := &x.know.Seen
	if broken(vectorAfterListing) {
		theirs = &s.nodes[x.from].know.Seen
	}
	s.settle(x.to, key, theirs, x.held[0])
	x.held, x.list = [2]uint8{}, 0
	x.heard |= 1 << key
	if x.heard == 1<<s.left.keys-1 {
		if broken(vectorOfTheEnd) {
			x.know = s.statement(x.from)
		}
		s.accept()
		s.session = session{}
	}
}

// drop is what of node i goes by the list of a key. It reports whether what is
// listed is to come.
func (s *state) drop(i, key uint8, theirs *Seen, listed uint8) (want bool) {
	n := &s.nodes[i]
	l := n.know.Listed(theirs, s.dot(listed), s.dot(n.held[key]))
	if l.Drop {
		n.held[key] = 0
	}
	return l.Want
}

// settle is what node i makes of the list of a key.
func (s *state) settle(i, key uint8, theirs *Seen, listed uint8) (stored bool) {
	want := s.drop(i, key, theirs, listed)
	n := &s.nodes[i]
	if want && n.know.Merge(s.dot(listed), s.dot(n.held[key])) {
		n.held[key], stored = listed, true
	}
	n.clock = max(n.clock, s.dot(listed).Time)
	return stored
}

// claiming are the steps of a claim: both sides note what they hold, in any order.
// If the live entries were the same, the dead ones go over, and then what from
// knew.
func (s *state) claiming(yield func(action, *state)) {
	x := &s.session
	switch {
	case x.phase&stated == 0:
		n := s.clone()
		if n.state(); n.same() {
			yield(action{"state", x.from, x.to, 0, 0}, n)
		}
	case x.phase&looked == 0:
		n := s.clone()
		if n.look(); n.same() {
			yield(action{"look", x.to, x.from, 0, 0}, n)
		}
	case x.phase&sent == 0:
		n := s.clone()
		n.sendDead()
		yield(action{what: "it sends what is dead"}, n)
	case x.phase&merged == 0:
		n := s.clone()
		n.mergeDead()
		yield(action{what: "what is dead arrives"}, n)
	default:
		n := s.clone()
		n.accept()
		n.session = session{}
		yield(action{what: "what it has seen is taken in, if nothing has come since that is among it"}, n)
	}
}

func (s *state) same() bool {
	x := &s.session
	return s.sameLive(x.held, x.looked) || broken(acceptUnequal)
}

func (s *state) sendDead() {
	x := &s.session
	x.held, x.looked, x.phase = [2]uint8{}, [2]uint8{}, x.phase|sent
	for key := range s.left.keys {
		if h := s.nodes[x.from].held[key]; s.isDead(h) && !s.nodes[x.to].know.Seen.Covers(s.dot(h)) && !broken(acceptWithoutDead) {
			x.held[key] = h
		}
	}
	if x.held == [2]uint8{} {
		x.phase |= merged
	}
}

// mergeDead is the arrival of dead entries. One that to holds and from had seen goes
// first.
func (s *state) mergeDead() {
	x := &s.session
	n := &s.nodes[x.to]
	for key := range s.left.keys {
		h := x.held[key]
		if h == 0 || n.know.Seen.Covers(s.dot(h)) || n.held[key] == h {
			continue
		}
		theirs := &x.know.Seen
		if !s.isDead(n.held[key]) {
			theirs = &Seen{}
		}
		s.settle(x.to, key, theirs, h)
	}
	x.held, x.phase = [2]uint8{}, x.phase|merged
}

func (s *state) accept() {
	x := &s.session
	if x.tripped(s.writes) != 0 && !broken(acceptWithoutWatch) {
		return
	}
	n := &s.nodes[x.to]
	n.know.Accept(&x.know)
	for _, d := range x.know.Seen.Base {
		n.clock = max(n.clock, d.Time) // the session carries its sender's clock
	}
	n.ready = true
}

// tell is a whole session at one instant.
func (s *state) tell(i, j uint8) {
	from, to := &s.nodes[i], &s.nodes[j]
	know := from.know
	know.Seen.Retired = nil
	for key := range s.left.keys {
		if s.settle(j, key, &know.Seen, from.held[key]) {
			s.store(j, key, to.held[key])
		}
	}
	to.know.Accept(&know)
	to.clock = max(to.clock, from.clock)
	to.ready = true
}

// nothingToTell is a short way to see that tell would change nothing.
func (s *state) nothingToTell(i, j uint8) bool {
	from, to := &s.nodes[i], &s.nodes[j]
	return to.ready && from.held == to.held && from.clock <= to.clock && len(from.know.Seen.Ahead) == 0 &&
		to.know.Seen.Base.CoversAll(from.know.Seen.Base) && to.know.Hidden.CoversAll(from.know.Hidden)
}

// called is the name of what is held.
func called(held uint8) string {
	if held == 0 {
		return "nothing"
	}
	return fmt.Sprintf("w%d", held-1)
}

func (s *state) describe() string {
	var out string
	for i := range s.nodes {
		n := &s.nodes[i]
		out += fmt.Sprintf("  %c: instance %d, clock %d, holds", 'A'+i, n.instance, n.clock)
		for key := range s.left.keys {
			out += " " + called(n.held[key])
		}
		out += fmt.Sprintf(", seen %v ahead %v, hidden %v\n", n.know.Seen.Base, n.know.Seen.Ahead, n.know.Hidden)
	}
	for i := range s.writes {
		w := &s.writes[i]
		out += fmt.Sprintf("  w%d: %s of k%d, dot %v over %v, prev %d, hidden %v\n",
			i, [...]string{"put", "put with a TTL", "put that expired", "delete"}[w.kind], w.key, w.dot, w.over, w.prev, w.hidden)
	}
	return out
}
