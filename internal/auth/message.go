package auth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// Version of the handshake. It leads the first message of either end.
const Version = 1

// MaxUnproven bounds what a dialler may send before it has proven itself, all
// its messages together with their headers.
const MaxUnproven = 512

// Longest strings of a handshake, in bytes.
const (
	MaxCluster = 64
	MaxName    = 100
	MaxAddr    = 250
)

const (
	frameHeader = 3 // length of what follows the length (2), type (1)
	macSize     = 32
	maxHints    = 4 // key IDs in a hello

	flagSecret = 1 << 0 // a secret is demanded, or proven
)

type frameType uint8

const (
	frameHello     frameType = 1 // dialler
	frameChallenge frameType = 2 // listener
	frameProof     frameType = 3 // dialler
	frameWelcome   frameType = 4 // listener
	frameRefuse    frameType = 5 // either
)

// hello opens the handshake. Nothing in it is worth hiding: it goes to a
// listener that has not proven itself yet.
type hello struct {
	version  uint8
	role     Role
	instance uint64
	cluster  string  // empty: a client that learns it
	hints    []keyID // of secrets that we can verify; at most maxHints
}

type sealed struct {
	key keyID
	mac [macSize]byte
}

// challenge is the listener's proof and its demand.
type challenge struct {
	version  uint8
	secret   bool // sealed is valid, and the dialler owes one too
	instance uint64
	cluster  string
	sealed   sealed
}

// proof is the dialler's, with what it tells only to a proven listener.
type proof struct {
	secret bool
	sealed sealed
	proto  uint8
	class  uint8
	name   string
	addr   string
}

// welcome ends a handshake that both ends accept.
type welcome struct {
	proto uint8
	name  string
	addr  string
}

// refuse ends it otherwise. The version is the refusing end's.
type refuse struct {
	version uint8
	reason  Reason
}

func appendFrame(dst []byte, t frameType, body func([]byte) []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, byte(t))
	dst = body(dst)
	binary.BigEndian.PutUint16(dst[at:], uint16(len(dst)-at-2))
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = append(dst, byte(len(s)))
	return append(dst, s...)
}

func (m *hello) appendTo(dst []byte) []byte {
	return appendFrame(dst, frameHello, func(b []byte) []byte {
		b = append(b, m.version, byte(m.role))
		b = binary.BigEndian.AppendUint64(b, m.instance)
		b = appendString(b, m.cluster)
		b = append(b, byte(len(m.hints)))
		for _, id := range m.hints {
			b = append(b, id[:]...)
		}
		return b
	})
}

func (m *challenge) appendTo(dst []byte) []byte {
	return appendFrame(dst, frameChallenge, func(b []byte) []byte {
		b = append(b, m.version, flags(m.secret))
		b = binary.BigEndian.AppendUint64(b, m.instance)
		b = appendString(b, m.cluster)
		return m.sealed.appendTo(b, m.secret)
	})
}

func (m *proof) appendTo(dst []byte) []byte {
	return appendFrame(dst, frameProof, func(b []byte) []byte {
		b = append(b, flags(m.secret))
		b = m.sealed.appendTo(b, m.secret)
		b = append(b, m.proto, m.class)
		b = appendString(b, m.name)
		return appendString(b, m.addr)
	})
}

func (m *welcome) appendTo(dst []byte) []byte {
	return appendFrame(dst, frameWelcome, func(b []byte) []byte {
		b = append(b, m.proto)
		b = appendString(b, m.name)
		return appendString(b, m.addr)
	})
}

func (m *refuse) appendTo(dst []byte) []byte {
	return appendFrame(dst, frameRefuse, func(b []byte) []byte {
		return append(b, m.version, byte(m.reason))
	})
}

func flags(secret bool) byte {
	if secret {
		return flagSecret
	}
	return 0
}

func (s *sealed) appendTo(dst []byte, present bool) []byte {
	if !present {
		return dst
	}
	dst = append(dst, s.key[:]...)
	return append(dst, s.mac[:]...)
}

func parseHello(b []byte) (m hello, err error) {
	r := reader{b: b}
	m.version = r.byte()
	if r.err == nil && m.version != Version {
		// The rest may look different in another version; the number alone is read.
		return m, nil
	}
	m.role = Role(r.byte())
	m.instance = r.uint64()
	m.cluster = r.string(MaxCluster)
	m.hints = r.hints()
	return m, r.end("hello")
}

