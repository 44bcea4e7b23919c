package membership

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrMalformed is what every refusal of a decoder wraps.
var ErrMalformed = errors.New("malformed membership message")

// MaxMembers bounds the table, and with it the count in a push-pull.
const MaxMembers = 16384

// MaxPushPullBytes bounds an encoded push-pull; a driver reads no more.
const MaxPushPullBytes = 2 + 8 + 2 + MaxPayloadBytes + 3 + MaxMembers*MaxMemberBytes

const (
	// maxDatagram is what a decoder accepts; senders keep to MaxPacket.
	maxDatagram = 1400
	// maxUpdates bounds the updates in one datagram.
	maxUpdates = 64
	// minMemberBytes is the shortest encoding of a member: counts are checked
	// against what is left before anything is allocated.
	minMemberBytes = 3 + 8 + 8 + 4 + 2 + 2 + 1 + 1
)

const (
	wireVersion = ProtoVersion

	typeProbe           = 1
	typeAck             = 2
	typePingReq         = 3
	typeNack            = 4
	typeGossip          = 5
	typePushPullRequest = 6
	typePushPullReply   = 7
	typeNameTaken       = 8

	flagRelayed  = 1
	flagWantNack = 1
)

// AppendTo implements Message.
func (p *Probe) AppendTo(dst []byte) []byte {
	dst = append(dst, wireVersion, typeProbe)
	dst = binary.BigEndian.AppendUint32(dst, p.Seq)
	dst = binary.BigEndian.AppendUint64(dst, p.From)
	dst = binary.BigEndian.AppendUint64(dst, p.To)
	dst = appendBytes(dst, p.Payload)
	return appendMembers(dst, p.Updates)
}

// AppendTo implements Message.
func (a *Ack) AppendTo(dst []byte) []byte {
	dst = append(dst, wireVersion, typeAck)
	dst = binary.BigEndian.AppendUint32(dst, a.Seq)
	dst = binary.BigEndian.AppendUint64(dst, a.From)
	dst = appendFlag(dst, a.Relayed, flagRelayed)
	dst = appendBytes(dst, a.Payload)
	return appendMembers(dst, a.Updates)
}

// AppendTo implements Message.
func (p *PingReq) AppendTo(dst []byte) []byte {
	dst = append(dst, wireVersion, typePingReq)
	dst = binary.BigEndian.AppendUint32(dst, p.Seq)
	dst = binary.BigEndian.AppendUint64(dst, p.From)
	dst = binary.BigEndian.AppendUint64(dst, p.Target)
	dst = appendFlag(dst, p.WantNack, flagWantNack)
	return appendMembers(dst, p.Updates)
}

// AppendTo implements Message.
func (n *Nack) AppendTo(dst []byte) []byte {
	dst = append(dst, wireVersion, typeNack)
	dst = binary.BigEndian.AppendUint32(dst, n.Seq)
	return binary.BigEndian.AppendUint64(dst, n.From)
}

// AppendTo implements Message.
func (g *Gossip) AppendTo(dst []byte) []byte {
	dst = append(dst, wireVersion, typeGossip)
	dst = binary.BigEndian.AppendUint64(dst, g.From)
	return appendMembers(dst, g.Updates)
}

// AppendTo implements Message.
func (p *PushPull) AppendTo(dst []byte) []byte {
	kind := byte(typePushPullRequest)
	if p.Reply {
		kind = typePushPullReply
	}
	dst = append(dst, wireVersion, kind)
	dst = binary.BigEndian.AppendUint64(dst, p.From)
	dst = appendBytes(dst, p.Payload)
	return appendMembers(dst, p.Members)
}

// AppendTo implements Message.
func (n *NameTaken) AppendTo(dst []byte) []byte {
	dst = append(dst, wireVersion, typeNameTaken)
	dst = binary.BigEndian.AppendUint64(dst, n.From)
	return appendMember(dst, &n.Holder)
}

