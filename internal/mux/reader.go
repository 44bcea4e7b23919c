package mux

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

const (
	firstBuffer = 4 << 10  // what an idle connection costs
	fullBuffer  = 64 << 10 // what a busy one reads into
	firstLarge  = 256 << 10
	growLarge   = 4 // factor: a large frame's buffer grows as its bytes arrive
)

// Reader finds frames in a stream. Frames that fit its buffer are returned from
// there without a copy; larger ones get memory of their own, which grows as the
// bytes arrive, so that a header alone can claim nothing.
type Reader struct {
	src    io.Reader
	limit  int64
	before func(partial bool) // called before each read; may be nil
	after  func(n int)        // called after each read; may be nil

	buf   []byte
	r, w  int  // buf[r:w] has not been returned yet
	grow  bool // the last read filled the buffer
	large *[]byte
	err   error // of src, once what came before it has been returned
}

// NewReader reads frames of at most limit bytes after the length field.
func NewReader(src io.Reader, limit int) *Reader {
	return &Reader{src: src, limit: int64(limit), buf: make([]byte, firstBuffer)}
}

// Ready says that Next will not read from the source: a whole frame, or the
// header of a bad one, is in the buffer.
func (r *Reader) Ready() bool {
	n, ok := r.length()
	return ok && (r.check(n) != nil || int64(r.w-r.r) >= lengthSize+n)
}

// Next returns the next frame. Its body is valid until the next call. At the end
// of the stream the error is io.EOF between frames, io.ErrUnexpectedEOF within.
func (r *Reader) Next() (Frame, error) { return r.next(false) }

// NextOwned is Next, with a body that belongs to the caller.
func (r *Reader) NextOwned() (Frame, error) { return r.next(true) }

func (r *Reader) next(owned bool) (Frame, error) {
	r.releaseLarge()
	for {
		n, ok := r.length()
		if ok {
			if err := r.check(n); err != nil {
				return Frame{}, err
			}
			if lengthSize+n > fullBuffer {
				return r.nextLarge(int(n), owned)
			}
			if size := lengthSize + int(n); r.w-r.r >= size {
				f := split(r.buf[r.r+lengthSize : r.r+size : r.r+size])
				r.r += size
				if owned {
					f.Body = append(make([]byte, 0, len(f.Body)), f.Body...)
				}
				return f, nil
			}
		}
		if err := r.fill(int(n) + lengthSize); err != nil {
			return Frame{}, err
		}
	}
}

// length of the next frame, if its length field has arrived.
func (r *Reader) length() (int64, bool) {
	if r.w-r.r < lengthSize {
		return 0, false
	}
	return int64(binary.BigEndian.Uint32(r.buf[r.r:])), true
}

// check waits for the ID of a frame that is too long only as far as it is there.
func (r *Reader) check(n int64) error {
	if n >= minLength && n <= r.limit {
		return nil
	}
	e := &LengthError{Length: n, Limit: r.limit}
	if n >= minLength && r.w-r.r >= lengthSize+4 {
		e.ID = binary.BigEndian.Uint32(r.buf[r.r+lengthSize:])
	}
	return e
}

func split(b []byte) Frame {
	return Frame{ID: binary.BigEndian.Uint32(b), Kind: b[4], Body: b[minLength:]}
}

// fill reads once into the buffer, which it makes hold need bytes at least (of
// which fullBuffer is the most).
func (r *Reader) fill(need int) error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	}
	switch size := len(r.buf); {
	case need > size || r.grow && size < fullBuffer:
		for size < need || size == len(r.buf) {
			size *= 2
		}
		grown := make([]byte, size)
		r.w = copy(grown, r.buf[r.r:r.w])
		r.buf, r.r = grown, 0
	case r.r > 0 && (r.r+need > size || r.w == size):
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	n, err := r.read(r.buf[r.w:], r.w > r.r)
	r.w += n
	r.grow = r.w == len(r.buf)
	return err
}

// nextLarge reads a frame that the buffer shall not hold.
func (r *Reader) nextLarge(n int, owned bool) (Frame, error) {
	b := r.newLarge(min(n, firstLarge), owned)
	had := copy(b, r.buf[r.r+lengthSize:r.w])
	r.r += lengthSize + had
	for {
		for had < len(b) {
			m, err := r.read(b[had:], true)
			had += m
			if err != nil {
				return Frame{}, err
			}
		}
		if had == n {
			return split(b), nil
		}
		var grown []byte
		if next := min(n, growLarge*len(b)); owned {
			grown = make([]byte, next)
			copy(grown, b)
		} else {
			old := r.large
			r.large = nil
			grown = r.newLarge(next, false)
			copy(grown, b)
			putLarge(old)
		}
		b = grown
	}
}

// read reads at least one byte or fails. An error that comes together with bytes
// is kept for the next call.
func (r *Reader) read(b []byte, partial bool) (int, error) {
	if r.err == nil && r.before != nil {
		r.before(partial)
	}
	for range 100 { // as bufio: a source that returns nothing for ever is broken
		if r.err != nil {
			if partial && errors.Is(r.err, io.EOF) {
				return 0, io.ErrUnexpectedEOF
			}
			return 0, r.err
		}
		n, err := r.src.Read(b)
		if n < 0 || n > len(b) {
			return 0, errors.New("mux: source returned an impossible count")
		}
		r.err = err
		if n > 0 {
			if r.after != nil {
				r.after(n)
			}
			return n, nil
		}
	}
	return 0, io.ErrNoProgress
}

// largeBuffers are of one size each: firstLarge times powers of growLarge.
var largeBuffers [5]sync.Pool

func largeClass(n int) (class, size int) {
	size = firstLarge
	for n > size {
		class++
		size *= growLarge
	}
	return class, size
}

func (r *Reader) newLarge(n int, owned bool) []byte {
	if owned {
		return make([]byte, n)
	}
	class, size := largeClass(n)
	if class >= len(largeBuffers) {
		b := make([]byte, n)
		r.large = &b
		return b
	}
	p, ok := largeBuffers[class].Get().(*[]byte)
	if !ok {
		b := make([]byte, size)
		p = &b
	}
	r.large = p
	return (*p)[:n]
}

func (r *Reader) releaseLarge() {
	if r.large != nil {
		putLarge(r.large)
		r.large = nil
	}
}

func putLarge(p *[]byte) {
	if class, size := largeClass(cap(*p)); class < len(largeBuffers) && size == cap(*p) {
		largeBuffers[class].Put(p)
	}
}
