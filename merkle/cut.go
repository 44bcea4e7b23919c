package merkle

import "fmt"

// positionBits is how many bits a position has.
const positionBits = 64

// maxFanBits is the most bits by which a cut is divided at once, into 16 parts.
const maxFanBits = 4

// cut is what the dialogue talks about: all positions that begin with the same
// bits. It is a Range at a finer grain, so that a side may divide what differs
// into as many parts as pays. The zero value is the whole space.
type cut struct {
	first uint64 // the lowest position, and the prefix: what is below its bits is zero
	bits  uint8  // 0 to positionBits
}

func (c cut) valid() bool { return c.bits <= positionBits && c.first&c.below() == 0 }

// below masks the bits of a position that lie below the prefix.
func (c cut) below() uint64 { return ^uint64(0) >> c.bits }

func (c cut) last() uint64 { return c.first | c.below() }

func (c cut) contains(pos uint64) bool { return pos&^c.below() == c.first }

// part is the i-th of the 2^k parts of c.
func (c cut) part(k uint8, i int) cut {
	return cut{first: c.first | uint64(i)<<(positionBits-c.bits-k), bits: c.bits + k}
}

// index is which of the 2^k parts of c holds pos, which lies in c.
func (c cut) index(k uint8, pos uint64) int { return int(pos << c.bits >> (positionBits - k)) }

// cover is the smallest range that holds c.
func (c cut) cover() Range { return RangeOf(c.first, c.bits/nibbleBits) }

// among is how many of so many entries lie in c, as positions are spread evenly.
func (c cut) among(count uint64) uint64 { return count >> min(c.bits, positionBits-1) }

func (c cut) String() string { return fmt.Sprintf("%016x/%d", c.first, c.bits) }
