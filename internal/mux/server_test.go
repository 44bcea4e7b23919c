package mux

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Kinds that the test handler knows.
const (
	kindEcho    = 1 // answered at once
	kindLater   = 2 // answered by a goroutine
	kindWait    = 3 // answered when its context ends, with the reason
	kindHold    = 4 // answered when the handler is released
	kindBad     = 5 // ends the stream
	kindCancel  = 6
	kindTimed   = 7 // kindWait with a time-out of 50ms
	kindLarge   = 8 // answers with as many bytes as the body's number says
	kindAnswer  = 0x80
	kindRefused = 0x81
)

// handler is a server for tests.
type handler struct {
	hold    chan struct{}
	running atomic.Int64 // kindHold requests in progress
	bad     atomic.Pointer[LengthError]
}

func newHandler() *handler { return &handler{hold: make(chan struct{})} }

func (h *handler) BadFrame(s *Stream, err *LengthError) {
	h.bad.Store(err)
	_ = s.Reply(err.ID, kindRefused, Bytes(err.Error()))
}

func (h *handler) ServeFrame(s *Stream, f Frame) error {
	switch f.Kind {
	case kindEcho:
		return s.Reply(f.ID, kindAnswer, split2{head: f.Body})
	case kindLarge:
		return s.Reply(f.ID, kindAnswer, Bytes(make([]byte, binary.BigEndian.Uint32(f.Body))))
	case kindCancel:
		s.Cancel(f.ID)
		return nil
	case kindBad:
		_ = s.Reply(f.ID, kindRefused, Bytes("bad"))
		return errors.New("bad request")
	}
	var timeout time.Duration
	if f.Kind == kindTimed {
		timeout = 50 * time.Millisecond
	}
	if err := s.Go(f, timeout, h.run); err != nil {
		return s.Reply(f.ID, kindRefused, Bytes(err.Error()))
	}
	return nil
}

func (h *handler) run(ctx context.Context, f Frame, reply func(byte, Message) error) {
	switch f.Kind {
	case kindWait, kindTimed:
		<-ctx.Done()
		_ = reply(kindAnswer, Bytes(ctx.Err().Error()))
		return
	case kindHold:
		h.running.Add(1)
		select {
		case <-h.hold:
		case <-ctx.Done():
		}
	}
	_ = reply(kindAnswer, Bytes(f.Body))
}

// pair connects a client and a server over a pipe.
type pair struct {
	*Client
	handler *handler
	near    net.Conn
	served  chan error // what Serve returned
	stop    context.CancelFunc
}

func newPair(t *testing.T, sc ServerConfig, cc ClientConfig) *pair {
	near, far := net.Pipe()
	p := servePair(t, near, far, sc)
	p.Client = NewClient(near, cc)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func servePair(t *testing.T, near, far net.Conn, sc ServerConfig) *pair {
	ctx, stop := context.WithCancel(t.Context())
	p := &pair{handler: newHandler(), near: near, served: make(chan error, 1), stop: stop}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		p.served <- Serve(ctx, far, p.handler, sc)
	}()
	t.Cleanup(func() {
		_ = near.Close()
		stop()
		<-finished
	})
	return p
}

func (p *pair) echo(t *testing.T, kind byte, body string) {
	t.Helper()
	f, err := p.Call(t.Context(), 0, kind, Bytes(body))
	require.NoError(t, err)
	require.Equal(t, byte(kindAnswer), f.Kind)
	require.Equal(t, body, string(f.Body))
}

func TestThousandsOfCallersGetTheirOwnAnswers(t *testing.T) {
	for _, over := range []string{"pipe", "tcp"} {
		t.Run(over, func(t *testing.T) {
			near, far := net.Pipe()
			if over == "tcp" {
				near, far = tcpPair(t)
			}
			p := servePair(t, near, far, ServerConfig{MaxInFlight: 1 << 20})
			p.Client = NewClient(near, ClientConfig{})
			var callers sync.WaitGroup
			var wrong atomic.Int64
			for i := range 3000 {
				callers.Go(func() {
					kind := byte(kindEcho)
					if i%3 == 0 {
						kind = kindLater
					}
					for j := range 5 {
						body := fmt.Appendf(nil, "caller %d call %d", i, j)
						if i%100 == 0 {
							body = append(body, make([]byte, 70_000)...)
						}
						f, err := p.Call(context.Background(), time.Minute, kind, Bytes(body))
						if err != nil || !bytes.Equal(f.Body, body) {
							wrong.Add(1)
						}
					}
				})
			}
			callers.Wait()
			require.Zero(t, wrong.Load())
			require.Zero(t, p.Pending())
			require.NoError(t, p.Close())
			require.NoError(t, <-p.served)
		})
	}
}

func tcpPair(t testing.TB) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	near, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	far, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
	return near, far
}

func TestASlowRequestHoldsNobodyUp(t *testing.T) {
	p := newPair(t, ServerConfig{}, ClientConfig{})
	slow := make(chan Frame)
	go func() {
		f, _ := p.Call(context.Background(), 0, kindHold, Bytes("slow"))
		slow <- f
	}()
	for range 100 {
		p.echo(t, kindEcho, "quick")
		p.echo(t, kindLater, "quick too")
	}
	close(p.handler.hold)
	require.Equal(t, "slow", string((<-slow).Body))
}

