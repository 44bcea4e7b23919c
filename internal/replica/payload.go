package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/merkle"
)

// Payload is what rides on the membership's probes and acknowledgements, and
// what both ends of a round's stream say first: enough to know that nothing
// differs without opening a stream.
//
//	┌─────────┬───────┬─────────┬──────┬────────┬─────┐
//	│ version │ flags │  clock  │ root │ ext len│ ext │
//	│    1    │   1   │    8    │  16  │    1   │  n  │
//	└─────────┴───────┴─────────┴──────┴────────┴─────┘
//
// Extension bytes are skipped: they are the place for a later version's fields.
type Payload struct {
	Clock uint64        // hybrid clock reading
	Root  merkle.Digest // digest of everything held
	Ready bool          // the node serves
	// Searched: everybody whom the node's discovery named has answered or had
	// the time to, or it named nobody.
	Searched bool
}

const (
	payloadVersion = 1
	payloadFixed   = 1 + 1 + 8 + 16 + 1

	payloadReady    = 1 << 0
	payloadSearched = 1 << 1

	// MaxPayload bounds a payload's size, extension included.
	MaxPayload = payloadFixed + maxPayloadExt

	maxPayloadExt = 200
)

// ErrMalformed is what every refusal of a decoder wraps, an entry's included.
var ErrMalformed = engine.ErrMalformed

// AppendTo appends the wire form.
func (p Payload) AppendTo(dst []byte) []byte {
	var flags byte
	if p.Ready {
		flags |= payloadReady
	}
	if p.Searched {
		flags |= payloadSearched
	}
	dst = append(dst, payloadVersion, flags)
	dst = binary.BigEndian.AppendUint64(dst, p.Clock)
	root := p.Root.Bytes()
	dst = append(dst, root[:]...)
	return append(dst, 0)
}

// ParsePayload reads the wire form.
func ParsePayload(b []byte) (Payload, error) {
	if len(b) < payloadFixed {
		return Payload{}, fmt.Errorf("payload: %d bytes, at least %d: %w", len(b), payloadFixed, ErrMalformed)
	}
	if b[0] != payloadVersion {
		return Payload{}, fmt.Errorf("payload: version %d, known is %d: %w", b[0], payloadVersion, ErrMalformed)
	}
	if ext := int(b[payloadFixed-1]); ext > maxPayloadExt || len(b) != payloadFixed+ext {
		return Payload{}, fmt.Errorf("payload: %d bytes of extension named, %d there, at most %d: %w",
			ext, len(b)-payloadFixed, maxPayloadExt, ErrMalformed)
	}
	return Payload{
		Ready:    b[1]&payloadReady != 0,
		Searched: b[1]&payloadSearched != 0,
		Clock:    binary.BigEndian.Uint64(b[2:]),
		Root:     merkle.DigestFrom([16]byte(b[10:26])),
	}, nil
}
