package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unsafe"
)

// An entry on the wire. Numbers are big endian, lengths are minimal uvarints, and
// nothing may follow the last field:
//
//	flags     1   kind (1 put, 2 tombstone) | 4 expiry | 8 reaped | 16 over | 32 extension; the rest 0
//	key       uvarint length, 1 to 4,096, and the bytes
//	version   16  time, instance
//	expiry    8   if flagged: ms since 1970, 1 to MaxExpiry
//	over      16  if flagged: the version replaced
//	checksum  8   of a put: xxhash64 of the value
//	extension uvarint length, 1 to 1,024, and bytes that are skipped; if flagged
//	value     uvarint length and the bytes; of a put that is not reaped
//
// In rounds, where very many may go over, and each has its length, the value is
// what is left and goes without its checksum: the sender has compared the two, the
// transport vouches for the bytes, and the receiver computes it again. Nor does
// what the entry replaced go along.
const (
	flagKind      = 0b11
	flagExpiry    = 4
	flagReaped    = 8
	flagOver      = 16
	flagExtension = 32
	flagsKnown    = flagKind | flagExpiry | flagReaped | flagOver | flagExtension

	maxExtension = 1024
)

// MaxExpiry is the latest expiry, in ms since 1970: the end of the year 9999,
// the last that RFC 3339 can write.
const MaxExpiry = int64(253402300799999)

// AppendEntry appends the wire form of ent to dst.
func AppendEntry(dst []byte, ent *Entry) []byte { return appendEntry(dst, ent, false) }

func appendEntry(dst []byte, ent *Entry, inRound bool) []byte {
	withOver := !inRound && !ent.Over.IsZero()
	flags := byte(ent.Kind)
	if ent.ExpiresAt != 0 {
		flags |= flagExpiry
	}
	if ent.reaped {
		flags |= flagReaped
	}
	if withOver {
		flags |= flagOver
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(len(ent.Key)))
	dst = append(dst, ent.Key...)
	dst = appendVersion(dst, ent.Version)
	if ent.ExpiresAt != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(ent.ExpiresAt))
	}
	if withOver {
		dst = appendVersion(dst, ent.Over)
	}
	switch {
	case ent.Kind != KindPut:
	case ent.reaped:
		dst = binary.BigEndian.AppendUint64(dst, ent.Checksum)
	case inRound:
		dst = append(dst, ent.Value...)
	default:
		dst = binary.BigEndian.AppendUint64(dst, ent.Checksum)
		dst = binary.AppendUvarint(dst, uint64(len(ent.Value)))
		dst = append(dst, ent.Value...)
	}
	return dst
}

// EncodedSize is how many bytes AppendEntry appends for ent.
func EncodedSize(ent *Entry) int {
	n := 1 + uvarintLen(uint64(len(ent.Key))) + len(ent.Key) + VersionSize
	if ent.ExpiresAt != 0 {
		n += 8
	}
	if !ent.Over.IsZero() {
		n += VersionSize
	}
	if ent.Kind == KindPut {
		n += 8
		if !ent.reaped {
			n += uvarintLen(uint64(len(ent.Value))) + len(ent.Value)
		}
	}
	return n
}

// ParseEntry reads one entry that fills b whole. The entry aliases nothing of
// b. A value over maxValue bytes is ErrValueTooLarge, 0 meaning that b is
// bound enough; everything else that is wrong is ErrMalformed, a value that
// does not match its checksum included.
func ParseEntry(b []byte, maxValue int) (*Entry, error) {
	ent := new(Entry)
	if err := parseEntry(ent, b, maxValue, false); err != nil {
		return nil, fmt.Errorf("parse entry: %w", err)
	}
	ent.Key = strings.Clone(ent.Key)
	if ent.Value != nil {
		ent.Value = cloneValue(ent.Value)
	}
	return ent, nil
}

