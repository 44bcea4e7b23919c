package merkle

import "fmt"

const (
	// StripeDepth is the depth of the range that a Stripe covers, StripeCount
	// how many of them make up all positions.
	StripeDepth = 2
	StripeCount = 256

	// A stripe gets another level when its lowest ranges hold more than
	// deepenAbove entries each on average, and loses one below shallowBelow.
	// Sixteen new ranges then hold 12 each, which is 1.8 bytes an entry at
	// worst; the gap between 12 and 10 keeps a stripe at the border from
	// changing its depth with each write.
	deepenAbove  = 192
	shallowBelow = 10

	maxLevels = MaxDepth - StripeDepth
)

// Stripe is the digests of the ranges below one range of StripeDepth, down to
// a level at which a range holds some dozen entries. It holds no entry: what
// lies below the lowest level is computed from the entries by whoever has them.
// Positions are pseudo-random, so ranges of one depth hold about equally many,
// and one depth for all of them needs no pointers: an entry costs under two
// bytes.
//
// A Stripe is not safe for concurrent use. The zero value is empty.
type Stripe struct {
	top Node
	// levels[i] are the 16^(i+1) ranges of depth StripeDepth+1+i.
	levels []level
}

type level struct {
	digests []Digest
	counts  []uint32
}

// Top is the digest and the number of all entries of the stripe.
func (s *Stripe) Top() Node { return s.top }

// Depth is the depth of the lowest ranges that have a digest here.
func (s *Stripe) Depth() uint8 { return StripeDepth + uint8(len(s.levels)) }

// Add takes in an entry's digest.
func (s *Stripe) Add(pos uint64, d Digest) {
	s.top.add(d, 1)
	for i := range s.levels {
		l, at := &s.levels[i], rangeIndex(pos, i)
		l.digests[at] = l.digests[at].Add(d)
		l.counts[at]++
	}
}

// Replace takes in the digest of an entry in place of another one's of the same
// position.
func (s *Stripe) Replace(pos uint64, was, is Digest) {
	change := is.Sub(was)
	s.top.Digest = s.top.Digest.Add(change)
	for i := range s.levels {
		l, at := &s.levels[i], rangeIndex(pos, i)
		l.digests[at] = l.digests[at].Add(change)
	}
}

// Remove takes an entry's digest out again.
func (s *Stripe) Remove(pos uint64, d Digest) {
	if s.top.Count == 0 {
		panic(fmt.Sprintf("merkle: remove at %016x: the stripe is empty", pos))
	}
	s.top.Digest = s.top.Digest.Sub(d)
	s.top.Count--
	for i := range s.levels {
		l, at := &s.levels[i], rangeIndex(pos, i)
		l.digests[at] = l.digests[at].Sub(d)
		l.counts[at]--
	}
}

// Parts sets out to the sixteen parts of r, a range of this stripe, and reports
// whether it has them: if not, they are below its lowest level.
func (s *Stripe) Parts(r Range, out *[Fanout]Node) bool {
	i := int(r.Depth) - StripeDepth
	if i >= len(s.levels) {
		return false
	}
	l, first := &s.levels[i], rangeIndex(r.Prefix, i)
	for k := range out {
		out[k] = Node{Digest: l.digests[first+k], Count: uint64(l.counts[first+k])}
	}
	return true
}

// Fits reports whether the stripe's depth suits the number of its entries. If
// not, the caller rebuilds it.
func (s *Stripe) Fits() bool { return levelsFor(s.top.Count, len(s.levels)) == len(s.levels) }

// Rebuild makes the stripe anew, as deep as count entries want it, from all its
// entries' positions and digests.
func (s *Stripe) Rebuild(count uint64, entries func(add func(pos uint64, d Digest))) {
	want := levelsFor(count, len(s.levels))
	*s = Stripe{}
	for i := range want {
		n := 1 << (nibbleBits * (i + 1))
		s.levels = append(s.levels, level{digests: make([]Digest, n), counts: make([]uint32, n)})
	}
	entries(s.Add)
}

// Bytes is the memory that the stripe's levels take.
func (s *Stripe) Bytes() int {
	n := 0
	for i := range s.levels {
		n += len(s.levels[i].digests) * (16 + 4)
	}
	return n
}

// Equal reports whether both stripes have the same ranges with the same
// digests, and names the first range that differs.
func (s *Stripe) Equal(o *Stripe) error {
	if s.top != o.top {
		return fmt.Errorf("%d entries of digest %s, and %d of %s", s.top.Count, s.top.Digest, o.top.Count, o.top.Digest)
	}
	if len(s.levels) != len(o.levels) {
		return fmt.Errorf("depth %d, and %d", s.Depth(), o.Depth())
	}
	for i := range s.levels {
		for at, d := range s.levels[i].digests {
			if od, n, on := o.levels[i].digests[at], s.levels[i].counts[at], o.levels[i].counts[at]; d != od || n != on {
				return fmt.Errorf("range %d of depth %d: %d entries of digest %s, and %d of %s", at, StripeDepth+1+i, n, d, on, od)
			}
		}
	}
	return nil
}

// rangeIndex is which range of a stripe's i-th level holds pos.
func rangeIndex(pos uint64, i int) int {
	return int(pos << (StripeDepth * nibbleBits) >> (64 - nibbleBits*uint(i+1)))
}

// levelsFor is how many levels suit count entries, given how many there are.
func levelsFor(count uint64, levels int) int {
	lowest := func() uint64 { return uint64(1) << (nibbleBits * levels) }
	for levels < maxLevels && count > deepenAbove*lowest() {
		levels++
	}
	for levels > 0 && count < shallowBelow*lowest() {
		levels--
	}
	return levels
}

// Lowest is the lowest range with a digest here that holds pos, a position of this
// stripe, and what is recorded of it.
func (s *Stripe) Lowest(pos uint64) (Range, Node) {
	last := len(s.levels) - 1
	if last < 0 {
		return RangeOf(pos, StripeDepth), s.top
	}
	l, at := &s.levels[last], rangeIndex(pos, last)
	return RangeOf(pos, s.Depth()), Node{Digest: l.digests[at], Count: uint64(l.counts[at])}
}
