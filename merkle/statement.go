package merkle

import (
	"errors"
	"fmt"
	"math/bits"
)

// A ranges frame is a row of statements, written in half bytes. Most answer what
// the other side said of a cut in its last turn, in the order in which it was
// said; which cut a statement is about is therefore not written. When all is
// answered, further cuts follow by their names. What a statement may be depends
// on what it answers, so each kind has a code of its own:
//
//	to digests       same | later | which parts differ, then a speech on each
//	to fingerprints  same | which are wanted | these, and headers
//	to headers       which are wanted
//	to nothing       a cut, then a speech on it
//
// A "speech" opens the talk about a cut: digests of its parts, a byte each, or,
// where the speaker has few entries, fingerprints of these.
const (
	// A speech.
	speechCounted = 0x9 // a count of two half bytes, then as many fingerprints; below it is the count itself
	speechWide    = 0xa // a count of one, then as many fingerprints of 8 bytes
	speechDigests = 0xb // + k: the bytes of 2^k parts, k from 1 to 4

	// An answer to digests.
	answerSame  = 0x0 // also to fingerprints
	answerLater = 0x1 // the answerer comes back to the cut in a later turn
	answerParts = 0x2 // a bitmap of the parts that differ
	answerPart  = 0x3 // + i: part i alone, i up to 12

	// An answer to fingerprints.
	answerWant    = 0x1 // a bitmap over the list: send these
	answerHeaders = 0x2 // the same, possibly empty, then a count and as many headers
	answerOne     = 0x3 // + i: send entry i alone, i up to 11
	answerPair    = 0xf // i, and one header: send entry i alone, unless it is older than this
)

const (
	// maxPrints is the most entries that a side lists by fingerprints, maxWide
	// by wide ones.
	maxPrints = 40
	maxWide   = 15
	// maxHeaders is the most entries that a side lists by headers; who has more
	// to say sends the entries themselves.
	maxHeaders = 40

	printSize = 3  // half bytes
	wideSize  = 16 // half bytes
	tagSize   = 3  // half bytes
	loneTag   = 2  // half bytes, of a header that is the only one
	ageSize   = 5  // half bytes

	maxAnswerPart = 0xf - answerPart
	maxAnswerOne  = answerPair - 1 - answerOne
	maxAnswerPair = 0xf
	maxShortCount = 0xf // of headers, less one
)

var (
	errSpare = errors.New("bits that stand for nothing")
	errEmpty = errors.New("a bitmap with nothing in it")
	errLong  = errors.New("a statement that is not in its shortest form")
)

// header is what is said of an entry before it is known who has the newer one.
// The version's instance is left out and its time is rounded: entries that look
// equally old go both ways.
type header struct {
	tag uint16 // of the position, 12 bits, or 8 where it is the only one
	age uint32 // 20 bits
}

// age is how old a version is as seen from a time that both sides know: a floating
// number of 14 bits above an exponent, so that ages up to 16,383 are exact and
// longer ones within a sixteen-thousandth. It grows with the age.
func age(now, time uint64) uint32 {
	if time >= now {
		return 0
	}
	old := now - time
	e := max(bits.Len64(old)-14, 0)
	return uint32(e)<<13 + uint32(old>>e)
}

// putSpeech begins a list of n fingerprints.
func (w *nibbles) putList(n int, wide bool) {
	switch {
	case wide && n > 0:
		w.put(speechWide, 1)
		w.put(uint64(n), 1)
	case n < speechCounted:
		w.put(uint64(n), 1)
	default:
		w.put(speechCounted, 1)
		w.put(uint64(n), 2)
	}
}

// takeList reads the rest of what putList wrote after the code.
func (r *nibbleReader) takeList(code uint64) (n int, wide bool) {
	switch {
	case code < speechCounted:
		return int(code), false
	case code == speechCounted:
		if n = int(r.take(2)); r.err == nil && (n < speechCounted || n > maxPrints) {
			r.fail(fmt.Errorf("%d fingerprints counted, %d to %d expected", n, speechCounted, maxPrints))
		}
		return n, false
	default:
		if n = int(r.take(1)); r.err == nil && n == 0 {
			r.fail(errLong)
		}
		return n, true
	}
}

// putParts answers digests of 2^k parts with those that differ.
func (w *nibbles) putParts(set uint64, k uint8) {
	if i, one := single(set); one && i <= maxAnswerPart {
		w.put(uint64(answerPart+i), 1)
		return
	}
	w.put(answerParts, 1)
	w.putBits(set, 1<<k)
}

