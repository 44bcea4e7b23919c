package merkle

import "slices"

// debt is what this side owes to a statement of the other.
type debt struct {
	kind   debtKind
	wide   bool  // debtPrints: of 8 bytes
	listed uint8 // debtHeaders: how many there were
	want   uint32
	r      Range
	bytes  [Fanout]byte // debtDigests
	span                // of mouth.prints (debtPrints) or mouth.items
}

type debtKind uint8

const (
	debtDigests debtKind = iota + 1 // compare the parts, open those that differ
	debtPrints                      // compare the entries, list what they lack
	debtHeaders                     // say which are wanted; send the items
	debtEntries                     // send the items
)

// mouth is what a side needs to speak. Debts pile up while the other one
// speaks, and are paid in their order.
type mouth struct {
	debts  []debt
	paid   int
	prints []uint64
	items  []Item

	// later holds ranges that are known to differ and wait for room in the
	// window. It is a stack: the deepest go first, so that it stays short.
	later     []Range
	reopening []Range // taken from it for this turn, ascending
	took      bool

	opened  int  // ranges that this turn leaves to answer
	wanting bool // entries are asked for in this turn

	bulk   bulk
	outbox []Item // entries to send before anything else
	sent   int

	ranges, entries     []byte // the frames in the making, without their type
	packed, packedBytes uint64 // what is in entries

	// Scratch.
	entry []byte
	page  []Item
	own   []uint64
}

// maxLater bounds the stack of waiting ranges. Two honest sides stay below it;
// a range that finds no room is left to the next round.
const maxLater = MaxDepth * MaxWindow

func (r *Round) startSpeaking() {
	m := &r.mouth
	m.paid, m.opened, m.wanting, m.took = 0, 0, false, false
	r.phase = phaseSpeaking
}

// speak makes the next frame of this side's turn. Statements and entries are
// independent of each other, so that each kind fills frames of its own.
func (r *Round) speak(dst []byte) []byte {
	m := &r.mouth
	for more := true; more; {
		if len(m.entries) >= r.maxFrame {
			return r.flushEntries(dst)
		}
		if len(m.ranges) >= r.maxFrame {
			return r.flushRanges(dst)
		}
		more = r.step()
	}
	switch {
	case len(m.ranges) > 0:
		return r.flushRanges(dst)
	case len(m.entries) > 0:
		return r.flushEntries(dst)
	default:
		return r.endTurn(dst)
	}
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
	switch d.kind {
	case debtDigests:
		r.payDigests(d)
	case debtPrints:
		r.payPrints(d)
	case debtHeaders:
		r.sayWant(d.want, int(d.listed))
		r.send(r.mouth.items[d.from:d.to])
	case debtEntries:
		r.send(r.mouth.items[d.from:d.to])
	}
}

// sayWant answers a list with which of it this side wants.
func (r *Round) sayWant(set uint32, n int) {
	m := &r.mouth
	if set == 0 {
		m.ranges = append(m.ranges, leadSame)
		return
	}
	m.wanting = true
	m.ranges = appendBitmap(append(m.ranges, leadWant), set, n)
}

// payDigests compares the parts of a range with what the other side has of
// them, and opens those that differ.
func (r *Round) payDigests(d *debt) {
	m := &r.mouth
	var parts [Fanout]Node
	r.source.Children(d.r, &parts)
	var set uint32
	differ, count, cost := 0, uint64(0), 2
	for i, part := range parts {
		count += part.Count
		child := d.r.Child(i)
		if r.salt.rangeByte(child, part.Digest) == d.bytes[i] {
			continue
		}
		set |= 1 << i
		differ++
		cost += r.speechCost(child, part.Count)
	}
	switch {
	case set == 0:
		m.ranges = append(m.ranges, leadSame)
	case m.opened > 0 && m.opened+differ > r.window:
		m.ranges = append(m.ranges, leadLater)
		if len(m.later) < maxLater {
			m.later = append(m.later, d.r)
		}
	case count <= maxPrints && r.speechCost(d.r, count) <= cost && r.list(d.r):
	default:
		m.ranges = appendBitmap(append(m.ranges, leadParts), set, Fanout)
		for i, part := range parts {
			if set&(1<<i) != 0 {
				r.say(d.r.Child(i), part.Count)
			}
		}
	}
}

// speechCost is what opening a range with so many own entries costs in bytes.
func (r *Round) speechCost(rg Range, count uint64) int {
	switch {
	case count > maxPrints:
		return 1 + Fanout
	case r.wide(rg):
		return 1 + 8*int(count)
	default:
		return 1 + 2*int(count)
	}
}

