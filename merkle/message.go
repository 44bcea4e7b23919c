package merkle

import (
	"encoding/binary"
	"fmt"
)

// ProtocolVersion is the version of the dialogue that this package speaks.
const ProtocolVersion = 1

// maxExt bounds the extension bytes of a message, which this version sends
// empty and ignores.
const maxExt = 64 << 10

// frameType is the first byte of a frame.
type frameType byte

const (
	frameOpen       frameType = 1 // initiator: what it has, and the salt
	frameEqual      frameType = 2 // responder: so have I; the round is over
	frameAccept     frameType = 3 // responder: what it has; its turn follows
	frameOfferKey   frameType = 4 // the sender's digest key, the receiver's did not win
	frameRequestKey frameType = 5 // the receiver's digest key wins: send it
	frameRanges     frameType = 6 // statements about ranges
	frameEntries    frameType = 7 // entries
	frameEndTurn    frameType = 8 // it is the other side's turn
	frameFinish     frameType = 9 // the same, and the sender has no question left
)

// What is added to the type of a frame.
const (
	frameLast = 0x80 // ranges, entries: it ends the turn
	frameOdd  = 0x40 // ranges: the last half byte is padding
)

func (t frameType) String() string {
	names := [...]string{
		"", "open", "equal", "accept", "key offer", "key request",
		"ranges", "entries", "end of turn", "finish",
	}
	if t == 0 || int(t) >= len(names) {
		return fmt.Sprintf("frame of unknown type %d", byte(t))
	}
	return names[t]
}

// standing is what one side says of its whole set.
type standing struct {
	clock uint64
	keyID uint64
	// created is the digest key's age. It decides whose key stays, and two
	// sides with one secret both take the lower one.
	created uint64
	root    Digest
	count   uint64
}

func (m *standing) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, m.clock)
	b = binary.BigEndian.AppendUint64(b, m.keyID)
	b = binary.BigEndian.AppendUint64(b, m.created)
	b = appendDigest(b, m.root)
	return binary.AppendUvarint(b, m.count)
}

func (m *standing) parse(in *reader) {
	m.clock = in.u64()
	m.keyID = in.u64()
	m.created = in.u64()
	m.root = DigestFrom(in.bytes16())
	m.count = in.uvarint()
}

// openMsg begins a round. It is also the first turn: digests of the sixteen parts
// of everything.
type openMsg struct {
	version byte
	salt    salt
	standing
	parts [Fanout]byte
	ext   []byte
}

func (m *openMsg) appendTo(b []byte) []byte {
	b = append(b, byte(frameOpen), m.version)
	b = binary.BigEndian.AppendUint64(b, uint64(m.salt))
	b = m.standing.appendTo(b)
	b = append(b, m.parts[:]...)
	return appendExt(b, m.ext)
}

// parse leaves what follows the version unread if it does not know it.
func (m *openMsg) parse(in *reader) error {
	m.version = in.u8()
	if in.err == nil && m.version != ProtocolVersion {
		return fmt.Errorf("%w: version %d, this node speaks %d", ErrVersion, m.version, ProtocolVersion)
	}
	m.salt = salt(in.u64())
	m.standing.parse(in)
	m.parts = in.bytes16()
	m.ext = in.ext()
	return in.end()
}

// acceptMsg answers an open that found both sides different. Key and salt are
// the open's, the root follows at the end.
type acceptMsg struct {
	clock, created, count uint64
	ext                   []byte
}

func (m *acceptMsg) appendTo(b []byte) []byte {
	b = append(b, byte(frameAccept))
	b = binary.BigEndian.AppendUint64(b, m.clock)
	b = binary.BigEndian.AppendUint64(b, m.created)
	b = binary.AppendUvarint(b, m.count)
	return appendExt(b, m.ext)
}

func (m *acceptMsg) parse(in *reader) error {
	m.clock = in.u64()
	m.created = in.u64()
	m.count = in.uvarint()
	m.ext = in.ext()
	return in.end()
}

// equalMsg answers an open that found both sides equal.
type equalMsg struct {
	clock, created uint64
	ext            []byte
}

func (m *equalMsg) appendTo(b []byte) []byte {
	b = append(b, byte(frameEqual))
	b = binary.BigEndian.AppendUint64(b, m.clock)
	b = binary.BigEndian.AppendUint64(b, m.created)
	return appendExt(b, m.ext)
}

func (m *equalMsg) parse(in *reader) error {
	m.clock = in.u64()
	m.created = in.u64()
	m.ext = in.ext()
	return in.end()
}

// offerMsg hands the digest key over.
type offerMsg struct {
	clock uint64
	key   Key
}

func (m *offerMsg) appendTo(b []byte) []byte {
	b = append(b, byte(frameOfferKey))
	b = binary.BigEndian.AppendUint64(b, m.clock)
	b = binary.BigEndian.AppendUint64(b, m.key.Created)
	return append(b, m.key.Secret[:]...)
}

func (m *offerMsg) parse(in *reader) error {
	m.clock = in.u64()
	m.key.Created = in.u64()
	m.key.Secret = in.bytes16()
	return in.end()
}

// requestMsg asks for the digest key.
type requestMsg struct{ clock uint64 }

func (m *requestMsg) appendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint64(append(b, byte(frameRequestKey)), m.clock)
}

func (m *requestMsg) parse(in *reader) error {
	m.clock = in.u64()
	return in.end()
}

// finishMsg ends a turn whose speaker waits for nothing any more. Two of them
// in a row end the round.
type finishMsg struct {
	root Digest
	ext  []byte
}

func (m *finishMsg) appendTo(b []byte) []byte {
	b = appendDigest(append(b, byte(frameFinish)), m.root)
	return appendExt(b, m.ext)
}

func (m *finishMsg) parse(in *reader) error {
	m.root = DigestFrom(in.bytes16())
	m.ext = in.ext()
	return in.end()
}

// An entries frame is a list of at least one entry, each with its size in front as
// the difference to the size of the one before it, in zigzag: mostly a byte. What
// is in an entry is the source's affair.

func appendEntryBlob(b, entry []byte, before int) []byte {
	b = binary.AppendVarint(b, int64(len(entry)-before))
	return append(b, entry...)
}

// entry is the next entry of an entries frame.
func (r *reader) entry(before int) []byte {
	v := r.uvarint()
	n := int64(before) + (int64(v>>1) ^ -int64(v&1)) // binary.Varint's zigzag
	if r.err != nil {
		return nil
	}
	if n <= 0 || n > int64(len(r.b)) {
		r.fail(fmt.Errorf("an entry of %d bytes in the %d that are left", n, len(r.b)))
		return nil
	}
	return r.take(int(n))
}

func appendDigest(b []byte, d Digest) []byte {
	b = binary.BigEndian.AppendUint64(b, d.Hi)
	return binary.BigEndian.AppendUint64(b, d.Lo)
}

func appendExt(b, ext []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(ext)))
	return append(b, ext...)
}