func TestRequestsPastALimitAreRefusedAndOthersServed(t *testing.T) {
	for name, c := range map[string]struct {
		config ServerConfig
		text   string
	}{
		"count": {ServerConfig{MaxInFlight: 2}, "2 on this connection is the limit: too many requests in flight"},
		"bytes": {ServerConfig{MaxInFlightBytes: 2000}, "2000 bytes on this connection are the limit: too many requests in flight"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, c.config, ClientConfig{})
				held := make(chan error, 2)
				for range 2 {
					go func() {
						_, err := p.Call(t.Context(), 0, kindHold, Bytes(make([]byte, 1000)))
						held <- err
					}()
				}
				synctest.Wait()
				require.EqualValues(t, 2, p.handler.running.Load())
				f, err := p.Call(t.Context(), 0, kindHold, Bytes("one more"))
				require.NoError(t, err)
				require.Equal(t, byte(kindRefused), f.Kind)
				require.Equal(t, c.text, string(f.Body))
				p.echo(t, kindEcho, "at once")
				close(p.handler.hold)
				require.NoError(t, errors.Join(<-held, <-held))
				p.echo(t, kindLater, "there is room again")
			})
		})
	}
}

func TestAContextEndsWithTheTimeoutTheCancelAndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		p := servePair(t, near, far, ServerConfig{DrainTimeout: time.Second})
		r := NewReader(near, testLimit)
		send := func(id uint32, kind byte) {
			_, err := near.Write(AppendFrame(nil, id, kind, Bytes(nil)))
			require.NoError(t, err)
		}
		answer := func(id uint32, text string) {
			f, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, Frame{ID: id, Kind: kindAnswer, Body: []byte(text)}, f)
		}
		send(1, kindTimed)
		answer(1, context.DeadlineExceeded.Error())
		send(2, kindWait)
		send(99, kindCancel) // nobody's: ignored
		send(2, kindCancel)
		answer(2, context.Canceled.Error())
		send(2, kindWait) // the ID is free again
		synctest.Wait()
		p.stop() // and with the drain's end, a second later
		answer(2, context.Canceled.Error())
		_, err := r.Next()
		require.Equal(t, io.EOF, err)
		require.NoError(t, <-p.served)
	})
}

func TestTwoRequestsInFlightCannotShareAnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		p := servePair(t, near, far, ServerConfig{})
		_, err := near.Write(AppendFrame(AppendFrame(nil, 7, kindHold, Bytes(nil)), 7, kindHold, Bytes(nil)))
		require.NoError(t, err)
		f, err := NewReader(near, testLimit).Next()
		require.NoError(t, err)
		require.Equal(t, "request 7: request ID is in flight", string(f.Body))
		close(p.handler.hold)
	})
}

func TestStoppingFinishesWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, ServerConfig{}, ClientConfig{})
		held := make(chan Frame, 1)
		go func() {
			f, err := p.Call(context.Background(), 0, kindHold, Bytes("in flight"))
			if err == nil {
				held <- f
			}
		}()
		synctest.Wait()
		p.stop()
		synctest.Wait()
		close(p.handler.hold)
		require.Equal(t, "in flight", string((<-held).Body))
		require.NoError(t, <-p.served)
		<-p.Done()
		_, err := p.Call(t.Context(), 0, kindEcho, Bytes(nil))
		require.ErrorIs(t, err, ErrNotSent)
		require.EqualError(t, err, "closed by the other side: not sent")
	})
}

func TestAProtocolErrorIsAnsweredAndEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, ServerConfig{}, ClientConfig{})
		f, err := p.Call(t.Context(), 0, kindBad, Bytes(nil))
		require.NoError(t, err)
		require.Equal(t, "bad", string(f.Body))
		require.EqualError(t, <-p.served, "bad request")
		<-p.Done()
	})
}

func TestABadFrameIsAnsweredOverTCPThoughMoreHasArrived(t *testing.T) {
	near, far := tcpPair(t)
	p := servePair(t, near, far, ServerConfig{MaxFrame: 1000})
	garbage := append([]byte("\x00\x00\x10\x00\x00\x00\x00\x09\x01"), make([]byte, 200_000)...)
	_, err := near.Write(garbage)
	require.NoError(t, err)
	f, err := NewReader(near, testLimit).Next()
	require.NoError(t, err)
	require.Equal(t, Frame{ID: 9, Kind: kindRefused, Body: []byte("frame of 4096 bytes, the limit is 1000: bad frame")}, f)
	_ = near.Close()
	require.ErrorIs(t, <-p.served, ErrFrame)
}

func TestAnAnswerThatFitsNoFrameIsReported(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	s := &Stream{config: ServerConfig{MaxFrame: 100}}
	s.out.limit = 1000
	err := s.Reply(1, kindAnswer, Bytes(make([]byte, 96)))
	require.ErrorIs(t, err, ErrTooLong)
	require.EqualError(t, err, "answer of 101 bytes, the limit is 100: frame is too long")
	require.NoError(t, s.Reply(1, kindAnswer, Bytes(make([]byte, 95))))
}

func TestACutOffStreamIsAnError(t *testing.T) {
	near, far := net.Pipe()
	p := servePair(t, near, far, ServerConfig{})
	_, err := near.Write([]byte{0, 0, 0})
	require.NoError(t, err)
	require.NoError(t, near.Close())
	require.ErrorIs(t, <-p.served, io.ErrUnexpectedEOF)
}

// plain hides deadlines.
type plain struct{ io.ReadWriteCloser }

func TestAStreamWithoutDeadlinesIsStoppedByClosing(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, plain{far}, newHandler(), ServerConfig{}) }()
	c := NewClient(plain{near}, ClientConfig{})
	defer c.Close()
	_, err := c.Call(t.Context(), 0, kindEcho, Bytes("x"))
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-served)
}
