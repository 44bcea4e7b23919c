package merkle

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// salt is drawn for one round. What a round sends are short truncations of
// digests, mixed with the salt: two different digests look alike now and then,
// but not again under the next round's salt. The truncations only choose what
// is looked into; nothing but equal roots is ever taken as "the same".
type salt uint64

// One label for each use, so that no two of them are related.
const (
	labelRange uint64 = iota + 1
	labelItem
	labelPosition
)

// rangeByte is what a child's digest looks like on the wire.
func (s salt) rangeByte(r Range, d Digest) byte {
	var in [25]byte
	putDigest(in[:], d)
	binary.LittleEndian.PutUint64(in[16:], r.Prefix)
	in[24] = r.Depth
	return byte(siphash.Hash(uint64(s), labelRange, in[:]))
}

// print is an item's fingerprint. Narrow ones, of 16 bits, are its low half
// word: enough to tell a few dozen items from each other.
func (s salt) print(d Digest, wide bool) uint64 {
	var in [16]byte
	putDigest(in[:], d)
	h := siphash.Hash(uint64(s), labelItem, in[:])
	if !wide {
		h &= 0xffff
	}
	return h
}

// tag stands for a position among the few of one range.
func (s salt) tag(pos uint64) uint32 {
	var in [8]byte
	binary.LittleEndian.PutUint64(in[:], pos)
	return uint32(siphash.Hash(uint64(s), labelPosition, in[:]))
}

func putDigest(dst []byte, d Digest) {
	binary.LittleEndian.PutUint64(dst, d.Hi)
	binary.LittleEndian.PutUint64(dst[8:], d.Lo)
}
