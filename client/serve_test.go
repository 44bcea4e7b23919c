package client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/mux"
)

// dialogue is a client that writes bytes as it likes.
type dialogue struct {
	t      *testing.T
	conn   net.Conn
	reader *mux.Reader
	served chan error
	stop   context.CancelFunc
}

func talk(t *testing.T, h Handler, limits Limits) *dialogue {
	near, far := net.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	d := &dialogue{t: t, conn: near, reader: mux.NewReader(near, wire.MaxFrame), served: make(chan error, 1), stop: stop}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.served <- ServeStream(ctx, far, h, limits)
	}()
	t.Cleanup(func() {
		_ = near.Close()
		stop()
		<-done
	})
	return d
}

func (d *dialogue) send(id uint32, kind byte, body []byte) {
	_, err := d.conn.Write(mux.AppendFrame(nil, id, kind, mux.Bytes(body)))
	require.NoError(d.t, err)
}

func (d *dialogue) ask(id uint32, r wire.Request) {
	require.NoError(d.t, r.Check())
	d.send(id, byte(r.Op), r.AppendTo(nil))
}

func (d *dialogue) hear(id uint32, code wire.Code) (resp wire.Response) {
	d.t.Helper()
	f, err := d.reader.Next()
	require.NoError(d.t, err)
	require.Equal(d.t, id, f.ID)
	require.Equal(d.t, byte(wire.KindResponse), f.Kind)
	require.NoError(d.t, resp.Parse(f.Body))
	require.Equal(d.t, code.String(), resp.Code.String())
	return resp
}

func (d *dialogue) end() error {
	_, err := d.reader.Next()
	require.Equal(d.t, io.EOF, err)
	return <-d.served
}

func newFake() *fakeNode {
	return &fakeNode{fakeStore: newFakeStore(), ended: make(chan error, 1000)}
}

func TestBytesThatAreNoRequestEndTheConnectionAfterAnAnswer(t *testing.T) {
	get := wire.Request{Op: wire.OpGet, Key: []byte("k")}
	for name, c := range map[string]struct {
		id   uint32
		kind byte
		body []byte
		text string
	}{
		"truncated":        {5, byte(wire.OpGet), get.AppendTo(nil)[:9], "get: clock needs 8 bytes, 5 are left: malformed"},
		"trailing":         {5, byte(wire.OpGet), append(get.AppendTo(nil), 1), "get: body has 1 bytes too many: malformed"},
		"ID of zero":       {0, byte(wire.OpGet), get.AppendTo(nil), "request ID is zero: malformed"},
		"cancel with body": {5, wire.KindCancel, []byte{1}, "cancel: 1 bytes too many: malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			d := talk(t, newFake(), Limits{})
			d.send(c.id, c.kind, c.body)
			require.Equal(t, c.text, d.hear(c.id, wire.CodeInvalid).Message)
			require.ErrorIs(t, d.end(), wire.ErrMalformed)
		})
	}
}

func TestAFrameThatIsTooLongSaysSo(t *testing.T) {
	d := talk(t, newFake(), Limits{MaxFrame: 1000})
	go d.conn.Write(mux.AppendFrame(nil, 3, byte(wire.OpPut), mux.Bytes(make([]byte, 1000))))
	resp := d.hear(3, wire.CodeTooLarge)
	require.Equal(t, "frame of 1005 bytes, the limit is 1000: bad frame", resp.Message)
	require.ErrorIs(t, d.end(), mux.ErrFrame)

	d = talk(t, newFake(), Limits{})
	_, err := d.conn.Write([]byte{0, 0, 0, 1})
	require.NoError(t, err)
	d.hear(0, wire.CodeInvalid)
	require.ErrorIs(t, d.end(), mux.ErrFrame)
}

func TestWhatANodeDoesNotKnowIsRefusedAlone(t *testing.T) {
	d := talk(t, quickNode{newFake()}, Limits{})
	d.send(1, byte(wire.OpWatch), []byte("whatever it will be"))
	require.Equal(t, "unsupported: operation 12", d.hear(1, wire.CodeUnsupported).Message)
	body := (&wire.Request{Op: wire.OpGet, Key: []byte("k")}).AppendTo(nil)
	body[12] |= 0x20
	d.send(2, byte(wire.OpGet), body)
	d.hear(2, wire.CodeUnsupported)
	d.ask(3, wire.Request{Op: wire.OpPing})
	d.hear(3, wire.CodeOK)
	require.NoError(t, d.conn.Close())
	require.NoError(t, <-d.served)
}

func TestTheRequestsTimeoutIsItsContextsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFake()
		n.held = make(chan struct{})
		d := talk(t, quickNode{n}, Limits{})
		begin := time.Now()
		d.ask(1, wire.Request{Op: wire.OpGet, Key: []byte("k"), Timeout: 1500 * time.Millisecond})
		d.hear(1, wire.CodeTimeout)
		require.ErrorIs(t, <-n.ended, context.DeadlineExceeded)
		require.Equal(t, 1500*time.Millisecond, time.Since(begin))
		d.ask(2, wire.Request{Op: wire.OpGet, Key: []byte("k")})
		d.send(2, wire.KindCancel, nil)
		d.hear(2, wire.CodeTimeout)
		require.ErrorIs(t, <-n.ended, context.Canceled)
		close(n.held)
	})
}

