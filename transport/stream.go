package transport

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// Stream is one dialogue with a peer or a client. One goroutine may read and
// another write; everything else may be called by anybody at any time.
type Stream interface {
	io.ReadWriteCloser // Close ends both directions; what was written still arrives
	// CloseWrite ends our direction: the other end reads io.EOF after our last byte.
	CloseWrite() error
	// Abort gives both directions up at once; what is on its way may be lost.
	Abort()
	// CancelRead and CancelWrite give one direction up, with a code that the
	// other end sees.
	CancelRead(code uint64)
	CancelWrite(code uint64)
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// codeAborted is what Abort and Close send for a direction that they give up.
const codeAborted quic.StreamErrorCode = 0x1

// StreamCode is the code with which a peer gave a stream up, if that is what err says.
func StreamCode(err error) (code uint64, ok bool) {
	var ended *quic.StreamError
	if !errors.As(err, &ended) || !ended.Remote {
		return 0, false
	}
	return uint64(ended.ErrorCode), true
}

// quicStream is a Stream on QUIC.
type quicStream struct {
	*quic.Stream
	done func() // the connection counts its open streams; may be nil

	// The kind goes before the first byte of an outgoing stream, in one packet with
	// it. first is held while it is written, so that nothing overtakes it.
	first    sync.Mutex
	kind     []byte
	started  atomic.Bool // the kind was written, or there is none
	finished sync.Once
}

// joinWrite is the most that is copied to send the kind and the first write as one.
const joinWrite = 1024

func newIncoming(s *quic.Stream, done func()) *quicStream {
	q := &quicStream{Stream: s, done: done}
	q.started.Store(true)
	return q
}

func newOutgoing(s *quic.Stream, kind byte, done func()) *quicStream {
	return &quicStream{Stream: s, done: done, kind: []byte{kind}}
}

func (s *quicStream) Write(b []byte) (int, error) {
	if s.started.Load() {
		return s.Stream.Write(b)
	}
	joined, err := s.start(b)
	if err != nil {
		return 0, err
	}
	if joined {
		return len(b), nil
	}
	return s.Stream.Write(b)
}

// start sends the kind, with b behind it if that is short.
func (s *quicStream) start(b []byte) (joined bool, err error) {
	s.first.Lock()
	defer s.first.Unlock()
	if s.started.Load() {
		return false, nil
	}
	joined = len(b) <= joinWrite
	if joined {
		s.kind = append(s.kind, b...)
	}
	if _, err := s.Stream.Write(s.kind); err != nil {
		return false, err
	}
	s.kind = nil
	s.started.Store(true)
	return joined, nil
}

// Read first sends the kind if nothing was written yet: the other end must know
// of the stream before it can speak on it.
func (s *quicStream) Read(b []byte) (int, error) {
	if !s.started.Load() {
		if _, err := s.start(nil); err != nil {
			return 0, err
		}
	}
	return s.Stream.Read(b)
}

func (s *quicStream) CloseWrite() error {
	if !s.started.Load() {
		if _, err := s.start(nil); err != nil {
			return err
		}
	}
	return s.Stream.Close()
}

func (s *quicStream) Close() error {
	err := s.Stream.Close()
	s.Stream.CancelRead(codeAborted)
	s.end()
	return err
}

func (s *quicStream) Abort() {
	s.Stream.CancelWrite(codeAborted)
	s.Stream.CancelRead(codeAborted)
	s.end()
}

func (s *quicStream) CancelRead(code uint64)  { s.Stream.CancelRead(quic.StreamErrorCode(code)) }
func (s *quicStream) CancelWrite(code uint64) { s.Stream.CancelWrite(quic.StreamErrorCode(code)) }

func (s *quicStream) end() {
	s.finished.Do(func() {
		if s.done != nil {
			s.done()
		}
	})
}