// wide decides on the length of fingerprints. Each of the other side's entries
// in the range is compared with each of them, so where it must have many, as
// when this side has just joined, short ones would match by chance.
func (r *Round) wide(rg Range) bool {
	const many = 64
	return r.peer.count>>(nibbleBits*min(uint(rg.Depth), 15)) > many
}

// say opens a range. The count is what was last seen of it.
func (r *Round) say(rg Range, count uint64) {
	if count <= maxPrints && r.list(rg) {
		return
	}
	m := &r.mouth
	if rg.Depth == MaxDepth {
		r.sayAll(rg)
		return
	}
	var parts [Fanout]Node
	r.source.Children(rg, &parts)
	m.ranges = append(m.ranges, leadDigests)
	for i, part := range parts {
		m.ranges = append(m.ranges, r.salt.rangeByte(rg.Child(i), part.Digest))
	}
	r.claim(claim{kind: claimDigests, r: rg})
}

// list opens a range by fingerprints, unless it turns out to hold too much.
func (r *Round) list(rg Range) bool {
	m, e := &r.mouth, &r.ear
	from := len(e.listed)
	e.listed = r.source.Items(rg, rg.First(), e.listed, maxPrints+1)
	if len(e.listed)-from > maxPrints {
		clear(e.listed[from:])
		e.listed = e.listed[:from]
		return false
	}
	wide := r.wide(rg)
	m.own = m.own[:0]
	for i := range e.listed[from:] {
		m.own = append(m.own, r.salt.print(e.listed[from+i].Digest, wide))
	}
	m.ranges = appendPrints(m.ranges, m.own, wide)
	r.claim(claim{kind: claimPrints, r: rg, span: between(from, len(e.listed))})
	return true
}

// sayAll is for a single position that holds more entries than can be listed:
// they cannot be told apart by ranges, so both sides send all of them.
func (r *Round) sayAll(rg Range) {
	m := &r.mouth
	m.ranges = appendPrints(m.ranges, nil, false)
	r.claim(claim{kind: claimPrints, r: rg})
	m.page = r.source.Items(rg, rg.First(), m.page[:0], maxPrints)
	r.send(m.page)
}

func (r *Round) claim(c claim) {
	r.mouth.opened++
	r.ear.claims = append(r.ear.claims, c)
}

// reopen opens one of the ranges that waited, as long as the window has room.
func (r *Round) reopen() bool {
	m := &r.mouth
	if !m.took {
		m.took = true
		n := min(max(r.window-m.opened, 0), len(m.later))
		m.reopening = append(m.reopening[:0], m.later[len(m.later)-n:]...)
		m.later = m.later[:len(m.later)-n]
		slices.SortFunc(m.reopening, func(a, b Range) int {
			if a.Prefix < b.Prefix {
				return 1
			}
			return -1
		})
	}
	if len(m.reopening) == 0 {
		return false
	}
	rg := m.reopening[len(m.reopening)-1]
	m.reopening = m.reopening[:len(m.reopening)-1]
	m.ranges = appendRange(append(m.ranges, leadReopen), rg)
	r.say(rg, 0)
	return true
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
	m.entries = appendEntryBlob(m.entries, m.entry)
	m.packed++
	m.packedBytes += uint64(len(m.entry))
}

func (r *Round) flushEntries(dst []byte) []byte {
	m := &r.mouth
	dst = append(append(dst, byte(frameEntries)), m.entries...)
	r.stats.EntriesSent += m.packed
	r.stats.EntryBytesSent += m.packedBytes
	r.stats.DigestSent -= m.packedBytes // Next adds the whole frame
	m.entries, m.packed, m.packedBytes = m.entries[:0], 0, 0
	return dst
}

func (r *Round) flushRanges(dst []byte) []byte {
	m := &r.mouth
	dst = append(append(dst, byte(frameRanges)), m.ranges...)
	m.ranges = m.ranges[:0]
	return dst
}

// endTurn passes the word to the other side. It finishes only when it waits
// for nothing, entries it asked for included: so the root that it states is
// the one that it ends with.
func (r *Round) endTurn(dst []byte) []byte {
	m := &r.mouth
	r.stats.Turns++
	clear(m.items)
	m.debts, m.prints, m.items = m.debts[:0], m.prints[:0], m.items[:0]
	r.ownIdle = len(r.ear.claims) == 0 && len(m.later) == 0 && !m.wanting
	if !r.ownIdle {
		r.startHearing()
		e := endMsg{clock: r.source.Clock()}
		return e.appendTo(dst)
	}
	own, _ := r.source.Root()
	f := finishMsg{clock: r.source.Clock(), root: own}
	if r.peerIdle {
		r.finish(own)
	} else {
		r.startHearing()
	}
	return f.appendTo(dst)
}
