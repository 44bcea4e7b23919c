package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// ServerConfig bounds one connection. Zero means the default.
type ServerConfig struct {
	MaxFrame         int           // bytes of a frame's ID, kind and body, both ways; default 16 MiB
	MaxInFlight      int           // requests on goroutines; default 1,024
	MaxInFlightBytes int           // bytes of their bodies; default 32 MiB. One request alone may have more
	MaxQueued        int           // bytes of answers not yet written before the server stops reading; default 4 MiB
	WriteTimeout     time.Duration // without progress; default 10s
	FrameTimeout     time.Duration // of a frame begun, without progress; default 30s
	DrainTimeout     time.Duration // for requests in flight when the stream or the context ends; default 5s
}

func (c ServerConfig) withDefaults() ServerConfig {
	defaultInt(&c.MaxFrame, 16<<20)
	defaultInt(&c.MaxInFlight, 1024)
	defaultInt(&c.MaxInFlightBytes, 32<<20)
	defaultInt(&c.MaxQueued, 4<<20)
	defaultInt(&c.WriteTimeout, 10*time.Second)
	defaultInt(&c.FrameTimeout, 30*time.Second)
	defaultInt(&c.DrainTimeout, 5*time.Second)
	return c
}

func defaultInt[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Handler is what a server does with frames.
type Handler interface {
	// ServeFrame takes one request on the reading goroutine, in the order of
	// arrival. The frame's body is lent until it returns. It answers with
	// s.Reply, at once, or from a goroutine started with s.Go. An error ends the
	// stream: nothing more is read, what was replied is still written.
	ServeFrame(s *Stream, f Frame) error
	// BadFrame is called where the stream holds what is no frame. It may Reply.
	BadFrame(s *Stream, err *LengthError)
}

// Errors of Stream's methods.
var (
	// ErrBusy is wrapped where a limit on requests in flight is reached.
	ErrBusy = errors.New("too many requests in flight")
	// ErrDuplicate: a request in flight has the same ID.
	ErrDuplicate = errors.New("request ID is in flight")
	// ErrTooLong: an answer does not fit a frame.
	ErrTooLong = errors.New("frame is too long")
)

// Stream is the server's end of a connection.
type Stream struct {
	ctx    context.Context // ends with the connection
	config ServerConfig
	rw     io.ReadWriteCloser
	out    outbox

	mu       sync.Mutex
	running  map[uint32]context.CancelFunc
	inFlight int // jobs that have not ended: answered ones whose answer waits for room included
	bytes    int
	idle     sync.WaitGroup

	deadlines deadlines
}

// Serve answers the requests that arrive on rw until its peer closes it, a frame
// is bad, or ctx ends; then no more is read, requests in flight get DrainTimeout
// to finish, and their answers are written. It closes rw and returns when nothing
// of the connection runs any more. The error is nil where the stream ended
// between frames or with ctx.
//
// Deadlines are kept where rw has SetReadDeadline and SetWriteDeadline, as
// network connections and QUIC streams have; without them a peer that stalls is
// only bounded by rw itself, and Close must end a Read and a Write in progress.
func Serve(ctx context.Context, rw io.ReadWriteCloser, h Handler, config ServerConfig) error {
	config = config.withDefaults()
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s := &Stream{ctx: work, config: config, rw: rw, running: map[uint32]context.CancelFunc{}}
	s.out = outbox{w: rw, limit: config.MaxQueued, timeout: config.WriteTimeout}
	s.out.bound = writeDeadline(rw)
	s.deadlines = deadlines{set: readDeadline(rw), timeout: config.FrameTimeout, close: rw.Close}

	stop := context.AfterFunc(ctx, s.deadlines.stop)
	err := s.read(h)
	stop()
	if werr := s.out.failure(); werr != nil {
		err = werr // the reader was stopped because writing had failed
	} else if ctx.Err() != nil && s.deadlines.stopped() {
		err = nil
	}
	return s.end(err, cancel)
}

// read is the reading goroutine's loop.
func (s *Stream) read(h Handler) error {
	r := NewReader(s.rw, s.config.MaxFrame)
	r.before = s.deadlines.beforeRead
	defer r.releaseLarge()
	for {
		f, err := r.Next()
		if err != nil {
			if bad := (*LengthError)(nil); errors.As(err, &bad) {
				h.BadFrame(s, bad)
			}
			return err
		}
		if err := h.ServeFrame(s, f); err != nil {
			return protocolError{err}
		}
		if !r.Ready() { // the next read may wait: nobody shall wait for us meanwhile
			if err := s.out.flush(s.busy); err != nil {
				return err
			}
		}
	}
}

// end lets what is in flight finish and takes the connection down. How much
// patience it deserves depends on why reading ended: err is nil where the server
// stops.
func (s *Stream) end(err error, cancel context.CancelFunc) error {
	refused := errors.As(err, new(protocolError)) || errors.Is(err, ErrFrame)
	if err == nil || errors.Is(err, io.EOF) || refused {
		timer := time.AfterFunc(s.config.DrainTimeout, cancel)
		werr := s.out.flush(never)
		s.idle.Wait()
		timer.Stop()
		if werr == nil {
			werr = s.out.flush(never)
		}
		if werr != nil && !refused {
			err = werr
		}
	} else {
		s.out.fail(err)
		cancel()
		s.idle.Wait()
	}
	if err == nil || refused {
		s.linger()
	}
	cerr := s.rw.Close()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil && cerr != nil && !errors.Is(cerr, net.ErrClosed) && !errors.Is(cerr, io.ErrClosedPipe):
		return fmt.Errorf("close: %w", cerr)
	}
	return err
}

