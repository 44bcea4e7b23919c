package merkle

import (
	"cmp"
	"math/bits"
	"slices"
)

// debt is what this side owes to a statement of the other.
type debt struct {
	cut
	kind debtKind
	wide bool   // debtPrints: of 8 bytes
	k    uint8  // debtDigests: of 2^k parts
	n    uint8  // debtPrints: of so many; debtHeaders, debtEntries: so many entries go over
	m    uint8  // debtHeaders: answer so many headers
	from uint32 // of mouth.bytes, mouth.prints or mouth.owed
	want uint64 // debtHeaders: which of the m
}

type debtKind uint8

const (
	debtDigests debtKind = iota + 1 // compare the parts, open those that differ
	debtPrints                      // compare the entries, list what they lack
	debtHeaders                     // say which are wanted; send the entries
	debtEntries                     // send the entries
)

// mouth is what a side needs to speak. Debts pile up while the other one
// speaks, and are paid in their order.
type mouth struct {
	debts  []debt
	paid   int
	bytes  []byte   // of digests
	prints []uint16 // narrow ones, or four to a wide one
	owed   []listed // entries that go over

	// later holds cuts that are known to differ and wait for room in the
	// window. It is a stack: the deepest go first, so that it stays short.
	later     []cut
	reopening []cut // taken from it for this turn, ascending
	took      bool

	opened  int  // cuts that this turn leaves to answer
	wanting bool // entries are asked for in this turn
	// How many parts were compared in this turn, and how many of them differed.
	compared, differed int

	bulk   bulk
	outbox []Item // entries to send before anything else
	sent   int

	ranges              nibbles // the frames in the making, without their type
	entries             []byte
	lastSize            int    // of an entry in entries
	packed, packedBytes uint64 // what is in entries

	// Scratch.
	entry  []byte
	page   []Item // of a cut that is compared
	inner  []Item // of one of its parts
	theirs []uint64
	own    []uint64
}

const (
	// maxLater bounds the stack of waiting cuts. Two honest sides stay below
	// it; a cut that finds no room is left to the next round.
	maxLater = 4 * MaxWindow
	// maxListed bounds the entries that a turn lists, by fingerprints or headers.
	// Past it digests go on, and what headers would be said of is sent.
	maxListed = 1 << 20

	// listTurn is the turn from which on entries are listed by fingerprints,
	// however many they are up to the limit. At a million entries the open and
	// four turns of digests, of 4, 4, 4 and 2 bits, come before; behind it come
	// headers, which of these are wanted, the entries and an ending: ten turns,
	// which are five round trips.
	listTurn = 6
	// listAt is how many entries are listed without further digests before: a
	// list of n costs 1.5 n bytes, digests of four parts cost 4.
	listAt = 6
	// manyTheirs is of how many entries the other side must have in a cut for
	// narrow fingerprints to match by chance.
	manyTheirs = 64
	// crowded is how many parts must have been compared in a turn, and nearly
	// all found different, before longer lists are sent without further digests.
	crowded = 128
)

func (r *Round) startSpeaking() {
	m := &r.mouth
	m.paid, m.opened, m.wanting, m.took = 0, 0, false, false
	m.compared, m.differed = 0, 0
	r.phase = phaseSpeaking
}

// speak makes the next frame of this side's turn. Statements and entries are
// independent of each other, so that each kind fills frames of its own. The
// last frame of a turn says that it is the last.
func (r *Round) speak(dst []byte) []byte {
	m := &r.mouth
	for more := true; more; {
		if len(m.entries) >= r.maxFrame {
			return r.flushEntries(dst, 0)
		}
		if len(m.ranges.b) >= r.maxFrame {
			return r.flushRanges(dst, 0)
		}
		more = r.step()
	}
	if len(m.ranges.b) > 0 && len(m.entries) > 0 {
		return r.flushRanges(dst, 0)
	}
	// It finishes only when it waits for nothing, entries it asked for
	// included: so the root that it states is the one that it ends with.
	last := byte(frameLast)
	if r.ownIdle = len(r.ear.claims) == 0 && len(m.later) == 0 && !m.wanting; r.ownIdle {
		last = 0
	}
	switch {
	case len(m.ranges.b) > 0:
		dst = r.flushRanges(dst, last)
	case len(m.entries) > 0:
		dst = r.flushEntries(dst, last)
	case r.ownIdle:
		return r.sayFinish(dst)
	default:
		dst = append(dst, byte(frameEndTurn))
	}
	if !r.ownIdle {
		r.endTurn()
	}
	return dst
}

// step does a bounded piece of the turn, and reports whether there was one.
func (r *Round) step() bool {
	m := &r.mouth
	switch {
	case m.sent < len(m.outbox):
		r.sendEntry()
	case m.bulk.active:
		r.bulkPage()
	case m.paid < len(m.debts):
		m.paid++
		r.pay(&m.debts[m.paid-1])
	default:
		return r.reopen()
	}
	return true
}

