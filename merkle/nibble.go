package merkle

// nibbles is a row of half bytes in the making: statements are made of these, as
// many are smaller than a byte. The first one of a byte is its upper half.
type nibbles struct {
	b   []byte
	odd bool // the last byte has its upper half only
}

// put appends the lowest n half bytes of v, the highest of them first.
func (w *nibbles) put(v uint64, n int) {
	for n--; n >= 0; n-- {
		half := byte(v>>(4*n)) & 0xf
		if w.odd {
			w.b[len(w.b)-1] |= half
		} else {
			w.b = append(w.b, half<<4)
		}
		w.odd = !w.odd
	}
}

// putBits appends which of n are meant, the first one in the lowest bit of the
// first half byte.
func (w *nibbles) putBits(set uint64, n int) {
	for ; n > 0; n -= 4 {
		w.put(set&0xf, 1)
		set >>= 4
	}
}

func (w *nibbles) reset() { w.b, w.odd = w.b[:0], false }

// nibbleReader takes such a row apart. The first thing missing is kept as its
// error; what is read after that is zero.
type nibbleReader struct {
	b    []byte
	at   int // in half bytes
	size int
	err  error
}

// newNibbleReader reads b, of which the lowest half byte is padding if odd.
func newNibbleReader(b []byte, odd bool) nibbleReader {
	r := nibbleReader{b: b, size: 2 * len(b)}
	if !odd {
		return r
	}
	if len(b) == 0 {
		r.fail(errShort)
		return r
	}
	r.size--
	if b[len(b)-1]&0xf != 0 {
		r.fail(errSpare)
	}
	return r
}

func (r *nibbleReader) more() bool { return r.err == nil && r.at < r.size }

func (r *nibbleReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// take is the number that the next n half bytes are, at most 16.
func (r *nibbleReader) take(n int) (v uint64) {
	if r.err != nil || n > r.size-r.at {
		r.fail(errShort)
		return 0
	}
	for range n {
		half := r.b[r.at/2]
		if r.at%2 == 0 {
			half >>= 4
		}
		v = v<<4 | uint64(half&0xf)
		r.at++
	}
	return v
}

// takeBits reads which of n are meant, at most 64.
func (r *nibbleReader) takeBits(n int) (set uint64) {
	for i := 0; i < n; i += 4 {
		set |= r.take(1) << i
	}
	if r.err != nil {
		return 0
	}
	if n < 64 && set>>n != 0 {
		r.fail(errSpare)
		return 0
	}
	return set
}
