package merkle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// A ranges frame is a list of statements. Most answer what the other side said
// of a range in its last turn, in the order in which it was said; which range
// a statement is about is therefore not written. What a lead byte may be
// depends on what it answers:
//
//	to digests:      same | later | parts | fingerprints (of the same range)
//	to fingerprints: same | want | headers
//	to headers:      same | want
//	to nothing:      reopen
//
// "Speech" is what opens the talk about a range: digests of its sixteen parts
// or, where the speaker has few entries, their fingerprints.
const (
	leadPrints  = 0x00 // + n: n fingerprints of 2 bytes
	leadWide    = 0x20 // + n: n fingerprints of 8 bytes
	leadDigests = 0x40 // 16 bytes, one a part
	leadSame    = 0x50 // nothing to ask
	leadLater   = 0x51 // the answerer reopens the range in a later turn
	leadParts   = 0x52 // 2 bytes, which parts differ, then a speech on each
	leadWant    = 0x53 // a bitmap over what was listed: send these
	leadHeaders = 0x54 // as want, then a count and so many headers
	leadReopen  = 0x58 // a range, then a speech on it
)

const (
	// maxPrints is the most entries that a side lists by fingerprints.
	maxPrints = 16
	// maxHeaders is the most entries that a side lists by headers; who has
	// more to say sends the entries themselves.
	maxHeaders = 32
)

var (
	errSpare = errors.New("a bitmap with bits that stand for nothing")
	errEmpty = errors.New("a bitmap with nothing in it")
)

// header is what is said of an entry before it is known who has the newer one:
// 12 bytes. The version's instance is left out; entries of one time go both
// ways.
type header struct {
	tag  uint32
	time uint64
}

func appendPrints(b []byte, prints []uint64, wide bool) []byte {
	if wide {
		b = append(b, leadWide+byte(len(prints)))
		for _, p := range prints {
			b = binary.BigEndian.AppendUint64(b, p)
		}
		return b
	}
	b = append(b, leadPrints+byte(len(prints)))
	for _, p := range prints {
		b = binary.BigEndian.AppendUint16(b, uint16(p))
	}
	return b
}

// printsLead tells the number of fingerprints that a lead byte announces.
func printsLead(lead byte) (n int, wide, ok bool) {
	switch {
	case lead <= leadPrints+maxPrints:
		return int(lead - leadPrints), false, true
	case lead >= leadWide && lead <= leadWide+maxPrints:
		return int(lead - leadWide), true, true
	}
	return 0, false, false
}

// prints appends the n fingerprints that come next to dst.
func (r *reader) prints(dst []uint64, n int, wide bool) []uint64 {
	for range n {
		if wide {
			dst = append(dst, r.u64())
		} else {
			dst = append(dst, uint64(r.u16()))
		}
	}
	return dst
}

// appendBitmap writes which of n are meant, the first one in the lowest bit of
// the first byte.
func appendBitmap(b []byte, set uint32, n int) []byte {
	for range (n + 7) / 8 {
		b = append(b, byte(set))
		set >>= 8
	}
	return b
}

// bitmap reads which of n, at most 32, are meant; at least one is. It is zero
// if the reader has failed.
func (r *reader) bitmap(n int) uint32 {
	var set uint32
	for i, b := range r.take((n + 7) / 8) {
		set |= uint32(b) << (8 * i)
	}
	switch {
	case r.err != nil:
		return 0
	case bits.Len32(set) > n:
		r.fail(errSpare)
		return 0
	case set == 0:
		r.fail(errEmpty)
	}
	return set
}

func appendHeaders(b []byte, s salt, items []Item) []byte {
	b = append(b, byte(len(items)))
	for i := range items {
		b = binary.BigEndian.AppendUint32(b, s.tag(items[i].Pos))
		b = binary.BigEndian.AppendUint64(b, items[i].Time)
	}
	return b
}

// headers appends the headers that come next to dst.
func (r *reader) headers(dst []header) []header {
	n := int(r.u8())
	if r.err == nil && (n == 0 || n > maxHeaders) {
		r.fail(fmt.Errorf("%d headers, 1 to %d expected", n, maxHeaders))
		return dst
	}
	for range n {
		dst = append(dst, header{tag: r.u32(), time: r.u64()})
	}
	return dst
}

// appendRange writes a range as its depth and the bytes of its prefix.
func appendRange(b []byte, r Range) []byte {
	b = append(b, r.Depth)
	for i := range (int(r.Depth) + 1) / 2 {
		b = append(b, byte(r.Prefix>>(56-8*i)))
	}
	return b
}

func (r *reader) rng() Range {
	out := Range{Depth: r.u8()}
	if out.Depth > MaxDepth {
		r.fail(fmt.Errorf("a range of depth %d, at most %d", out.Depth, MaxDepth))
		return Range{}
	}
	for i, b := range r.take((int(out.Depth) + 1) / 2) {
		out.Prefix |= uint64(b) << (56 - 8*i)
	}
	if !out.Valid() {
		r.fail(fmt.Errorf("a range of depth %d with bits below its prefix", out.Depth))
	}
	return out
}
