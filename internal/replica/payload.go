package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
)

// Payload is what rides on the membership's probes and acknowledgements: enough
// to know that nothing differs without opening a stream, and how far its sender
// has seen everything. Some 24 bytes on an idle cluster.
//
//	┌───────┬───────┬───────┬───────┬─────────┬─────────┬──────────────────┬──────────────────┬──────────────────────┐
//	│ flags │ clock │ check │ cut   │ last    │ least   │ wall, if flagged │ gone, if flagged │ departed, if flagged │
//	│   1   │   8   │   6   │   1   │ uvarint │ uvarint │ varint           │ see GoneReport   │ rest                 │
//	└───────┴───────┴───────┴───────┴─────────┴─────────┴──────────────────┴──────────────────┴──────────────────────┘
//
// last is how long before the clock the sender's last write was, plus one, zero
// if it never wrote; least is likewise, in units of 64 ms, rounded to the safe
// side. wall is the sender's wall time less that of the clock's reading, in ms; where
// it would make more than 24 bytes, one payload in four has it.
type Payload struct {
	Clock uint64 // hybrid clock reading
	// Check is a keyed hash of the root digest and the clock (CheckOf), 48 bits
	// of it. Equal ones are as good as equal roots for leaving a stream closed;
	// nothing is taken as seen because of them.
	Check uint64
	// Cut is the second up to which expiry had been taken out of the root, the
	// last eight bits of it.
	Cut   uint8
	Last  uint64 // the time of the sender's last write
	Ready bool   // the node serves
	// Searched: everybody whom the node's discovery named has answered or had
	// the time to, or it named nobody.
	Searched bool
	// Full: the sender's memory is, and members refuse puts that make the store grow.
	Full bool
	// Wall is the sender's wall time in ms since 1970, 0 if it does not say.
	Wall int64
	// Report is how far the sender has seen everything. Of departed instances
	// there may be a part only, another one each time.
	Report causal.Report
	// Gone is how the sender stands to instances that are on their way out. There may
	// be a part only, too.
	Gone GoneReport

	turn uint64 // where that part begins
}

const (
	payloadReady    = 1 << 0
	payloadSearched = 1 << 1
	payloadDeparted = 1 << 2
	payloadFull     = 1 << 3
	payloadVersion  = 2 << 4
	payloadWall     = 1 << 6
	payloadGone     = 1 << 7

	idlePayload = 24 // bytes
	wallTurns   = 4  // one payload in so many says the wall time if it makes more

	payloadFixed = 1 + 8 + checkBytes + 1

	checkBytes = 6
	leastUnit  = 64 << 16 // of a clock reading: 64 ms

	// MaxPayload bounds a payload's size.
	MaxPayload = 240
)

// ErrMalformed is what every refusal of a decoder wraps, an entry's included.
var ErrMalformed = engine.ErrMalformed

// PayloadOf is the payload of an engine's node, whose wall clock shows now, in ms.
func PayloadOf(e *engine.Engine, h *Horizon, now int64) Payload {
	p := Payload{Wall: now, turn: h.nextTurn()}
	p.Report, p.Gone = h.report()
	p.Clock, p.Last = e.Progress()
	p.Check, p.Cut = checkOf(e, p.Clock)
	return p
}

func checkOf(e *engine.Engine, clock uint64) (check uint64, cut uint8) {
	sum := e.Summary()
	return e.Hasher().Check(sum.Root, clock) & (1<<(8*checkBytes) - 1), uint8(sum.Cut / 1000)
}

// Likeness is how a peer compares with this node.
type Likeness uint8

// The likenesses.
const (
	Unlike Likeness = iota // something is to be repaired, or to be learnt
	Unsure                 // the roots differ, perhaps only because the cuts of expiry do
	Alike                  // the peer holds the same, and this node has seen all that it wrote
	Same                   // and the peer has seen all that this node wrote
)

// Compare takes in what a peer's payload says of itself, and compares the peer
// with this node.
func (p *Payload) Compare(e *engine.Engine, instance uint64) Likeness {
	_, last := e.Progress()
	// What the peer has seen of departed instances nobody else may tell.
	caughtUp := e.Reach(instance, p.Clock, p.Last) && e.SeenAll(&p.Report.Departed)
	switch check, cut := checkOf(e, p.Clock); {
	case check == p.Check && caughtUp && p.Report.Least >= last:
		return Same
	case check == p.Check && caughtUp:
		return Alike
	case check != p.Check && cut != p.Cut:
		return Unsure
	}
	return Unlike
}

