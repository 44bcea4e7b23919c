package merkle

import "slices"

// pageSize is how many items are asked for at once.
const pageSize = 64

// bulk sends what the other side lacks of a cut, page by page in the order of
// positions. Nothing of it is remembered but the place, so that it takes no more
// memory for a million entries than for forty.
type bulk struct {
	active bool
	cut
	wide  bool
	match match
	from  uint64
}

// match crosses off the fingerprints of the other side. Each stands for one
// entry, however many look like it.
type match struct {
	prints  []uint64
	crossed uint64
	alike   bool // some of the fingerprints are equal
}

func matchOf(prints []uint64) match {
	m := match{prints: prints}
	for i, p := range prints {
		m.alike = m.alike || slices.Contains(prints[:i], p)
	}
	return m
}

// lists reports whether the other side has listed a fingerprint, crossed off or
// not. An entry that it has not, the other side lacks for certain.
func (m *match) lists(print uint64) bool { return slices.Contains(m.prints, print) }

// doubtful reports whether one of the other side's fingerprints may stand for the
// i-th of some own ones or for another of them. Any may be the one that is lacked.
func (m *match) doubtful(own []uint64, i int) bool {
	return m.lists(own[i]) && (slices.Contains(own[:i], own[i]) || slices.Contains(own[i+1:], own[i]))
}

func (m *match) cross(print uint64) bool {
	for i, p := range m.prints {
		if p == print && m.crossed&(1<<i) == 0 {
			m.crossed |= 1 << i
			return true
		}
	}
	return false
}

// missing are the ones that this side has nothing for.
func (m *match) missing() uint64 { return (1<<len(m.prints) - 1) &^ m.crossed }

// payPrints compares the other side's fingerprints with the own entries. What
// they have and this side lacks is wanted; what this side has and they lack
// is sent. Where both have something, one may replace the other: then headers
// go first, so that nothing stale is sent, as long as they are few.
func (r *Round) payPrints(d *debt) {
	m := &r.mouth
	m.theirs = m.theirs[:0]
	for i := range int(d.n) {
		if d.wide {
			words := m.prints[int(d.from)+4*i:][:4]
			m.theirs = append(m.theirs, uint64(words[0])<<48|uint64(words[1])<<32|uint64(words[2])<<16|uint64(words[3]))
			continue
		}
		m.theirs = append(m.theirs, uint64(m.prints[int(d.from)+i]))
	}
	b := bulk{active: true, cut: d.cut, wide: d.wide, match: matchOf(m.theirs), from: d.first}
	expect := max(d.among(r.own.count), uint64(d.n)) // most of them are common
	if expect <= pageSize {
		if items, read := r.read(d.cut, m.page[:0], int(expect)); read {
			m.page, b.active = items, false
			r.answerList(&b, items)
			return
		}
	}
	m.bulk = b
}

// answerList compares fingerprints with all own entries of the cut.
func (r *Round) answerList(b *bulk, items []Item) {
	m := &r.mouth
	var lack uint64 // which of the items they lack
	lacking := 0
	few := len(items) <= 64
	m.own = m.own[:0]
	for i := range items {
		m.own = append(m.own, r.salt.print(items[i].Digest, b.wide))
	}
	for i := range items {
		if !r.goesOver(b, &items[i]) && !b.match.doubtful(m.own, i) {
			continue
		}
		lacking++
		if few {
			lack |= 1 << i
		} else {
			m.outbox = append(m.outbox, items[i])
		}
	}
	wanted, n := b.match.missing(), len(b.match.prints)
	if few && wanted != 0 && lacking > 0 && lacking <= maxHeaders && len(r.ear.listed)+lacking <= maxListed {
		r.sayHeaders(b.cut, wanted, n, items, lack, lacking)
		return
	}
	for i := range items {
		if few && lack&(1<<i) != 0 {
			m.outbox = append(m.outbox, items[i])
		}
	}
	r.sayWant(wanted, n)
}

// sayHeaders answers n fingerprints with which of them are wanted and with the
// headers of the own entries that matched none.
func (r *Round) sayHeaders(c cut, wanted uint64, n int, items []Item, lack uint64, lacking int) {
	m := &r.mouth
	m.wanting = true
	m.ranges.putHeads(wanted, n, lacking)
	r.claim(claim{kind: claimHeaders, cut: c, n: uint8(lacking), from: uint32(len(r.ear.listed))})
	for i := range items {
		if lack&(1<<i) != 0 {
			m.ranges.putHeader(r.salt.header(&items[i], r.now, lacking), lacking)
			r.ear.listed = append(r.ear.listed, listed{pos: items[i].Pos})
		}
	}
}

// bulkPage continues where the last page ended. When all is sent, the answer is
// said that the fingerprints are waiting for.
func (r *Round) bulkPage() {
	m := &r.mouth
	m.page = r.lacking(&m.bulk, m.page[:0])
	r.send(m.page)
	if !m.bulk.active {
		r.sayWant(m.bulk.match.missing(), len(m.bulk.match.prints))
		m.bulk = bulk{}
	}
}

// lacking appends the next page's items that match no fingerprint.
func (r *Round) lacking(b *bulk, dst []Item) []Item {
	dst = r.source.Items(b.cover(), b.from, dst, pageSize)
	n := len(dst)
	for n > 0 && dst[n-1].Pos > b.last() {
		n--
	}
	if n < len(dst) || n < pageSize || dst[n-1].Pos == b.last() {
		b.active = false
	} else {
		b.from = dst[n-1].Pos + 1
	}
	kept := dst[:0]
	for _, it := range dst[:n] {
		if r.goesOver(b, &it) {
			kept = append(kept, it)
		}
	}
	return kept
}

// goesOver reports whether an item is to be sent: the other side seems to lack it,
// and it is not one that both have let go. Where the other side has listed its
// fingerprint, and another item of this side has answered to that, this may be the
// one that is lacked. An item that was read by another key
// than the list was made by matches nothing, and nothing follows from that.
func (r *Round) goesOver(b *bulk, it *Item) bool {
	print := r.salt.print(it.Digest, b.wide)
	if b.match.cross(print) {
		return false
	}
	if b.match.lists(print) || !r.source.Key().Same(r.key) || r.source.Surplus(*it) {
		return true
	}
	// Of two that look alike the one that is asked for may not be the one that
	// replaces this: then it stays, for a round with another salt.
	if !b.match.alike {
		r.letGo(*it, b.match.missing() != 0)
	}
	return false
}

// maxGone bounds the entries that wait to be let go; those beyond go at once.
const maxGone = 1 << 16

// letGo drops an entry that the other side has let go. If entries were asked for,
// what replaced it may be among them, and readers are not to find nothing meanwhile:
// then it goes when they have come, unless it has been replaced.
func (r *Round) letGo(it Item, asked bool) {
	if asked && len(r.gone) < maxGone {
		r.gone = append(r.gone, it)
		return
	}
	r.source.LetGo(it)
}

// dropGone drops what was to go once the entries that were asked for have come.
func (r *Round) dropGone() {
	for i := range r.gone {
		r.source.LetGo(r.gone[i])
	}
	clear(r.gone)
	r.gone = r.gone[:0]
}
