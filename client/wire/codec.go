package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

func appendUint16(dst []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(dst, v) }
func appendUint32(dst []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(dst, v) }
func appendUint64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

// millis rounds up: a TTL or a timeout below a millisecond must not become none.
func millis(d time.Duration) uint64 {
	ms := uint64(d / time.Millisecond)
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}

// millis32 is millis for a field of 32 bits, 49 days at most: enough to wait.
func millis32(d time.Duration) uint32 {
	return uint32(min(millis(d), math.MaxUint32))
}

// cut keeps a message within MaxMessage without breaking a rune.
func cut(s string) string {
	if len(s) <= MaxMessage {
		return s
	}
	n := MaxMessage
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// parser takes fields off the front of a body. The first failure sticks, and
// every later field then reads as empty, so that callers check once, at end.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) fail(field, why string) {
	if p.err == nil {
		p.err = fmt.Errorf("%s %s: %w", field, why, ErrMalformed)
		p.rest = nil
	}
}

func (p *parser) take(field string, n int) []byte {
	if p.err != nil {
		return nil
	}
	if n > len(p.rest) {
		p.fail(field, fmt.Sprintf("needs %d bytes, %d are left", n, len(p.rest)))
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

func (p *parser) uint8(field string) uint8 {
	if b := p.take(field, 1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) uint16(field string) uint16 {
	if b := p.take(field, 2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (p *parser) uint32(field string) uint32 {
	if b := p.take(field, 4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (p *parser) uint64(field string) uint64 {
	if b := p.take(field, 8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (p *parser) bytes16(field string) []byte { return p.take(field, int(p.uint16(field))) }

func (p *parser) bytes32(field string) []byte {
	n := p.uint32(field)
	if int64(n) > int64(len(p.rest)) { // before int(n), which may be 32 bits
		p.fail(field, fmt.Sprintf("needs %d bytes, %d are left", n, len(p.rest)))
		return nil
	}
	return p.take(field, int(n))
}

func (p *parser) atMost(field string, limit int64) uint64 {
	v := p.uint64(field)
	if v > uint64(limit) {
		p.fail(field, "is out of range")
		return 0
	}
	return v
}

// positive reads a field whose flag says that it is there: zero would be a
// second spelling of its absence.
func (p *parser) positive(field string, limit int64) int64 {
	v := p.atMost(field, limit)
	if v == 0 {
		p.fail(field, "is zero")
	}
	return int64(v)
}

// filled refuses an empty field for the same reason.
func (p *parser) filled(field string, b []byte) []byte {
	if len(b) == 0 {
		p.fail(field, "is empty")
	}
	return b
}

func (p *parser) ext() []byte {
	b := p.filled("extension", p.bytes16("extension"))
	if len(b) > MaxExt {
		p.fail("extension", "is too long")
		return nil
	}
	return b
}

func (p *parser) end() error {
	if p.err == nil && len(p.rest) > 0 {
		p.fail("body", fmt.Sprintf("has %d bytes too many", len(p.rest)))
	}
	return p.err
}
