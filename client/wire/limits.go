package wire

import "errors"

// Limits that both sides keep. A node may be stricter about keys and values; it
// says so with a code, not by ending the connection.
const (
	// MaxFrame is the default cap of a frame: its ID, kind and body.
	MaxFrame = 16 << 20
	// MaxKeySize is the longest key that a node stores. A request can spell a
	// longer one, up to 65,535 bytes, and is answered too_large.
	MaxKeySize = 4096
	// MaxPageEntries caps the entries of one list response.
	MaxPageEntries = 1 << 16
	// MaxPageBytes is what a node aims a list response at: it stops adding
	// entries once their keys, values and headers together have passed it.
	MaxPageBytes = 1 << 20
	// MaxBatchItems and MaxBatchBytes, of keys and values, bound a batch. A request
	// can spell more, up to 65,536 items, and is answered too_large.
	MaxBatchItems = 1000
	MaxBatchBytes = 4 << 20
	// MaxMessage caps an error's text; a longer one is cut.
	MaxMessage = 1024
	// MaxExt caps a message's extension bytes.
	MaxExt = 1024

	maxKeyField  = 1<<16 - 1
	maxItemField = 1 << 16
)

var (
	// ErrMalformed is wrapped by every error about bytes that are no message.
	ErrMalformed = errors.New("malformed")
	// ErrUnsupported is wrapped where a sound message asks for an operation or
	// a flag that this version does not know.
	ErrUnsupported = errors.New("unsupported")
)