func parseChallenge(b []byte) (m challenge, err error) {
	r := reader{b: b}
	m.version = r.byte()
	if r.err == nil && m.version != Version {
		return m, nil
	}
	m.secret = r.flags()
	m.instance = r.uint64()
	m.cluster = r.string(MaxCluster)
	m.sealed = r.sealed(m.secret)
	return m, r.end("challenge")
}

func parseProof(b []byte) (m proof, err error) {
	r := reader{b: b}
	m.secret = r.flags()
	m.sealed = r.sealed(m.secret)
	m.proto = r.byte()
	m.class = r.byte()
	m.name = r.string(MaxName)
	m.addr = r.string(MaxAddr)
	return m, r.end("proof")
}

func parseWelcome(b []byte) (m welcome, err error) {
	r := reader{b: b}
	m.proto = r.byte()
	m.name = r.string(MaxName)
	m.addr = r.string(MaxAddr)
	return m, r.end("welcome")
}

func parseRefuse(b []byte) (m refuse, err error) {
	r := reader{b: b}
	m.version = r.byte()
	m.reason = Reason(r.byte())
	if r.err == nil && !m.reason.valid() {
		// A reason that a later version knows and this one does not.
		m.reason = ReasonNone
	}
	return m, r.end("refuse")
}

var (
	errShort    = errors.New("too short")
	errTrailing = errors.New("bytes after the end")
)

// reader takes a message apart. After the first error it returns zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if len(r.b) < n {
		r.err = errShort
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if p := r.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

func (r *reader) flags() (secret bool) {
	f := r.byte()
	if r.err == nil && f&^flagSecret != 0 {
		r.err = fmt.Errorf("unknown flags %#x", f)
	}
	return f&flagSecret != 0
}

func (r *reader) sealed(present bool) (s sealed) {
	if present {
		copy(s.key[:], r.take(keyIDSize))
		copy(s.mac[:], r.take(macSize))
	}
	return s
}

func (r *reader) hints() []keyID {
	n := int(r.byte())
	if r.err == nil && n > maxHints {
		r.err = fmt.Errorf("%d key IDs, the limit is %d", n, maxHints)
	}
	p := r.take(n * keyIDSize)
	if len(p) == 0 {
		return nil
	}
	ids := make([]keyID, n)
	for i := range ids {
		copy(ids[i][:], p[i*keyIDSize:])
	}
	return ids
}

func (r *reader) string(limit int) string {
	n := int(r.byte())
	if r.err == nil && n > limit {
		r.err = fmt.Errorf("string of %d bytes, the limit is %d", n, limit)
	}
	s := string(r.take(n))
	if r.err == nil && !printable(s) {
		r.err = errors.New("string is not printable UTF-8")
	}
	return s
}

func (r *reader) end(what string) error {
	if r.err == nil && len(r.b) > 0 {
		r.err = errTrailing
	}
	if r.err != nil {
		return fmt.Errorf("%s: %w", what, r.err)
	}
	return nil
}

// printable keeps what strangers send fit for a log line.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

// frameReader reads frames within a budget of bytes. It never reads past the
// frame that it returns, so what follows the handshake stays in the stream.
type frameReader struct {
	src  io.Reader
	left int
	buf  [MaxUnproven]byte
}

// next returns a frame's type and body; the body is valid until the next call.
func (f *frameReader) next() (frameType, []byte, error) {
	if f.left < frameHeader {
		return 0, nil, refused(Malformed, "more than %d bytes before the proof", MaxUnproven)
	}
	if _, err := io.ReadFull(f.src, f.buf[:2]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(f.buf[:2]))
	if n == 0 {
		return 0, nil, refused(Malformed, "empty message")
	}
	if n > f.left-2 {
		return 0, nil, refused(Malformed, "message of %d bytes, %d are left of %d before the proof", n, f.left-2, MaxUnproven)
	}
	f.left -= 2 + n
	if _, err := io.ReadFull(f.src, f.buf[:n]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return frameType(f.buf[0]), f.buf[1:n], nil
}
