package merkle

import "fmt"

const (
	// Fanout is the number of children of a range.
	Fanout = 16
	// MaxDepth is the depth of a range that holds one position.
	MaxDepth = 16

	nibbleBits = 4
)

// Range is a part of the 64-bit position space: all positions that begin with
// the same Depth nibbles. The zero value is the whole space.
type Range struct {
	Prefix uint64 // left aligned; the bits below the prefix are zero
	Depth  uint8  // in nibbles, 0 to MaxDepth
}

// RangeOf is the range of that depth which holds pos.
func RangeOf(pos uint64, depth uint8) Range {
	return Range{Prefix: pos &^ below(depth), Depth: depth}
}

// Valid reports whether r is in canonical form.
func (r Range) Valid() bool { return r.Depth <= MaxDepth && r.Prefix&below(r.Depth) == 0 }

// First is the lowest position in r.
func (r Range) First() uint64 { return r.Prefix }

// Last is the highest position in r.
func (r Range) Last() uint64 { return r.Prefix | below(r.Depth) }

// Contains reports whether pos lies in r.
func (r Range) Contains(pos uint64) bool { return pos&^below(r.Depth) == r.Prefix }

// Child is the i-th of the sixteen ranges that make up r, which is not of
// MaxDepth.
func (r Range) Child(i int) Range {
	return Range{Prefix: r.Prefix | uint64(i)<<shift(r.Depth), Depth: r.Depth + 1}
}

// Index is which child of r holds pos.
func (r Range) Index(pos uint64) int { return int(pos >> shift(r.Depth) & (Fanout - 1)) }

// String is the prefix's nibbles, "-" for the whole space.
func (r Range) String() string {
	if r.Depth == 0 {
		return "-"
	}
	if r.Depth > MaxDepth {
		return fmt.Sprintf("%016x/%d", r.Prefix, r.Depth)
	}
	return fmt.Sprintf("%016x", r.Prefix)[:r.Depth]
}

// below masks the bits of a position that lie below a prefix of that depth.
func below(depth uint8) uint64 { return ^uint64(0) >> (nibbleBits * uint(depth)) }

// shift brings the nibble after a prefix of that depth to the right.
func shift(depth uint8) uint { return 64 - nibbleBits*(uint(depth)+1) }