func TestRequestsPastTheLimitAreAnsweredOverloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFake()
		n.held = make(chan struct{})
		d := talk(t, quickNode{n}, Limits{MaxInFlight: 2})
		for id := range uint32(2) {
			d.ask(id+1, wire.Request{Op: wire.OpSync})
		}
		d.ask(3, wire.Request{Op: wire.OpSync})
		resp := d.hear(3, wire.CodeOverloaded)
		require.Equal(t, "2 on this connection is the limit: too many requests in flight", resp.Message)
		require.Equal(t, 10*time.Millisecond, resp.RetryAfter)
		d.ask(4, wire.Request{Op: wire.OpPing})
		d.hear(4, wire.CodeOK)
		close(n.held)
		ids := map[uint32]bool{}
		for range 2 {
			f, err := d.reader.Next()
			require.NoError(t, err)
			ids[f.ID] = true
		}
		require.Equal(t, map[uint32]bool{1: true, 2: true}, ids)
		d.send(4, byte(wire.OpSync), []byte("malformed"))
		d.hear(4, wire.CodeInvalid)
	})
}

func TestTwoRequestsInFlightWithOneIDAreInvalid(t *testing.T) {
	n := newFake()
	n.held = make(chan struct{})
	d := talk(t, n, Limits{DrainTimeout: time.Millisecond})
	d.ask(1, wire.Request{Op: wire.OpSync})
	d.ask(1, wire.Request{Op: wire.OpSync})
	d.hear(1, wire.CodeInvalid)
	d.hear(1, wire.CodeTimeout) // the first one, cut short by the end
	require.ErrorIs(t, d.end(), mux.ErrDuplicate)
}

func TestAnAnswerThatCannotBeSentBecomesAnError(t *testing.T) {
	for name, c := range map[string]struct {
		resp wire.Response
		code wire.Code
	}{
		"longer than a frame": {wire.Response{Value: make([]byte, 2000), Clock: 7}, wire.CodeTooLarge},
		"not a response":      {wire.Response{RetryAfter: -1, Clock: 7}, wire.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			d := talk(t, handlerFunc(func(_ context.Context, _ *wire.Request, resp *wire.Response) { *resp = c.resp }), Limits{MaxFrame: 1000})
			d.ask(1, wire.Request{Op: wire.OpPing})
			resp := d.hear(1, c.code)
			require.EqualValues(t, 7, resp.Clock)
			require.NotEmpty(t, resp.Message)
			d.ask(2, wire.Request{Op: wire.OpPing})
			d.hear(2, c.code)
		})
	}
}

func TestAClientThatStopsReadingHoldsNoMemoryAndNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFake()
		n.entries["k"] = wire.Entry{Key: []byte("k"), Value: make([]byte, 500_000)}
		d := talk(t, quickNode{n}, Limits{MaxQueued: 1 << 20})
		d.conn.SetWriteDeadline(time.Now().Add(time.Hour))
		req := (&wire.Request{Op: wire.OpGet, Key: []byte("k")}).AppendTo(nil)
		sent := 0
		for ; sent < 1000; sent++ {
			if _, err := d.conn.Write(mux.AppendFrame(nil, uint32(sent+1), byte(wire.OpGet), mux.Bytes(req))); err != nil {
				break
			}
		}
		require.Less(t, sent, 20)
		require.ErrorIs(t, <-d.served, os.ErrDeadlineExceeded)
	})
}

func TestServingStopsWithItsContextAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFake()
		n.held = make(chan struct{})
		d := talk(t, n, Limits{})
		d.ask(1, wire.Request{Op: wire.OpSync})
		synctest.Wait()
		d.stop()
		synctest.Wait()
		close(n.held)
		d.hear(1, wire.CodeOK)
		require.NoError(t, d.end())
	})
}

// FuzzServeStream checks that no bytes from a client hang or break the server.
func FuzzServeStream(f *testing.F) {
	frame := func(r wire.Request) []byte { return mux.AppendFrame(nil, 1, byte(r.Op), &r) }
	f.Add(frame(wire.Request{Op: wire.OpPut, Key: []byte("k"), Value: []byte("v")}))
	f.Add(append(frame(wire.Request{Op: wire.OpList}), frame(wire.Request{Op: wire.OpGet, Key: []byte("k")})...))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: gokv\r\n\r\n"))
	f.Add(mux.AppendFrame(nil, 1, wire.KindCancel, mux.Bytes(nil)))
	f.Fuzz(func(t *testing.T, in []byte) {
		rw := &script{in: in}
		err := ServeStream(context.Background(), rw, quickNode{newFake()}, Limits{MaxFrame: 1 << 16})
		require.True(t, err == nil || errors.Is(err, wire.ErrMalformed) || errors.Is(err, mux.ErrFrame) ||
			errors.Is(err, mux.ErrDuplicate) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
		answers := mux.NewReader(&script{in: rw.out}, wire.MaxFrame)
		for {
			f, err := answers.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			require.NoError(t, err)
			require.NoError(t, new(wire.Response).Parse(f.Body))
		}
	})
}

// script is a stream that reads what is given and keeps what is written.
type script struct{ in, out []byte }

func (s *script) Read(b []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) { s.out = append(s.out, b...); return len(b), nil }
func (s *script) Close() error                { return nil }
