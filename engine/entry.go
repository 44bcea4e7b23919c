package engine

import (
	"cmp"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Kind tells what a write did.
type Kind uint8

// The kinds of entries. Their order takes part in the merge rule.
const (
	KindPut       Kind = 1 // the key has a value
	KindTombstone Kind = 2 // the key was deleted
)

// Entry is the last write of one key. What reads hand out is a copy. What Put
// returns has the caller's own key and value.
type Entry struct {
	Key       string
	Value     []byte  // nil for a tombstone and a reaped put, otherwise not nil
	Version   Version // of this write
	Over      Version // of the write that this one replaced where it was issued; zero: none. Not part of the digest
	Prev      uint64  // the time of its issuer's write before it, of any key; zero: none. Not part of the digest
	ExpiresAt int64   // ms since 1970 from which on the key is gone; 0: never
	Checksum  uint64  // of the value; 0 for a tombstone
	Kind      Kind

	// reaped: the entry expired so long ago that the value was dropped. Everything
	// else stays until it is purged.
	reaped bool
}

// Checksum is what Entry.Checksum holds for value. It is not keyed: who can
// choose values gains nothing from a collision, because two writes never share
// a version.
func Checksum(value []byte) uint64 { return xxhash.Sum64(value) }

// Reaped reports whether e is a put whose value was dropped after its expiry.
func (e *Entry) Reaped() bool { return e.reaped }

// LiveAt reports whether e gives its key a value at the time now, in ms. It
// judges by the entry alone: Engine.Get also remembers what it has seen expire.
func (e *Entry) LiveAt(now int64) bool {
	return e.Kind == KindPut && !e.reaped && (e.ExpiresAt == 0 || now < e.ExpiresAt)
}

// Compare is the merge rule: of two entries of one key the greater stays, on
// every node. Versions decide. Two writes never share a version unless an
// instance is broken or two drew the same ID; then the content decides, so
// that even so all nodes end with the same entry. Entries compare as equal
// when nothing that the digest covers differs.
func Compare(a, b *Entry) int {
	if c := a.Version.Compare(b.Version); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Checksum, b.Checksum); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	return cmp.Compare(a.ExpiresAt, b.ExpiresAt)
}

// Merge is the entry that stays of two of the same key.
func Merge(a, b *Entry) *Entry {
	if Compare(a, b) >= 0 {
		return a
	}
	return b
}

// replaces reports whether an arriving entry takes the place of the held one.
// It is Compare but for the planted bugs, which exist to prove that the
// simulation's checker finds what it is there to find.
func replaces(arriving, held *Entry, heldIsLive bool) bool {
	if plantedBugMerge && arriving.Version != held.Version && arriving.Version.Time == held.Version.Time {
		return true // whatever comes last
	}
	if plantedBugDelete && arriving.Kind == KindPut && arriving.Version != held.Version && !heldIsLive {
		return true // a dead key looks like a missing one
	}
	return Compare(arriving, held) > 0
}

// digestFields are the fields that an entry's digest covers beside its key.
// The order and width are part of the protocol.
func (e *Entry) digestFields() [33]byte {
	var b [33]byte
	binary.BigEndian.PutUint64(b[0:], e.Version.Time)
	binary.BigEndian.PutUint64(b[8:], e.Version.Instance)
	b[16] = byte(e.Kind)
	binary.BigEndian.PutUint64(b[17:], uint64(e.ExpiresAt))
	binary.BigEndian.PutUint64(b[25:], e.Checksum)
	return b
}
