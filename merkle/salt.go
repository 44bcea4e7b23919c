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
	labelPart uint64 = iota + 1
	labelItem
	labelPosition
)

// partByte is what a cut's digest looks like on the wire.
func (s salt) partByte(c cut, d Digest) byte {
	var in [25]byte
	putDigest(in[:], d)
	binary.LittleEndian.PutUint64(in[16:], c.first)
	in[24] = c.bits
	return byte(siphash.Hash(uint64(s), labelPart, in[:]))
}

// print is an item's fingerprint. Narrow ones are its lowest 12 bits: enough to
// tell a few dozen items from each other.
func (s salt) print(d Digest, wide bool) uint64 {
	var in [16]byte
	putDigest(in[:], d)
	h := siphash.Hash(uint64(s), labelItem, in[:])
	if !wide {
		h &= 1<<(4*printSize) - 1
	}
	return h
}

// header is an item's, one of so many. The tag stands for its position among the
// few of one cut.
func (s salt) header(it *Item, now uint64, of int) header {
	var in [8]byte
	binary.LittleEndian.PutUint64(in[:], it.Pos)
	h := siphash.Hash(uint64(s), labelPosition, in[:])
	return header{tag: uint16(h & (1<<tagBits(of) - 1)), age: age(now, it.Time)}
}

func putDigest(dst []byte, d Digest) {
	binary.LittleEndian.PutUint64(dst, d.Hi)
	binary.LittleEndian.PutUint64(dst[8:], d.Lo)
}
