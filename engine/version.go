package engine

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Version says which of two writes of one key is the later. Versions are
// totally ordered, and two writes never share one: Time is a reading of the
// issuing node's hybrid logical clock, which it never gives out twice, and
// Instance is drawn at random each time a process starts, so that a node that
// restarts with its clock behind cannot issue one version twice.
type Version struct {
	Time     uint64 // 48 bit milliseconds since 1970, 16 bit counter
	Instance uint64 // who wrote it
}

// VersionSize is the length of a version on the wire, in bytes.
const VersionSize = 16

// Compare orders versions by time, then by instance.
func (v Version) Compare(o Version) int {
	if c := cmp.Compare(v.Time, o.Time); c != 0 {
		return c
	}
	return cmp.Compare(v.Instance, o.Instance)
}

// Less reports whether v is the earlier of the two.
func (v Version) Less(o Version) bool { return v.Compare(o) < 0 }

// IsZero reports whether v stands for no version at all.
func (v Version) IsZero() bool { return v == Version{} }

// Wall is the millisecond since 1970 in which v was issued, by its issuer's
// clock.
func (v Version) Wall() int64 { return WallOf(v.Time) }

// Bytes is v as it stands on the wire: time and instance, big endian, so that
// the bytes sort as the versions do.
func (v Version) Bytes() [VersionSize]byte {
	var b [VersionSize]byte
	binary.BigEndian.PutUint64(b[:8], v.Time)
	binary.BigEndian.PutUint64(b[8:], v.Instance)
	return b
}

// VersionFrom is the inverse of Bytes.
func VersionFrom(b [VersionSize]byte) Version {
	return Version{
		Time:     binary.BigEndian.Uint64(b[:8]),
		Instance: binary.BigEndian.Uint64(b[8:]),
	}
}

// String is v as 32 lower-case hexadecimal digits; they sort as versions do.
func (v Version) String() string {
	b := v.Bytes()
	return hex.EncodeToString(b[:])
}

// ParseVersion reads what String wrote, and nothing else.
func ParseVersion(s string) (Version, error) {
	var b [VersionSize]byte
	if len(s) != hex.EncodedLen(VersionSize) {
		return Version{}, fmt.Errorf("version is %d characters, it needs %d: %w", len(s), hex.EncodedLen(VersionSize), ErrMalformed)
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Version{}, fmt.Errorf("version has %q at %d, it needs lower-case hexadecimal digits: %w", c, i, ErrMalformed)
		}
	}
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return Version{}, fmt.Errorf("version: %w: %w", err, ErrMalformed)
	}
	return VersionFrom(b), nil
}
