package merkle

// What a round looks up in its source. The tree's ranges end at nibbles, the
// dialogue's cuts at any bit.

// fewEntries is how many entries are rather read one by one than asked for as
// digests: with so few, the tree too would compute them from the entries.
const fewEntries = 32

// parts are the digests of the 2^k parts of c. If they were computed from the
// entries of c, these are returned too, in order, in the room that dst gives.
func (r *Round) parts(c cut, k uint8, nodes *[Fanout]Node, dst []Item) (items []Item, read bool) {
	if n := c.among(r.own.count); n <= fewEntries {
		if items, read = r.read(c, dst, int(n)); read {
			sum(c, k, nodes, items)
			return items, true
		}
	}
	r.sumRanges(c, k, nodes)
	return nil, false
}

// read appends the entries of c to dst, unless they turn out to be many more than
// the expected number.
func (r *Round) read(c cut, dst []Item, expect int) ([]Item, bool) {
	begin := len(dst)
	for from, page := c.first, expect+expect/4+2; ; page = pageSize {
		had := len(dst)
		dst = r.source.Items(c.cover(), from, dst, page)
		short := len(dst) < had+page
		for len(dst) > had && dst[len(dst)-1].Pos > c.last() {
			dst, short = dst[:len(dst)-1], true
		}
		if short || len(dst) > begin && dst[len(dst)-1].Pos == c.last() {
			return dst, true
		}
		if len(dst) > begin+4*pageSize {
			return dst[:begin], false
		}
		from = dst[len(dst)-1].Pos + 1
	}
}

// sum adds up entries of c by parts.
func sum(c cut, k uint8, nodes *[Fanout]Node, items []Item) {
	*nodes = [Fanout]Node{}
	for i := range items {
		nodes[c.index(k, items[i].Pos)].add(items[i].Digest, 1)
	}
}

// sumRanges adds up the parts of c from the ranges that they are made of.
func (r *Round) sumRanges(c cut, k uint8, nodes *[Fanout]Node) {
	*nodes = [Fanout]Node{}
	depth := (c.bits+k+nibbleBits-1)/nibbleBits - 1 // the parts are whole children of ranges there
	step := Range{Depth: depth}.Last()
	for first := RangeOf(c.first, depth).Prefix; ; first += step + 1 {
		rg := Range{Prefix: first, Depth: depth}
		var children [Fanout]Node
		r.source.Children(rg, &children)
		for i, child := range children {
			if at := rg.Child(i).First(); child.Count > 0 && c.contains(at) {
				nodes[c.index(k, at)].add(child.Digest, child.Count)
			}
		}
		if rg.Last() >= c.last() {
			return
		}
	}
}

// at appends the entries at one position; there is one, or none by now, but for
// keys whose hashes collide.
func (r *Round) at(pos uint64, dst []Item) []Item {
	return r.source.Items(RangeOf(pos, MaxDepth), pos, dst, 1)
}