// parseEntry is ParseEntry into an empty entry, whose key and value share b.
func parseEntry(ent *Entry, b []byte, maxValue int, inRound bool) error {
	d := decoder{rest: b}
	flags := d.bytes("flags", 1)
	key := d.bytes("key", d.length("key", MaxKeySize))
	ent.Version = d.version("version")
	if d.err != nil {
		return d.err
	}
	f := flags[0]
	if f&^flagsKnown != 0 {
		return fmt.Errorf("flags %08b are unknown: %w", f&^flagsKnown, ErrMalformed)
	}
	ent.Kind = Kind(f & flagKind)
	ent.reaped = f&flagReaped != 0
	if f&flagExpiry != 0 {
		ent.ExpiresAt = int64(d.uint64("expiry"))
		d.require(ent.ExpiresAt != 0, "expiry is flagged and zero")
	}
	if f&flagOver != 0 {
		ent.Over = d.version("replaced version")
		d.require(!ent.Over.IsZero(), "replaced version is flagged and zero")
		d.require(!inRound, "in a round, the replaced version goes along")
	}
	hasValue := ent.Kind == KindPut && !ent.reaped
	if ent.Kind == KindPut && !(inRound && hasValue) {
		ent.Checksum = d.uint64("checksum")
	}
	if f&flagExtension != 0 {
		n := d.length("extension", maxExtension)
		d.require(n != 0, "extension is flagged and empty")
		d.bytes("extension", n)
	}
	var value []byte
	switch {
	case hasValue && inRound:
		value = d.bytes("value", len(d.rest))
		ent.Checksum = Checksum(value)
	case hasValue:
		value = d.bytes("value", d.length("value", math.MaxInt32))
	}
	if d.err != nil {
		return d.err
	}
	if len(d.rest) != 0 {
		return fmt.Errorf("%d bytes follow the entry: %w", len(d.rest), ErrMalformed)
	}
	if maxValue > 0 && len(value) > maxValue {
		return fmt.Errorf("%s: %w", quoteKey(string(key)), valueTooLarge(len(value), maxValue))
	}
	ent.Key = unsafe.String(unsafe.SliceData(key), len(key))
	if hasValue {
		if !inRound && Checksum(value) != ent.Checksum {
			return fmt.Errorf("%s: value does not match its checksum: %w", quoteKey(ent.Key), ErrMalformed)
		}
		ent.Value = value
	}
	return ent.validate()
}

// validate reports what no engine would have written.
func (e *Entry) validate() error {
	wrong := ""
	switch {
	case e.Key == "":
		wrong = "key is empty"
	case len(e.Key) > MaxKeySize:
		return keyTooLarge(len(e.Key))
	case e.Kind != KindPut && e.Kind != KindTombstone:
		wrong = fmt.Sprintf("kind %d is unknown", e.Kind)
	case e.Version.Time == 0:
		wrong = "version has no time"
	case e.ExpiresAt < 0 || e.ExpiresAt > MaxExpiry:
		wrong = fmt.Sprintf("expiry %d is out of range", e.ExpiresAt)
	case e.Kind == KindTombstone && (e.ExpiresAt != 0 || e.reaped || e.Checksum != 0 || len(e.Value) != 0):
		wrong = "tombstone has a value or an expiry"
	case e.reaped && (e.ExpiresAt == 0 || len(e.Value) != 0):
		wrong = "reaped entry has a value or no expiry"
	default:
		return nil
	}
	return fmt.Errorf("%s: %s: %w", quoteKey(e.Key), wrong, ErrMalformed)
}

// cloneValue copies v; an empty value is still a value, never nil.
func cloneValue(v []byte) []byte {
	c := make([]byte, len(v))
	copy(c, v)
	return c
}

func appendVersion(dst []byte, v Version) []byte {
	dst = binary.BigEndian.AppendUint64(dst, v.Time)
	return binary.BigEndian.AppendUint64(dst, v.Instance)
}

func uvarintLen(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// decoder cuts fields off rest. After the first error it yields zeros, so
// that the caller may check once after several fields.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) bytes(field string, n int) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.rest) {
		d.err = fmt.Errorf("%s needs %d bytes, %d are left: %w", field, n, len(d.rest), ErrMalformed)
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uint64(field string) uint64 {
	b := d.bytes(field, 8)
	if d.err != nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (d *decoder) version(field string) Version {
	b := d.bytes(field, VersionSize)
	if d.err != nil {
		return Version{}
	}
	return VersionFrom([VersionSize]byte(b))
}

// length reads a length of at most limit. Only the shortest form is accepted,
// so that an entry has one encoding.
func (d *decoder) length(field string, limit int) int {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.rest)
	switch {
	case n <= 0:
		d.err = fmt.Errorf("%s length is cut off or too long: %w", field, ErrMalformed)
	case n != uvarintLen(v):
		d.err = fmt.Errorf("%s length is not in its shortest form: %w", field, ErrMalformed)
	case v > uint64(limit):
		d.err = fmt.Errorf("%s length is %d, the limit is %d: %w", field, v, limit, ErrMalformed)
	default:
		d.rest = d.rest[n:]
		return int(v)
	}
	return 0
}

func (d *decoder) require(ok bool, wrong string) {
	if d.err == nil && !ok {
		d.err = fmt.Errorf("%s: %w", wrong, ErrMalformed)
	}
}