// linger gives the peer a chance to read the last answers: closing a TCP
// connection whose input has not been read resets it, closing a QUIC connection
// drops what is not sent yet. A peer that has read to the end closes its side.
func (s *Stream) linger() {
	const patience, most = 500 * time.Millisecond, 256 << 10
	if s.deadlines.set == nil {
		return
	}
	if c, ok := s.rw.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}
	if s.deadlines.set(time.Now().Add(patience)) == nil {
		_, _ = io.CopyN(io.Discard, s.rw, most) // whatever ends it ends the connection
	}
}

// protocolError marks an error of ServeFrame.
type protocolError struct{ error }

func (e protocolError) Unwrap() error { return e.error }

func never() bool { return false }

// busy says that goroutines may be about to answer.
func (s *Stream) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFlight > 1
}

// Reply queues the answer to the request with the ID. m's tail must not change
// afterwards; its head is encoded before Reply returns. It waits for room, and
// fails where the connection has or the answer does not fit a frame.
func (s *Stream) Reply(id uint32, kind byte, m Message) error {
	if size := frameSize(m) - lengthSize; size > s.config.MaxFrame {
		return fmt.Errorf("answer of %d bytes, the limit is %d: %w", size, s.config.MaxFrame, ErrTooLong)
	}
	if m.HeadSize() >= largeTail { // a list's page: not to be encoded under the lock
		all := m.AppendHead(make([]byte, 0, m.HeadSize()+len(m.Tail())))
		m = Bytes(append(all, m.Tail()...))
	}
	s.out.mu.Lock()
	for {
		full := s.out.fullLocked()
		if full == nil {
			break
		}
		writing := s.out.flushing
		s.out.mu.Unlock()
		if writing {
			<-full // the writer has a deadline
		} else if err := s.out.flush(never); err != nil {
			return err
		}
		s.out.mu.Lock()
	}
	defer s.out.mu.Unlock()
	if s.out.err != nil {
		return s.out.err
	}
	s.out.addLocked(id, kind, m, true)
	return nil
}

// Job handles one request on a goroutine of its own. The frame's body is lent.
// reply must be called once, as the last action: it is Stream.Reply for the
// frame's ID.
type Job func(ctx context.Context, f Frame, reply func(kind byte, m Message) error)

// Go runs a request with a copy of its body. The context ends with the timeout
// (zero: none), with Cancel, or with the connection.
func (s *Stream) Go(f Frame, timeout time.Duration, run Job) error {
	s.mu.Lock()
	switch _, twice := s.running[f.ID]; {
	case twice:
		s.mu.Unlock()
		return fmt.Errorf("request %d: %w", f.ID, ErrDuplicate)
	case s.inFlight >= s.config.MaxInFlight:
		s.mu.Unlock()
		return fmt.Errorf("%d on this connection is the limit: %w", s.config.MaxInFlight, ErrBusy)
	case s.bytes > 0 && s.bytes+len(f.Body) > s.config.MaxInFlightBytes:
		s.mu.Unlock()
		return fmt.Errorf("%d bytes on this connection are the limit: %w", s.config.MaxInFlightBytes, ErrBusy)
	}
	var ctx context.Context
	var cancel context.CancelFunc
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(s.ctx, timeout)
	} else {
		ctx, cancel = context.WithCancel(s.ctx)
	}
	s.running[f.ID] = cancel
	s.inFlight++
	s.bytes += len(f.Body)
	s.idle.Add(1)
	s.mu.Unlock()

	f.Body = append([]byte(nil), f.Body...)
	go func() {
		defer s.idle.Done()
		defer cancel()
		run(ctx, f, func(kind byte, m Message) error {
			// The ID is free before its answer is on the way: the peer may use
			// it again as soon as it has read that.
			s.mu.Lock()
			delete(s.running, f.ID)
			s.mu.Unlock()
			return s.Reply(f.ID, kind, m)
		})
		if s.out.flush(s.busy) != nil {
			s.deadlines.stop() // the reader finds the error that sticks
		}
		s.mu.Lock()
		s.inFlight--
		s.bytes -= len(f.Body)
		s.mu.Unlock()
	}()
	return nil
}

// Cancel ends the context of a request in flight, if there is one with this ID.
func (s *Stream) Cancel(id uint32) {
	s.mu.Lock()
	cancel := s.running[id]
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// Context is the connection's.
func (s *Stream) Context() context.Context { return s.ctx }
