package merkle

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	errShort    = errors.New("ends too early")
	errTrailing = errors.New("trailing bytes")
	errNumber   = errors.New("a number that is too large or not in its shortest form")
)

// reader takes a frame apart. The first thing missing is kept as its error;
// what is read after that is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
		r.b = nil
	}
}

// take is the next n bytes, which alias the frame, or nil.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail(errShort)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) bytes16() (out [16]byte) {
	copy(out[:], r.take(16))
	return out
}

// uvarint refuses a number that could be written shorter, so that a message
// has one form.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	switch {
	case n == 0:
		r.fail(errShort)
		return 0
	case n < 0 || n > 1 && r.b[n-1] == 0:
		r.fail(errNumber)
		return 0
	}
	r.take(n)
	return v
}

// ext is the room left in a message for what later versions say there.
func (r *reader) ext() []byte {
	n := r.uvarint()
	if n > maxExt {
		r.fail(fmt.Errorf("%d extension bytes, at most %d", n, maxExt))
		return nil
	}
	return r.take(int(n))
}

// end is the reader's error, or that something is left.
func (r *reader) end() error {
	if r.err == nil && len(r.b) != 0 {
		return errTrailing
	}
	return r.err
}