func (r *Round) pay(d *debt) {
	m := &r.mouth
	switch d.kind {
	case debtDigests:
		r.payDigests(d)
	case debtPrints:
		r.payPrints(d)
	case debtHeaders:
		m.ranges.putBits(d.want, int(d.m))
		m.wanting = m.wanting || d.want != 0
		r.sendOwed(d)
	case debtEntries:
		r.sendOwed(d)
	}
}

// sayWant answers a list with which of it this side wants.
func (r *Round) sayWant(set uint64, n int) {
	r.mouth.ranges.putWant(set, n)
	r.mouth.wanting = r.mouth.wanting || set != 0
}

// payDigests compares the parts of a cut with what the other side has of them,
// and opens those that differ.
func (r *Round) payDigests(d *debt) {
	m := &r.mouth
	var nodes [Fanout]Node
	items, read := r.parts(d.cut, d.k, &nodes, m.page[:0])
	if read {
		m.page = items
	}
	var set uint64
	for i, theirs := range m.bytes[d.from:][:1<<d.k] {
		if r.salt.partByte(d.part(d.k, i), nodes[i].Digest) != theirs {
			set |= 1 << i
		}
	}
	differ := bits.OnesCount64(set)
	m.compared += 1 << d.k
	m.differed += differ
	if differ > 0 && 16*m.differed >= 15*m.compared {
		// Where nearly all differ, what looks equal is a collision as likely
		// as not, and opening it costs less than another round.
		set, differ = 1<<(1<<d.k)-1, 1<<d.k
	}
	switch {
	case set == 0:
		m.ranges.put(answerSame, 1)
		return
	case m.opened > 0 && m.opened+differ > r.window:
		m.ranges.put(answerLater, 1)
		if len(m.later) < maxLater {
			m.later = append(m.later, d.cut)
		}
		return
	}
	m.ranges.putParts(set, d.k)
	for i, node := range nodes[:1<<d.k] {
		part := int(node.Count)
		if set&(1<<i) == 0 {
			items = items[min(part, len(items)):]
			continue
		}
		if !read {
			r.say(d.part(d.k, i), node.Count, nil, false)
			continue
		}
		r.say(d.part(d.k, i), node.Count, items[:part], true)
		items = items[part:]
	}
}

// say opens a cut: the count is what was last seen of it, and its items are given
// if they have been read.
func (r *Round) say(c cut, count uint64, items []Item, read bool) {
	m := &r.mouth
	if limit, wide := r.listLimit(c); count <= uint64(limit) || count <= maxPrints && c.bits == positionBits {
		if !read {
			m.inner, read = r.read(c, m.inner[:0], int(count))
			items = m.inner
		}
		fits := len(items) <= limit || len(items) <= maxPrints && c.bits == positionBits
		if read && fits && len(r.ear.listed)+len(items) <= maxListed {
			r.list(c, items, wide && len(items) <= maxWide)
			return
		}
	}
	if c.bits == positionBits {
		r.sayAll(c)
		return
	}
	k := fanOut(c, max(count, c.among(r.peer.count)))
	var nodes [Fanout]Node
	if read {
		sum(c, k, &nodes, items)
	} else if items, read = r.parts(c, k, &nodes, m.inner[:0]); read {
		m.inner = items
	}
	m.ranges.put(uint64(speechDigests+k), 1)
	for i, node := range nodes[:1<<k] {
		m.ranges.put(uint64(r.salt.partByte(c.part(k, i), node.Digest)), 2)
	}
	r.claim(claim{kind: claimDigests, cut: c, n: k})
}

// listLimit is up to how many own entries of a cut are listed by fingerprints, and
// whether by wide ones. Each of the other side's entries in the cut is compared
// with each of them, so where it must have many, as when this side has just
// joined, narrow ones would match by chance.
func (r *Round) listLimit(c cut) (limit int, wide bool) {
	m := &r.mouth
	switch {
	case c.among(r.peer.count) > manyTheirs:
		return maxWide, true
	case r.stats.Turns+1 >= listTurn, m.compared >= crowded && 100*m.differed >= 99*m.compared:
		return maxPrints, false
	default:
		return listAt, false
	}
}

// fanOut is by how many bits to divide a cut of which so many entries are known:
// 2^k parts cost 2^k bytes, so not much finer than lists are short. Above that it
// is the tree's own step, so that a part's digest is that of a range.
func fanOut(c cut, count uint64) uint8 {
	k := uint8(maxFanBits)
	if count <= 24 {
		k = 2
	} else if count <= 64 {
		k = 3
	}
	return min(k, positionBits-c.bits)
}