func appendFlag(dst []byte, set bool, flag byte) []byte {
	if set {
		return append(dst, flag)
	}
	return append(dst, 0)
}

func appendBytes[T []byte | string](dst []byte, b T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendMembers(dst []byte, members []Member) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(members)))
	for i := range members {
		dst = appendMember(dst, &members[i])
	}
	return dst
}

func appendMember(dst []byte, m *Member) []byte {
	dst = append(dst, byte(m.State), m.ProtoMin, m.ProtoMax)
	dst = binary.BigEndian.AppendUint64(dst, m.Instance)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.Started))
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.Incarnation-uint64(m.Started)))
	dst = appendBytes(dst, m.Name)
	dst = appendBytes(dst, m.PeerAddr)
	dst = appendBytes(dst, m.ClientAddr)
	dst = binary.AppendUvarint(dst, uint64(len(m.Tags)))
	for _, key := range slices.Sorted(maps.Keys(m.Tags)) {
		dst = appendBytes(dst, key)
		dst = appendBytes(dst, m.Tags[key])
	}
	return dst
}

// memberSize returns how many bytes appendMember appends.
func memberSize(m *Member) int {
	size := 3 + 8 + 8 + 4 + bytesSize(len(m.Name)) + bytesSize(len(m.PeerAddr)) + bytesSize(len(m.ClientAddr))
	size += uvarintSize(uint64(len(m.Tags)))
	for key, value := range m.Tags {
		size += bytesSize(len(key)) + bytesSize(len(value))
	}
	return size
}

func bytesSize(n int) int { return uvarintSize(uint64(n)) + n }

func uvarintSize(v uint64) int {
	size := 1
	for ; v >= 0x80; v >>= 7 {
		size++
	}
	return size
}

// ParseDatagram decodes a Probe, Ack, PingReq, Nack or Gossip. The result
// shares no memory with b.
func ParseDatagram(b []byte) (Message, error) {
	if len(b) > maxDatagram {
		return nil, fmt.Errorf("datagram is %d bytes, the limit is %d: %w", len(b), maxDatagram, ErrMalformed)
	}
	r := reader{rest: b}
	var msg Message
	switch kind := r.header(); kind {
	case typeProbe:
		msg = &Probe{Seq: r.u32(), From: r.instance(), To: r.instance(), Payload: r.payload(), Updates: r.members(maxUpdates)}
	case typeAck:
		msg = &Ack{Seq: r.u32(), From: r.instance(), Relayed: r.flag(flagRelayed), Payload: r.payload(), Updates: r.members(maxUpdates)}
	case typePingReq:
		msg = &PingReq{Seq: r.u32(), From: r.instance(), Target: r.instance(), WantNack: r.flag(flagWantNack), Updates: r.members(maxUpdates)}
	case typeNack:
		msg = &Nack{Seq: r.u32(), From: r.instance()}
	case typeGossip:
		msg = &Gossip{From: r.instance(), Updates: r.members(maxUpdates)}
	default:
		r.fail("type %d is no datagram's", kind)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return msg, nil
}

// ParsePushPull decodes either side of a push-pull. The result shares no
// memory with b.
func ParsePushPull(b []byte) (*PushPull, error) {
	if len(b) > MaxPushPullBytes {
		return nil, fmt.Errorf("push-pull is %d bytes, the limit is %d: %w", len(b), MaxPushPullBytes, ErrMalformed)
	}
	r := reader{rest: b}
	kind := r.header()
	if kind != typePushPullRequest && kind != typePushPullReply {
		r.fail("type %d is no push-pull's", kind)
	}
	msg := &PushPull{Reply: kind == typePushPullReply, From: r.instance(), Payload: r.payload(), Members: r.members(MaxMembers)}
	if err := r.end(); err != nil {
		return nil, err
	}
	return msg, nil
}

// ParseAnswer decodes what a push-pull request is answered with: a PushPull or
// a NameTaken. The result shares no memory with b.
func ParseAnswer(b []byte) (Message, error) {
	r := reader{rest: b}
	if r.header() != typeNameTaken {
		return ParsePushPull(b)
	}
	msg := &NameTaken{From: r.instance()}
	if r.err == nil {
		r.member(&msg.Holder)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return msg, nil
}

// reader takes fields off a message. After the first failure everything that
// it returns is zero; end reports it.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrMalformed)
	}
	r.rest = nil
}