func (r *nibbleReader) takeParts(code uint64, k uint8) uint64 {
	if code >= answerPart {
		if i := int(code - answerPart); i < 1<<k {
			return 1 << i
		}
		r.fail(fmt.Errorf("part %d of %d", code-answerPart, 1<<k))
		return 0
	}
	set := r.takeBits(1 << k)
	r.checkSet(set, maxAnswerPart)
	return set
}

// putWant answers n fingerprints with those whose entries are wanted.
func (w *nibbles) putWant(set uint64, n int) {
	i, one := single(set)
	switch {
	case set == 0:
		w.put(answerSame, 1)
	case one && i <= maxAnswerOne:
		w.put(uint64(answerOne+i), 1)
	default:
		w.put(answerWant, 1)
		w.putBits(set, n)
	}
}

func (r *nibbleReader) takeWant(code uint64, n int) uint64 {
	if code != answerWant {
		if i := int(code - answerOne); i < n {
			return 1 << i
		}
		r.fail(fmt.Errorf("entry %d of %d is wanted", code-answerOne, n))
		return 0
	}
	set := r.takeBits(n)
	r.checkSet(set, maxAnswerOne)
	return set
}

// putHeads begins an answer to n fingerprints that has so many headers.
func (w *nibbles) putHeads(set uint64, n, headers int) {
	if i, one := single(set); one && i <= maxAnswerPair && headers == 1 {
		w.put(answerPair, 1)
		w.put(uint64(i), 1)
		return
	}
	w.put(answerHeaders, 1)
	w.putBits(set, n)
	if headers <= maxShortCount {
		w.put(uint64(headers-1), 1)
		return
	}
	w.put(maxShortCount, 1)
	w.put(uint64(headers), 2)
}

func (r *nibbleReader) takeHeads(code uint64, n int) (set uint64, headers int) {
	if code == answerPair {
		if i := int(r.take(1)); i < n {
			return 1 << i, 1
		}
		r.fail(fmt.Errorf("a header beside an entry past the %d listed", n))
		return 0, 0
	}
	set = r.takeBits(n)
	headers = int(r.take(1)) + 1
	if headers > maxShortCount {
		if headers = int(r.take(2)); r.err == nil && (headers <= maxShortCount || headers > maxHeaders) {
			r.fail(fmt.Errorf("%d headers counted, %d to %d expected", headers, maxShortCount+1, maxHeaders))
		}
	}
	if r.err == nil && set == 0 {
		r.fail(errEmpty)
	}
	if headers == 1 {
		r.checkSet(set, maxAnswerPair)
	}
	return set, headers
}

// checkSet refuses a bitmap that is empty, or that a code of its own stands for.
func (r *nibbleReader) checkSet(set uint64, short int) {
	if set == 0 {
		r.fail(errEmpty)
	} else if i, one := single(set); one && i <= short {
		r.fail(errLong)
	}
}

func (w *nibbles) putHeader(h header, of int) {
	w.put(uint64(h.tag), tagBits(of)/4)
	w.put(uint64(h.age), ageSize)
}

func (r *nibbleReader) takeHeader(of int) header {
	return header{tag: uint16(r.take(tagBits(of) / 4)), age: uint32(r.take(ageSize))}
}

// tagBits is the length of the tags of so many headers.
func tagBits(headers int) int {
	if headers == 1 {
		return 4 * loneTag
	}
	return 4 * tagSize
}

// putCut names a cut by its number of bits and as much of its prefix as they fill.
func (w *nibbles) putCut(c cut) {
	w.put(uint64(c.bits), 2)
	n := cutSize(c.bits)
	w.put(c.first>>(positionBits-4*n), n)
}

func (r *nibbleReader) takeCut() cut {
	c := cut{bits: uint8(r.take(2))}
	if c.bits > positionBits {
		r.fail(fmt.Errorf("a cut of %d bits, at most %d", c.bits, positionBits))
		return cut{}
	}
	n := cutSize(c.bits)
	c.first = r.take(n) << (positionBits - 4*n)
	if !c.valid() {
		r.fail(fmt.Errorf("a cut of %d bits with bits below its prefix", c.bits))
	}
	return c
}

// cutSize is how many half bytes a prefix of so many bits fills.
func cutSize(bits uint8) int { return (int(bits) + 3) / 4 }

// single is the one element of a set, if it has just one.
func single(set uint64) (int, bool) {
	return bits.TrailingZeros64(set), set != 0 && set&(set-1) == 0
}
