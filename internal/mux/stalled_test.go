package mux

import (
	"encoding/binary"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAClientThatStopsReadingIsClosedAndHoldsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		config := ServerConfig{WriteTimeout: 10 * time.Second, MaxQueued: 100_000, MaxInFlight: 8}
		p := servePair(t, near, far, config)
		asked := 0
		body := binary.BigEndian.AppendUint32(nil, 10_000)
		begin := time.Now()
		for {
			near.SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := near.Write(AppendFrame(nil, uint32(asked+1), kindLarge, Bytes(body))); err != nil {
				break
			}
			asked++
		}
		require.ErrorIs(t, <-p.served, os.ErrDeadlineExceeded)
		require.Less(t, time.Since(begin), time.Minute)
		require.Less(t, asked, 30, "the server must not read on while its answers are not read")
	})
}

func TestWaitingGoroutinesAreFreedWhenAClientStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		p := servePair(t, near, far, ServerConfig{MaxQueued: 1000})
		for i := range 20 {
			_, err := near.Write(AppendFrame(nil, uint32(i+1), kindHold, Bytes(make([]byte, 900))))
			require.NoError(t, err)
		}
		synctest.Wait()
		close(p.handler.hold)
		require.ErrorIs(t, <-p.served, os.ErrDeadlineExceeded) // and goleak sees the rest
	})
}

func TestHalfAFrameIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		p := servePair(t, near, far, ServerConfig{FrameTimeout: 30 * time.Second})
		frame := AppendFrame(nil, 1, kindEcho, Bytes("body"))
		r := NewReader(near, testLimit)
		for range 3 { // slow, but going on; and idle in between for as long as it likes
			for i := range frame {
				<-time.After(20 * time.Second)
				_, err := near.Write(frame[i : i+1])
				require.NoError(t, err)
			}
			_, err := r.Next()
			require.NoError(t, err)
			<-time.After(time.Hour)
		}
		_, err := near.Write(frame[:5])
		require.NoError(t, err)
		begin := time.Now()
		require.ErrorIs(t, <-p.served, os.ErrDeadlineExceeded)
		require.Equal(t, 30*time.Second, time.Since(begin))
	})
}
