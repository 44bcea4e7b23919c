package merkle

import "slices"

// pageSize is how many items are asked for at once.
const pageSize = 64

// bulk sends what the other side lacks of a range, page by page in the order
// of positions. Nothing of it is remembered but the place, so that it takes no
// more memory for a million entries than for forty.
type bulk struct {
	active bool
	d      debt
	match  match
	from   uint64
}

// match crosses off the fingerprints of the other side. Each stands for one
// entry, however many look like it.
type match struct {
	prints  []uint64
	crossed uint32
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
func (m *match) missing() uint32 { return (1<<len(m.prints) - 1) &^ m.crossed }

// payPrints compares the other side's fingerprints with the own entries. What
// they have and this side lacks is wanted; what this side has and they lack
// is sent. Where both have something, one may replace the other: then headers
// go first, so that nothing stale is sent, as long as they are few.
func (r *Round) payPrints(d *debt) {
	m := &r.mouth
	b := bulk{active: true, d: *d, match: match{prints: m.prints[d.from:d.to]}, from: d.r.First()}
	m.page = m.page[:0]
	for b.active && len(m.page) <= maxHeaders {
		m.page = r.lacking(&b, m.page)
	}
	wanted := b.match.missing()
	if !b.active && wanted != 0 && len(m.page) > 0 && len(m.page) <= maxHeaders && len(r.ear.listed) < maxListed {
		r.sayHeaders(d.r, wanted, len(b.match.prints), m.page)
		return
	}
	m.bulk = b
	r.send(m.page)
	if !b.active {
		r.sayWant(wanted, len(b.match.prints))
	}
}

// maxListed bounds how many entries of all ranges together are listed by
// headers; past it they are simply sent.
const maxListed = maxPrints * MaxWindow

// sayHeaders answers n fingerprints with which of them are wanted and with the
// headers of the own entries that matched none.
func (r *Round) sayHeaders(rg Range, wanted uint32, n int, own []Item) {
	m, e := &r.mouth, &r.ear
	from := len(e.listed)
	e.listed = append(e.listed, own...)
	m.wanting = true
	m.ranges = appendBitmap(append(m.ranges, leadHeaders), wanted, n)
	m.ranges = appendHeaders(m.ranges, r.salt, own)
	r.claim(claim{kind: claimHeaders, r: rg, span: between(from, len(e.listed))})
}

// bulkPage continues where the last page ended. When all is sent, the answer
// is said that the fingerprints are waiting for.
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
	begin := len(dst)
	dst = r.source.Items(b.d.r, b.from, dst, pageSize)
	page := dst[begin:]
	if last := len(page) - 1; last < pageSize-1 || page[last].Pos == b.d.r.Last() {
		b.active = false
	} else {
		b.from = page[last].Pos + 1
	}
	kept := dst[:begin]
	for _, it := range page {
		print := r.salt.print(it.Digest, b.d.wide)
		if b.match.cross(print) {
			continue
		}
		// Where the other side has listed this fingerprint, and another entry of
		// this one has answered to it, either may be the one that it has.
		if slices.Contains(b.match.prints, print) || r.source.Surplus(it) {
			kept = append(kept, it)
		}
	}
	return kept
}