// list opens a cut by fingerprints.
func (r *Round) list(c cut, items []Item, wide bool) {
	m := &r.mouth
	m.ranges.putList(len(items), wide)
	size := printSize
	if wide {
		size = wideSize
	}
	m.own = m.own[:0]
	for i := range items {
		m.own = append(m.own, r.salt.print(items[i].Digest, wide))
		m.ranges.put(m.own[i], size)
	}
	r.claim(claim{kind: claimPrints, cut: c, n: uint8(len(items)), from: uint32(len(r.ear.listed))})
	for i := range items {
		l := listed{pos: items[i].Pos, mark: items[i].Digest.Lo}
		if slices.Contains(m.own[:i], m.own[i]) || slices.Contains(m.own[i+1:], m.own[i]) {
			l.mark = 0
		}
		r.ear.listed = append(r.ear.listed, l)
	}
}

// sayAll is for a single position that holds more entries than can be listed:
// they cannot be told apart by digests, so both sides send all of them.
func (r *Round) sayAll(c cut) {
	m := &r.mouth
	m.ranges.putList(0, false)
	r.claim(claim{kind: claimPrints, cut: c})
	m.inner = r.source.Items(c.cover(), c.first, m.inner[:0], maxPrints)
	r.send(m.inner)
}

func (r *Round) claim(c claim) {
	r.mouth.opened++
	r.ear.claims = append(r.ear.claims, c)
}

// reopen opens one of the cuts that waited, as long as the window has room.
func (r *Round) reopen() bool {
	m := &r.mouth
	if !m.took {
		m.took = true
		n := min(max(r.window-m.opened, 0), len(m.later))
		m.reopening = append(m.reopening[:0], m.later[len(m.later)-n:]...)
		m.later = m.later[:len(m.later)-n]
		slices.SortFunc(m.reopening, func(a, b cut) int { return cmp.Compare(b.first, a.first) })
	}
	if len(m.reopening) == 0 {
		return false
	}
	c := m.reopening[len(m.reopening)-1]
	m.reopening = m.reopening[:len(m.reopening)-1]
	m.ranges.putCut(c)
	r.say(c, c.among(r.own.count), nil, false)
	return true
}

// sendOwed sends what stands at some positions by now.
func (r *Round) sendOwed(d *debt) {
	m := &r.mouth
	for i, l := range m.owed[d.from:][:d.n] {
		if i > 0 && l.pos == m.owed[int(d.from)+i-1].pos {
			continue
		}
		from := len(m.outbox)
		m.outbox = r.at(l.pos, m.outbox)
		if here := m.outbox[from:]; len(here) == 1 && l.mark != 0 && here[0].Digest.Lo == l.mark && !r.source.Surplus(here[0]) {
			r.letGo(here[0], d.want != 0)
			m.outbox = m.outbox[:from]
		}
	}
}

// send puts entries into the outbox. They are read when it is their turn.
func (r *Round) send(items []Item) { r.mouth.outbox = append(r.mouth.outbox, items...) }

func (r *Round) sendEntry() {
	m := &r.mouth
	m.entry = r.source.AppendEntry(m.entry[:0], m.outbox[m.sent])
	if m.sent++; m.sent == len(m.outbox) {
		clear(m.outbox)
		m.outbox, m.sent = m.outbox[:0], 0
	}
	if len(m.entry) == 0 {
		return
	}
	m.entries = appendEntryBlob(m.entries, m.entry, m.lastSize)
	m.lastSize = len(m.entry)
	m.packed++
	m.packedBytes += uint64(len(m.entry))
}

func (r *Round) flushEntries(dst []byte, flags byte) []byte {
	m := &r.mouth
	dst = append(append(dst, byte(frameEntries)|flags), m.entries...)
	r.stats.EntriesSent += m.packed
	r.stats.EntryBytesSent += m.packedBytes
	r.stats.DigestSent -= m.packedBytes // Next adds the whole frame
	m.entries, m.lastSize, m.packed, m.packedBytes = m.entries[:0], 0, 0, 0
	return dst
}

func (r *Round) flushRanges(dst []byte, flags byte) []byte {
	m := &r.mouth
	if m.ranges.odd {
		flags |= frameOdd
	}
	dst = append(append(dst, byte(frameRanges)|flags), m.ranges.b...)
	m.ranges.reset()
	return dst
}

// endTurn passes the word to the other side.
func (r *Round) endTurn() {
	r.dropDebts()
	r.startHearing()
}

func (r *Round) dropDebts() {
	m := &r.mouth
	r.stats.Turns++
	m.debts, m.prints, m.bytes, m.owed = m.debts[:0], m.prints[:0], m.bytes[:0], m.owed[:0]
}

// sayFinish ends a turn that leaves nothing to wait for.
func (r *Round) sayFinish(dst []byte) []byte {
	own, _ := r.source.Root()
	f := finishMsg{root: own}
	r.dropDebts()
	if r.peerIdle {
		r.finish(own)
	} else {
		r.startHearing()
	}
	return f.appendTo(dst)
}
