package merkle

import "math"

// Root is the digest and the number of all entries at one instant: it holds
// every stripe at once, so that it is never the digest of a set that did not
// exist.
func (t *Tree[E]) Root() (Digest, uint64) {
	var sum Node
	for i := range t.stripes {
		t.stripes[i].mu.Lock()
	}
	for i := range t.stripes {
		s := &t.stripes[i]
		sum.add(s.root.digest, s.root.count)
		s.mu.Unlock()
	}
	return sum.Digest, sum.Count
}

// Range is the digest and the number of the entries in r.
func (t *Tree[E]) Range(r Range) (Digest, uint64) {
	if r.Depth == 0 {
		return t.Root()
	}
	var sum Node
	if r.Depth < stripeDepth {
		t.stripesOf(r, func(_ int, s *stripe[E]) { sum.add(s.root.digest, s.root.count) })
		return sum.Digest, sum.Count
	}
	s := t.stripe(r.Prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, at := s.root.descend(r)
	switch {
	case n == nil:
	case at.Depth == r.Depth:
		sum.add(n.digest, n.count)
	default: // below a leaf
		for _, slot := range n.leaf {
			if r.Contains(slot.pos) {
				sum.add(t.itemOf(slot.e).Digest, 1)
			}
		}
	}
	return sum.Digest, sum.Count
}

// Children are the sixteen parts of r, which is not of MaxDepth.
func (t *Tree[E]) Children(r Range, out *[Fanout]Node) {
	*out = [Fanout]Node{}
	if r.Depth >= MaxDepth {
		return
	}
	if r.Depth < stripeDepth {
		t.stripesOf(r, func(i int, s *stripe[E]) {
			out[r.Index(uint64(i)<<(64-stripeDepth*nibbleBits))].add(s.root.digest, s.root.count)
		})
		return
	}
	s := t.stripe(r.Prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := s.root.descend(r)
	switch {
	case n == nil:
	case n.kids == nil:
		for _, slot := range n.leaf {
			if r.Contains(slot.pos) {
				out[r.Index(slot.pos)].add(t.itemOf(slot.e).Digest, 1)
			}
		}
	default:
		for i, kid := range n.kids {
			if kid != nil {
				out[i] = Node{Digest: kid.digest, Count: kid.count}
			}
		}
	}
}

// Walk yields the entries of r with positions at or above from, in ascending
// order of position, until yield returns false. No lock is held in yield. What
// is written during a walk is seen or not; what stays is seen once.
func (t *Tree[E]) Walk(r Range, from uint64, yield func(pos uint64, e E) bool) {
	from, last := max(from, r.First()), r.Last()
	var page []slot[E]
	for from <= last {
		var end uint64
		page, end = t.leafAt(page[:0], from)
		for _, slot := range page {
			if slot.pos > last {
				return
			}
			if !yield(slot.pos, slot.e) {
				return
			}
		}
		if end == math.MaxUint64 {
			return
		}
		from = end + 1
	}
}

// Items is Walk in the form that a Source needs.
func (t *Tree[E]) Items(r Range, from uint64, dst []Item, limit int) []Item {
	if limit <= 0 {
		return dst
	}
	n := 0
	t.Walk(r, from, func(pos uint64, e E) bool {
		if n >= limit && dst[len(dst)-1].Pos != pos {
			return false
		}
		dst = append(dst, t.itemOf(e))
		n++
		return true
	})
	return dst
}

// leafAt appends what the leaf that pos falls into holds at or above pos, and
// returns the last position that the leaf, or the empty range, covers.
func (t *Tree[E]) leafAt(dst []slot[E], pos uint64) ([]slot[E], uint64) {
	s := t.stripe(pos)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, at := s.root.descend(RangeOf(pos, MaxDepth))
	if n != nil {
		for _, slot := range n.leaf {
			if slot.pos >= pos {
				dst = append(dst, slot)
			}
		}
	}
	return dst, at.Last()
}

// descend goes from a stripe's root towards r and stops at r, at a leaf above
// it, or at an empty range (nil). It returns the range where it stopped.
func (n *node[E]) descend(r Range) (*node[E], Range) {
	at := RangeOf(r.Prefix, stripeDepth)
	for at.Depth < r.Depth && n != nil && n.kids != nil {
		i := at.Index(r.Prefix)
		n, at = n.kids[i], at.Child(i)
	}
	return n, at
}

// stripesOf visits, under their locks, the stripes that make up a range above
// them.
func (t *Tree[E]) stripesOf(r Range, visit func(i int, s *stripe[E])) {
	const toStripe = 64 - stripeDepth*nibbleBits
	for i := int(r.First() >> toStripe); i <= int(r.Last()>>toStripe); i++ {
		s := &t.stripes[i]
		s.mu.Lock()
		visit(i, s)
		s.mu.Unlock()
	}
}

// Add takes in the entries of another range.
func (n *Node) Add(o Node) { n.add(o.Digest, o.Count) }

func (n *Node) add(d Digest, count uint64) {
	n.Digest = n.Digest.Add(d)
	n.Count += count
}
