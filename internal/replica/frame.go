package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/tochemey/gokv/engine"
)

// The frames of a push stream, without the length prefix that the stream puts
// before each. All integers are big endian. The sender sends one push, the
// receiver answers it with one acknowledgement, and so on in turn.
//
//	push  │ 1 │ seq 8 │ clock 8 │ prev 8 │ ext len 2 │ ext │ count 4 │ (len 4 │ entry) × count
//	ack   │ 2 │ seq 8 │ clock 8 │ refused 4 │ ext len 2 │ ext
//
// Extension bytes are skipped: they are the place for what a later version
// knows of the issuer (what it has hidden, for one).
const (
	framePush = 1
	frameAck  = 2

	pushFixed = 1 + 8 + 8 + 8 + 2 + 4
	ackFixed  = 1 + 8 + 8 + 4 + 2

	maxFrameExt = 4096

	// MaxPushEntries caps the entries of one push. With the default batch, which
	// is bounded in bytes, it is never reached: an entry counts entryOverhead at
	// least.
	MaxPushEntries = 1 << 16
)

// PushFrame carries a batch of writes to one peer.
type PushFrame struct {
	Seq     uint64 // answered by an AckFrame with the same
	Clock   uint64 // the sender's hybrid clock
	Prev    uint64 // version time of the issuer's write before the first entry; 0 none
	Entries []*engine.Entry
}

// AppendTo appends the wire form.
func (f *PushFrame) AppendTo(dst []byte) []byte {
	dst = append(dst, framePush)
	dst = binary.BigEndian.AppendUint64(dst, f.Seq)
	dst = binary.BigEndian.AppendUint64(dst, f.Clock)
	dst = binary.BigEndian.AppendUint64(dst, f.Prev)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.Entries)))
	for _, e := range f.Entries {
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = engine.AppendEntry(dst, e)
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst
}

// ParsePush reads a push. Nothing in the result aliases b. Values are bounded by
// the frame alone: one over the receiver's limit is for its engine to refuse,
// because the entries around it are good.
func ParsePush(b []byte) (*PushFrame, error) {
	if len(b) < pushFixed {
		return nil, fmt.Errorf("push: %d bytes, at least %d: %w", len(b), pushFixed, ErrMalformed)
	}
	if b[0] != framePush {
		return nil, fmt.Errorf("push: frame of kind %d: %w", b[0], ErrMalformed)
	}
	f := &PushFrame{
		Seq:   binary.BigEndian.Uint64(b[1:]),
		Clock: binary.BigEndian.Uint64(b[9:]),
		Prev:  binary.BigEndian.Uint64(b[17:]),
	}
	rest, err := skipExt(b[25:])
	if err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	if len(rest) < 4 {
		return nil, fmt.Errorf("push: ends before its count: %w", ErrMalformed)
	}
	count := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	// Each entry takes five bytes at least, so the count is bounded by what is there.
	if count == 0 || count > MaxPushEntries || int(count) > len(rest)/5 {
		return nil, fmt.Errorf("push: %d entries in %d bytes, 1 to %d allowed: %w", count, len(rest), MaxPushEntries, ErrMalformed)
	}
	f.Entries = make([]*engine.Entry, 0, count)
	for i := range count {
		if len(rest) < 4 {
			return nil, fmt.Errorf("push: ends before entry %d of %d: %w", i, count, ErrMalformed)
		}
		n := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(n) > uint64(len(rest)) {
			return nil, fmt.Errorf("push: entry %d of %d is %d bytes, %d are left: %w", i, count, n, len(rest), ErrMalformed)
		}
		e, err := engine.ParseEntry(rest[:n], 0)
		if err != nil {
			return nil, fmt.Errorf("push: entry %d of %d: %w", i, count, err)
		}
		f.Entries = append(f.Entries, e)
		rest = rest[n:]
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("push: %d bytes after the last entry: %w", len(rest), ErrMalformed)
	}
	return f, nil
}

// AckFrame answers a push: each entry was merged, ignored as older, or refused
// because its version is too far ahead of the receiver's clock.
type AckFrame struct {
	Seq     uint64
	Clock   uint64 // the receiver's hybrid clock
	Refused uint32
}

// AppendTo appends the wire form.
func (f AckFrame) AppendTo(dst []byte) []byte {
	dst = append(dst, frameAck)
	dst = binary.BigEndian.AppendUint64(dst, f.Seq)
	dst = binary.BigEndian.AppendUint64(dst, f.Clock)
	dst = binary.BigEndian.AppendUint32(dst, f.Refused)
	return binary.BigEndian.AppendUint16(dst, 0)
}

// ParseAck reads an acknowledgement.
func ParseAck(b []byte) (AckFrame, error) {
	if len(b) < ackFixed {
		return AckFrame{}, fmt.Errorf("push ack: %d bytes, at least %d: %w", len(b), ackFixed, ErrMalformed)
	}
	if b[0] != frameAck {
		return AckFrame{}, fmt.Errorf("push ack: frame of kind %d: %w", b[0], ErrMalformed)
	}
	rest, err := skipExt(b[21:])
	if err != nil {
		return AckFrame{}, fmt.Errorf("push ack: %w", err)
	}
	if len(rest) != 0 {
		return AckFrame{}, fmt.Errorf("push ack: %d bytes too many: %w", len(rest), ErrMalformed)
	}
	return AckFrame{
		Seq:     binary.BigEndian.Uint64(b[1:]),
		Clock:   binary.BigEndian.Uint64(b[9:]),
		Refused: binary.BigEndian.Uint32(b[17:]),
	}, nil
}

// skipExt passes over an extension: a 16-bit length, bounded, and its bytes.
func skipExt(b []byte) ([]byte, error) {
	n := int(binary.BigEndian.Uint16(b))
	if n > maxFrameExt || n > len(b)-2 {
		return nil, fmt.Errorf("%d bytes of extension named, %d there, at most %d: %w", n, len(b)-2, maxFrameExt, ErrMalformed)
	}
	return b[2+n:], nil
}
