package mux

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// headerSize is the length, the ID and the kind.
	headerSize = lengthSize + minLength
	lengthSize = 4
	minLength  = 5
)

// Frame is one frame of a stream.
type Frame struct {
	ID   uint32
	Kind byte
	Body []byte
}

// Message is the body of a frame to send. Its end is apart, so that large bytes
// can be written from where they are.
type Message interface {
	// HeadSize is exactly how many bytes AppendHead appends.
	HeadSize() int
	AppendHead(dst []byte) []byte
	// Tail follows the head.
	Tail() []byte
}

// Bytes is a Message that is already encoded.
type Bytes []byte

func (Bytes) HeadSize() int                { return 0 }
func (Bytes) AppendHead(dst []byte) []byte { return dst }
func (b Bytes) Tail() []byte               { return b }

// ErrFrame is wrapped by errors about bytes that are no frame.
var ErrFrame = errors.New("bad frame")

// LengthError is a frame whose length is out of bounds. It wraps ErrFrame.
type LengthError struct {
	// ID of the frame; zero where the length leaves no room for one.
	ID            uint32
	Length, Limit int64
}

func (e *LengthError) Error() string {
	if e.Length < minLength {
		return fmt.Sprintf("frame of %d bytes, the least is %d: bad frame", e.Length, minLength)
	}
	return fmt.Sprintf("frame of %d bytes, the limit is %d: bad frame", e.Length, e.Limit)
}

func (e *LengthError) Unwrap() error { return ErrFrame }

// TooLong says that the frame is over the limit, not under the least.
func (e *LengthError) TooLong() bool { return e.Length >= minLength }

// AppendFrame appends a frame with m as its body.
func AppendFrame(dst []byte, id uint32, kind byte, m Message) []byte {
	return append(appendHead(dst, id, kind, m), m.Tail()...)
}

func appendHead(dst []byte, id uint32, kind byte, m Message) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(minLength+m.HeadSize()+len(m.Tail())))
	dst = binary.BigEndian.AppendUint32(dst, id)
	dst = append(dst, kind)
	return m.AppendHead(dst)
}

// frameSize is what a frame with m takes, its length field included.
func frameSize(m Message) int { return headerSize + m.HeadSize() + len(m.Tail()) }