func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d bytes too many", len(r.rest))
	}
	return r.err
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.fail("cut short: %d bytes wanted, %d left", n, len(r.rest))
		return nil
	}
	head := r.rest[:n]
	r.rest = r.rest[n:]
	return head
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// header checks the version and returns the type.
func (r *reader) header() uint8 {
	if version := r.u8(); version != wireVersion {
		r.fail("version %d, only %d is spoken", version, wireVersion)
	}
	return r.u8()
}

// instance refuses zero, which names nobody.
func (r *reader) instance() uint64 {
	v := r.u64()
	if v == 0 {
		r.fail("an instance is zero")
	}
	return v
}

// flag reads the flag byte; bits that version 1 does not know are refused.
func (r *reader) flag(known byte) bool {
	v := r.u8()
	if v&^known != 0 {
		r.fail("flags %#x, only %#x are known", v, known)
	}
	return v&known != 0
}

// uvarint reads a count or length up to limit, in its shortest form alone, so
// that a message has one encoding.
func (r *reader) uvarint(what string, limit int) int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail("%s: cut short or overlong", what)
		return 0
	}
	if n != uvarintSize(v) {
		r.fail("%s: not in its shortest form", what)
		return 0
	}
	if v > uint64(limit) {
		r.fail("%s is %d, the limit is %d", what, v, limit)
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

func (r *reader) payload() []byte {
	b := r.take(r.uvarint("payload", MaxPayloadBytes))
	if len(b) == 0 {
		return nil
	}
	return slices.Clone(b)
}

func (r *reader) text(what string, limit int) string {
	return string(r.take(r.uvarint(what, limit)))
}

func (r *reader) members(limit int) []Member {
	count := r.uvarint("members", limit)
	if count*minMemberBytes > len(r.rest) {
		r.fail("%d members in %d bytes", count, len(r.rest))
		return nil
	}
	if count == 0 {
		return nil
	}
	members := make([]Member, count)
	for i := range members {
		if r.member(&members[i]); r.err != nil {
			return nil
		}
	}
	return members
}

func (r *reader) member(m *Member) {
	m.State, m.ProtoMin, m.ProtoMax = State(r.u8()), r.u8(), r.u8()
	m.Instance = r.u64()
	started := r.u64()
	if started >= uint64(maxStarted) {
		r.fail("a start time is %d, the limit is 2^48 ms", started)
		return
	}
	m.Started = int64(started)
	m.Incarnation = started + uint64(r.u32())
	m.Name = r.text("name", MaxNameBytes)
	m.PeerAddr = r.text("peer address", MaxAddrBytes)
	m.ClientAddr = r.text("client address", MaxAddrBytes)
	m.Tags = r.tags()
	if r.err != nil {
		return
	}
	if err := m.Validate(); err != nil {
		r.fail("%v", err)
	}
}

// tags come in ascending order of their keys, each once.
func (r *reader) tags() map[string]string {
	count := r.uvarint("tags", MaxTags)
	if count == 0 {
		return nil
	}
	tags := make(map[string]string, min(count, len(r.rest)/2))
	last := ""
	for range count {
		key := r.text("tag key", MaxTagBytes)
		value := r.text("tag value", MaxTagBytes)
		if r.err != nil {
			return nil
		}
		if key <= last {
			r.fail("tag %.40q out of order", key)
			return nil
		}
		tags[key], last = value, key
	}
	return tags
}