// AppendTo appends the wire form.
func (p *Payload) AppendTo(dst []byte) []byte {
	at := len(dst)
	flags := byte(payloadVersion)
	if p.Ready {
		flags |= payloadReady
	}
	if p.Searched {
		flags |= payloadSearched
	}
	if p.Full {
		flags |= payloadFull
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint64(dst, p.Clock)
	check := binary.BigEndian.AppendUint64(nil, p.Check)
	dst = append(dst, check[8-checkBytes:]...)
	dst = append(dst, p.Cut)
	last := uint64(0)
	if p.Last != 0 {
		last = p.Clock - min(p.Last, p.Clock) + 1
	}
	dst = binary.AppendUvarint(dst, last)
	least := uint64(0)
	if p.Report.Least != 0 {
		least = (p.Clock-min(p.Report.Least, p.Clock)+leastUnit-1)/leastUnit + 1
	}
	dst = binary.AppendUvarint(dst, least)
	if p.Wall > 0 {
		wall := binary.AppendVarint(make([]byte, 0, binary.MaxVarintLen64), p.Wall-engine.WallOf(p.Clock))
		if len(dst)-at+len(wall) <= idlePayload || p.turn%wallTurns == 0 {
			dst[at] |= payloadWall
			dst = append(dst, wall...)
		}
	}
	if len(p.Gone.Of) > 0 {
		dst[at] |= payloadGone
		room := MaxPayload - (len(dst) - at)
		if len(p.Report.Departed.Base)+len(p.Report.Departed.Ahead) > 0 {
			room /= 2
		}
		dst = p.Gone.appendTo(dst, p.Clock, p.turn, room)
	}
	if part := p.departed(MaxPayload - (len(dst) - at)); len(part.Seen.Base)+len(part.Seen.Ahead) > 0 {
		dst[at] |= payloadDeparted
		dst = part.AppendTo(dst)
	}
	return dst
}

// departed is as much as so many bytes hold of what the report says of departed
// instances, beginning at another place with each payload.
func (p *Payload) departed(room int) (part causal.Knowledge) {
	const vector, ahead = 16, 26 // bytes an item at most
	room -= 3                    // the counts
	d := &p.Report.Departed
	all := uint64(len(d.Base) + len(d.Ahead))
	for i := range all {
		switch at := int((p.turn + i) % all); {
		case at < len(d.Base):
			if room -= vector; room >= 0 {
				part.Seen.Base.Raise(d.Base[at])
			}
		default:
			if room -= ahead; room >= 0 {
				a := d.Ahead[at-len(d.Base)]
				part.Seen.Take(a.Dot, a.Prev)
			}
		}
		if room < 0 {
			break
		}
	}
	return part
}

// ParsePayload reads the wire form.
func ParsePayload(b []byte) (Payload, error) {
	if len(b) < payloadFixed || len(b) > MaxPayload {
		return Payload{}, fmt.Errorf("payload: %d bytes, %d to %d allowed: %w", len(b), payloadFixed, MaxPayload, ErrMalformed)
	}
	if b[0]&^(payloadReady|payloadSearched|payloadDeparted|payloadFull|payloadWall|payloadGone) != payloadVersion {
		return Payload{}, fmt.Errorf("payload: flags %08b: %w", b[0], ErrMalformed)
	}
	p := Payload{
		Ready:    b[0]&payloadReady != 0,
		Searched: b[0]&payloadSearched != 0,
		Full:     b[0]&payloadFull != 0,
		Clock:    binary.BigEndian.Uint64(b[1:]),
	}
	departed, wall, gone := b[0]&payloadDeparted != 0, b[0]&payloadWall != 0, b[0]&payloadGone != 0
	var check [8]byte
	copy(check[8-checkBytes:], b[9:])
	p.Check, p.Cut = binary.BigEndian.Uint64(check[:]), b[payloadFixed-1]
	b = b[payloadFixed:]
	last, b, err := shortUvarint(b, p.Clock)
	if err != nil {
		return Payload{}, fmt.Errorf("payload: last write: %w", err)
	}
	if last > 0 {
		p.Last = p.Clock - (last - 1)
	}
	least, b, err := shortUvarint(b, p.Clock/leastUnit+1)
	if err != nil {
		return Payload{}, fmt.Errorf("payload: least: %w", err)
	}
	if least > 0 {
		p.Report.Least = p.Clock - min((least-1)*leastUnit, p.Clock)
	}
	if wall {
		if p.Wall, b, err = parseWall(b, p.Clock); err != nil {
			return Payload{}, fmt.Errorf("payload: wall time: %w", err)
		}
	}
	if gone {
		if p.Gone, b, err = parseGone(b, p.Clock); err != nil {
			return Payload{}, fmt.Errorf("payload: gone: %w", err)
		}
	}
	if departed {
		var k causal.Knowledge
		if k, b, err = causal.ParseKnowledge(b); err != nil {
			return Payload{}, fmt.Errorf("payload: departed: %w: %w", err, ErrMalformed)
		}
		if len(k.Hidden) > 0 || len(k.Seen.Base)+len(k.Seen.Ahead) == 0 {
			return Payload{}, fmt.Errorf("payload: departed: nothing is seen, or something hidden: %w", ErrMalformed)
		}
		p.Report.Departed = k.Seen
	}
	if len(b) != 0 {
		return Payload{}, fmt.Errorf("payload: %d bytes too many: %w", len(b), ErrMalformed)
	}
	return p, nil
}

// parseWall reads a wall time in its shortest form, which must be after 1970 and
// before the clock's end.
func parseWall(b []byte, clock uint64) (int64, []byte, error) {
	d, n := binary.Varint(b)
	const most = int64(1) << 48
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, fmt.Errorf("cut off or not in its shortest form: %w", ErrMalformed)
	}
	if d < -most || d > most || engine.WallOf(clock)+d <= 0 || engine.WallOf(clock)+d >= most {
		return 0, nil, fmt.Errorf("%d ms from the clock's: %w", d, ErrMalformed)
	}
	return engine.WallOf(clock) + d, b[n:], nil
}

// shortUvarint reads a number in its shortest form that exceeds limit by one at
// most, and returns what follows it.
func shortUvarint(b []byte, limit uint64) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	switch {
	case n <= 0 || n > 1 && v < 1<<(7*(n-1)):
		return 0, nil, fmt.Errorf("cut off or not in its shortest form: %w", ErrMalformed)
	case v > 0 && v-1 > limit:
		return 0, nil, fmt.Errorf("%d before the clock's %d: %w", v-1, limit, ErrMalformed)
	}
	return v, b[n:], nil
}
