package merkle

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"unsafe"

	"github.com/dchest/siphash"
)

// Key is the cluster's secret digest key: it decides where a key stands in the
// range space and what an entry adds to a digest. It is drawn with the
// cluster's first node and handed over in the first round with each other one.
type Key struct {
	// Created is when the key's first node became ready alone, in milliseconds
	// since 1970. math.MaxUint64 is a key that no cluster has settled on yet.
	Created uint64
	// Secret is drawn at random. It never leaves the members of the cluster.
	Secret [16]byte
}

// Beats reports whether k stays when two clusters with keys k and o merge: the
// older one, so that the larger and longer-lived side has nothing to rebuild,
// and between equally old ones that with the smaller secret.
func (k Key) Beats(o Key) bool {
	if k.Created != o.Created {
		return k.Created < o.Created
	}
	return bytes.Compare(k.Secret[:], o.Secret[:]) < 0
}

// Same reports whether both keys hold one secret, so that digests made with
// the one can be compared with digests made with the other.
func (k Key) Same(o Key) bool { return k.Secret == o.Secret }

// ID names the secret without giving it away.
func (k Key) ID() uint64 {
	return siphash.Hash(le64(k.Secret[:8]), le64(k.Secret[8:]), []byte("gokv merkle key id"))
}

// Digest is the digest of a set of entries: the sum, modulo 2^128, of a keyed
// pseudo-random function of each. The zero value is the empty set's.
type Digest struct{ Hi, Lo uint64 }

// DigestFrom is the inverse of Bytes.
func DigestFrom(b [16]byte) Digest {
	return Digest{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}

// Add is the digest of the union of two disjoint sets.
func (d Digest) Add(o Digest) Digest {
	lo, carry := bits.Add64(d.Lo, o.Lo, 0)
	hi, _ := bits.Add64(d.Hi, o.Hi, carry)
	return Digest{Hi: hi, Lo: lo}
}

// Sub is the digest of what is left of a set when a part of it is taken away.
func (d Digest) Sub(o Digest) Digest {
	lo, borrow := bits.Sub64(d.Lo, o.Lo, 0)
	hi, _ := bits.Sub64(d.Hi, o.Hi, borrow)
	return Digest{Hi: hi, Lo: lo}
}

// IsZero reports whether d is the empty set's digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// Bytes is the digest in big-endian order.
func (d Digest) Bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], d.Hi)
	binary.BigEndian.PutUint64(b[8:], d.Lo)
	return b
}

// String is the digest as 32 hexadecimal digits.
func (d Digest) String() string {
	b := d.Bytes()
	return hex.EncodeToString(b[:])
}

// FixedSize is the length of the part of an entry's digest input that is not
// its key: version (16 bytes, big endian: time, instance), kind (1), expiry
// (8, big endian, milliseconds) and the value's checksum (8).
const FixedSize = 33

// Hasher computes positions and digests under one Key. It is a value, free to
// copy and to use from many goroutines. Each of its uses has a subkey of its
// own, so that no output of one tells anything about another.
type Hasher struct {
	position, entry, seal [2]uint64
}

// NewHasher derives the subkeys of k.
func NewHasher(k Key) Hasher {
	return Hasher{
		position: subkey(k, "gokv merkle position"),
		entry:    subkey(k, "gokv merkle entry"),
		seal:     subkey(k, "gokv merkle seal"),
	}
}

// Position is a key's place in the range space. It is keyed, so that nobody
// who chooses keys can crowd one range.
func (h Hasher) Position(key string) uint64 {
	// The bytes are only read, and the copy would be an allocation a lookup.
	return siphash.Hash(h.position[0], h.position[1], unsafe.Slice(unsafe.StringData(key), len(key)))
}

// Entry is what one entry adds to the digest of each range that holds it:
// SipHash-2-4-128 over fixed and key.
func (h Hasher) Entry(key string, fixed *[FixedSize]byte) Digest {
	var room [256]byte // on the stack; only longer keys allocate
	in := append(append(room[:0], fixed[:]...), key...)
	lo, hi := siphash.Hash128(h.entry[0], h.entry[1], in)
	return Digest{Hi: hi, Lo: lo}
}

// Seal turns a digest into one that can be shown to clients: equal digests
// have equal seals, but the difference of two seals says nothing. The bare sum
// of a range would tell whoever can write one entry what that entry adds, and
// with enough such terms known, two sets with one sum can be found.
func (h Hasher) Seal(d Digest) Digest {
	b := d.Bytes()
	lo, hi := siphash.Hash128(h.seal[0], h.seal[1], b[:])
	return Digest{Hi: hi, Lo: lo}
}

// Check is a hash of a digest for one occasion, which a salt names: it tells equal
// digests from different ones, but for a chance that is another one with another
// salt.
func (h Hasher) Check(d Digest, salt uint64) uint64 {
	b := d.Bytes()
	return siphash.Hash(h.seal[0]^salt, h.seal[1], b[:])
}

func subkey(k Key, label string) [2]uint64 {
	a, b := siphash.Hash128(le64(k.Secret[:8]), le64(k.Secret[8:]), []byte(label))
	return [2]uint64{a, b}
}

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
