package replica

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
)

// The frames of a push stream, without the length prefix that the stream puts
// before each. Integers are big endian unless they are uvarints, in their
// shortest form. The sender sends one push, the receiver answers it with one
// acknowledgement, and so on in turn.
//
//	push  │ 1 │ seq 8 │ clock 8 │ hidden │ count 4 │ (gap uvarint │ len 4 │ entry) × count
//	ack   │ 2 │ seq 8 │ clock 8 │ refused 4 │ held 4
//
// hidden is a vector (internal/causal): what has changed in the sender's since the
// push before on this stream. gap is how long before the entry its issuer's write
// before it was, zero if it is the first.
const (
	framePush = 1
	frameAck  = 2

	pushFixed = 1 + 8 + 8 + 1 + 4
	ackSize   = 1 + 8 + 8 + 4 + 4

	// MaxPushEntries caps the entries of one push. With the default batch, which
	// is bounded in bytes, it is never reached: an entry counts entryOverhead at
	// least.
	MaxPushEntries = 1 << 16
)

// PushFrame carries a batch of writes to one peer.
type PushFrame struct {
	Seq     uint64        // answered by an AckFrame with the same
	Clock   uint64        // the sender's hybrid clock
	Hidden  causal.Vector // what is new in the sender's, read no earlier than the entries were written
	Entries []*engine.Entry
}

// AppendTo appends the wire form.
func (f *PushFrame) AppendTo(dst []byte) []byte {
	dst = append(dst, framePush)
	dst = binary.BigEndian.AppendUint64(dst, f.Seq)
	dst = binary.BigEndian.AppendUint64(dst, f.Clock)
	dst = f.Hidden.AppendTo(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(f.Entries)))
	for _, e := range f.Entries {
		gap := uint64(0)
		if e.Prev != 0 {
			gap = e.Version.Time - e.Prev
		}
		dst = binary.AppendUvarint(dst, gap)
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
	f := &PushFrame{Seq: binary.BigEndian.Uint64(b[1:]), Clock: binary.BigEndian.Uint64(b[9:])}
	var rest []byte
	var err error
	if f.Hidden, rest, err = causal.ParseVector(b[17:]); err != nil {
		return nil, fmt.Errorf("push: hidden: %w: %w", err, ErrMalformed)
	}
	if len(rest) < 4 {
		return nil, fmt.Errorf("push: ends before its count: %w", ErrMalformed)
	}
	count := binary.BigEndian.Uint32(rest)
	rest = rest[4:]
	// Each entry takes six bytes at least, so the count is bounded by what is there.
	if count == 0 || count > MaxPushEntries || int(count) > len(rest)/6 {
		return nil, fmt.Errorf("push: %d entries in %d bytes, 1 to %d allowed: %w", count, len(rest), MaxPushEntries, ErrMalformed)
	}
	f.Entries = make([]*engine.Entry, 0, count)
	for i := range count {
		var e *engine.Entry
		if e, rest, err = parsePushed(rest); err != nil {
			return nil, fmt.Errorf("push: entry %d of %d: %w", i, count, err)
		}
		f.Entries = append(f.Entries, e)
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("push: %d bytes after the last entry: %w", len(rest), ErrMalformed)
	}
	return f, nil
}

// parsePushed reads one entry of a push, and returns what follows it.
func parsePushed(b []byte) (*engine.Entry, []byte, error) {
	gap, used := binary.Uvarint(b)
	if used <= 0 || used > 1 && gap < 1<<(7*(used-1)) || len(b) < used+4 {
		return nil, nil, fmt.Errorf("ends before its length: %w", ErrMalformed)
	}
	n := binary.BigEndian.Uint32(b[used:])
	b = b[used+4:]
	if uint64(n) > uint64(len(b)) {
		return nil, nil, fmt.Errorf("%d bytes, %d are left: %w", n, len(b), ErrMalformed)
	}
	e, err := engine.ParseEntry(b[:n], 0)
	if err != nil {
		return nil, nil, err
	}
	if gap >= e.Version.Time {
		return nil, nil, fmt.Errorf("its issuer's write before it was %d earlier, it is of %d: %w", gap, e.Version.Time, ErrMalformed)
	}
	if gap > 0 {
		e.Prev = e.Version.Time - gap
	}
	return e, b[n:], nil
}

// AckFrame answers a push: each entry was merged, ignored as older, or refused
// because its version is too far ahead of the receiver's clock. Of those merged
// some were held in vain for what they build upon: a round has to bring that.
type AckFrame struct {
	Seq     uint64
	Clock   uint64 // the receiver's hybrid clock
	Refused uint32
	Held    uint32
}

// AppendTo appends the wire form.
func (f AckFrame) AppendTo(dst []byte) []byte {
	dst = append(dst, frameAck)
	dst = binary.BigEndian.AppendUint64(dst, f.Seq)
	dst = binary.BigEndian.AppendUint64(dst, f.Clock)
	dst = binary.BigEndian.AppendUint32(dst, f.Refused)
	return binary.BigEndian.AppendUint32(dst, f.Held)
}

// ParseAck reads an acknowledgement.
func ParseAck(b []byte) (AckFrame, error) {
	if len(b) != ackSize {
		return AckFrame{}, fmt.Errorf("push ack: %d bytes, %d expected: %w", len(b), ackSize, ErrMalformed)
	}
	if b[0] != frameAck {
		return AckFrame{}, fmt.Errorf("push ack: frame of kind %d: %w", b[0], ErrMalformed)
	}
	return AckFrame{
		Seq:     binary.BigEndian.Uint64(b[1:]),
		Clock:   binary.BigEndian.Uint64(b[9:]),
		Refused: binary.BigEndian.Uint32(b[17:]),
		Held:    binary.BigEndian.Uint32(b[21:]),
	}, nil
}

// Outdated reports whether a stream has been told of an instance that is not hidden
// any more, having been retired. The receiver remembers it for as long as the stream
// goes on, and would wait for it once it has forgotten the instance.
func Outdated(before, now causal.Vector) bool {
	return slices.ContainsFunc(before, func(d causal.Dot) bool { return now.At(d.Instance) == 0 })
}

// News is what a vector covers and before, which is brought up to it, did not: the
// part of the sender's hidden vector that the next push on a stream carries.
func News(before *causal.Vector, now causal.Vector) (news causal.Vector) {
	for _, d := range now {
		if !before.Covers(d) {
			news = append(news, d)
		}
	}
	before.Merge(now)
	return news
}
