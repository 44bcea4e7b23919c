package mux

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestACallEndsWithItsContextOrTimeoutAndTheConnectionGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, ServerConfig{}, ClientConfig{CancelKind: kindCancel})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Call(ctx, 0, kindHold, Bytes(nil))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = p.Call(t.Context(), time.Second, kindHold, Bytes(nil))
		require.ErrorIs(t, err, ErrTimeout)
		require.EqualError(t, err, "no answer in time (1s)")
		synctest.Wait()
		require.Zero(t, p.Pending())
		require.EqualValues(t, 2, p.handler.running.Load())
		p.echo(t, kindEcho, "still there") // the late answers were dropped
	})
}

func TestTheServerHearsThatNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, ServerConfig{}, ClientConfig{CancelKind: kindCancel})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := p.Call(ctx, 0, kindWait, Bytes(nil))
			done <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		synctest.Wait()
		p.stop() // returns at once: the request was cancelled, not left running
		begin := time.Now()
		require.NoError(t, <-p.served)
		require.Zero(t, time.Since(begin))
	})
}

func TestClosingFailsTheCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, ServerConfig{}, ClientConfig{})
		errs := make(chan error, 3)
		for range 3 {
			go func() {
				_, err := p.Call(context.Background(), 0, kindHold, Bytes(nil))
				errs <- err
			}()
		}
		synctest.Wait()
		require.NoError(t, p.Close())
		for range 3 {
			err := <-errs
			require.ErrorIs(t, err, ErrClosed)
			require.NotErrorIs(t, err, ErrNotSent)
		}
		_, err := p.Call(t.Context(), 0, kindEcho, Bytes(nil))
		require.ErrorIs(t, err, ErrNotSent)
		require.ErrorIs(t, err, ErrClosed)
		require.NoError(t, p.Close())
		require.ErrorIs(t, p.Err(), ErrClosed)
	})
}

func TestARetiredConnectionFinishesItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, ServerConfig{}, ClientConfig{})
		held := make(chan error, 1)
		go func() {
			_, err := p.Call(t.Context(), 0, kindHold, Bytes(nil))
			held <- err
		}()
		synctest.Wait()
		p.Retire()
		_, err := p.Call(t.Context(), 0, kindEcho, Bytes(nil))
		require.ErrorIs(t, err, ErrNotSent)
		require.NoError(t, p.Err())
		close(p.handler.hold)
		require.NoError(t, <-held)
		<-p.Done()

		q := newPair(t, ServerConfig{}, ClientConfig{})
		q.Retire()
		<-q.Done()
	})
}

func TestCallersWaitForRoomOnlyAsLongAsTheyWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe() // nobody reads from far
		defer far.Close()
		c := NewClient(&shallow{ReadWriteCloser: near}, ClientConfig{MaxQueued: 2000})
		_, err := c.Call(t.Context(), time.Second, kindEcho, Bytes(nil)) // fills the socket
		require.ErrorIs(t, err, ErrTimeout)
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() {
				_, err := c.Call(t.Context(), time.Second, kindEcho, Bytes(make([]byte, 1500)))
				require.ErrorIs(t, err, ErrTimeout)
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err = c.Call(ctx, time.Minute, kindEcho, Bytes(nil))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrNotSent)
		_, err = c.Call(t.Context(), 100*time.Millisecond, kindEcho, Bytes(nil))
		require.ErrorIs(t, err, ErrTimeout)
		require.ErrorIs(t, err, ErrNotSent)
		callers.Wait()
		require.NoError(t, c.Close())
	})
}

// shallow is a connection whose buffer takes one write, as a socket's takes some.
type shallow struct {
	io.ReadWriteCloser
	full bool
}

func (s *shallow) Write(b []byte) (int, error) {
	if s.full {
		return s.ReadWriteCloser.Write(b)
	}
	s.full = true
	return len(b), nil
}

func TestARequestThatFitsNoFrameIsNotSent(t *testing.T) {
	p := newPair(t, ServerConfig{}, ClientConfig{MaxFrame: 100})
	_, err := p.Call(t.Context(), 0, kindEcho, Bytes(make([]byte, 96)))
	require.ErrorIs(t, err, ErrTooLong)
	require.ErrorIs(t, err, ErrNotSent)
	p.echo(t, kindEcho, string(make([]byte, 95)))
}

func TestABadFrameFromTheServerEndsTheConnection(t *testing.T) {
	near, far := net.Pipe()
	c := NewClient(near, ClientConfig{})
	defer c.Close()
	_, err := far.Write([]byte{0, 0, 0, 1})
	require.NoError(t, err)
	<-c.Done()
	require.ErrorIs(t, c.Err(), ErrFrame)
}

func TestAnAnswerToNobodyIsDropped(t *testing.T) {
	near, far := net.Pipe()
	c := NewClient(near, ClientConfig{})
	defer c.Close()
	_, err := far.Write(AppendFrame(nil, 12345, kindAnswer, Bytes("hello")))
	require.NoError(t, err)
	require.NoError(t, c.Err())
}

// gate is a connection whose writes wait, so that what is queued meanwhile shows.
type gate struct {
	io.ReadWriteCloser
	open   chan struct{}
	writes chan int
}

func (g gate) Write(b []byte) (int, error) {
	g.writes <- len(b)
	<-g.open
	return len(b), nil
}

func TestWhatIsQueuedGoesOutInOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		g := gate{near, make(chan struct{}), make(chan int, 10)}
		c := NewClient(g, ClientConfig{})
		for range 101 {
			go func() { _, _ = c.Call(context.Background(), 0, kindEcho, Bytes("0123456789")) }()
		}
		synctest.Wait()
		first := <-g.writes
		g.open <- struct{}{}
		synctest.Wait()
		second := <-g.writes
		require.Equal(t, 101*(headerSize+10), first+second)
		require.Empty(t, g.writes)
		close(g.open)
		require.NoError(t, c.Close())
	})
}

func TestALargeValueMayChangeOnceItsCallIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := NewClient(near, ClientConfig{})
		value := make([]byte, 2*largeTail)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := c.Call(ctx, 0, kindEcho, split2{[]byte("head"), value})
			done <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		for i := range value {
			value[i] = 1
		}
		f, err := NewReader(far, testLimit).Next()
		require.NoError(t, err)
		require.Equal(t, append([]byte("head"), make([]byte, 2*largeTail)...), f.Body)
		require.NoError(t, c.Close())
		require.NoError(t, far.Close())
	})
}
