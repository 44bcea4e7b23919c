package mux

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkCall measures round trips of 100 bytes over TCP on loopback, with both
// ends in one process.
func BenchmarkCall(b *testing.B) {
	for _, kind := range []struct {
		name string
		kind byte
	}{{"at once", kindEcho}, {"goroutine", kindLater}} {
		for _, callers := range []int{1, 50, 256} {
			b.Run(fmt.Sprintf("answer=%s/callers=%d", kind.name, callers), func(b *testing.B) {
				c := benchClient(b)
				body := make(Bytes, 100)
				b.ReportAllocs()
				b.SetParallelism(max(1, callers/2))
				if callers == 1 {
					for b.Loop() {
						if _, err := c.Call(context.Background(), time.Minute, kind.kind, body); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := c.Call(context.Background(), time.Minute, kind.kind, body); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkEcho is the least that a round trip on the same connection can cost.
func BenchmarkEcho(b *testing.B) {
	near, far := tcpPair(b)
	go func() {
		buf := make([]byte, 1024)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			if _, err := far.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 109)
	for b.Loop() {
		if _, err := near.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := near.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func benchClient(b *testing.B) *Client {
	near, far := tcpPair(b)
	served := make(chan error, 1)
	go func() { served <- Serve(context.Background(), far, newHandler(), ServerConfig{}) }()
	c := NewClient(near, ClientConfig{})
	b.Cleanup(func() {
		require.NoError(b, c.Close())
		require.NoError(b, <-served)
	})
	return c
}

// BenchmarkReader measures finding frames of 100 bytes.
func BenchmarkReader(b *testing.B) {
	var stream []byte
	for i := range 1000 {
		stream = AppendFrame(stream, uint32(i), 1, Bytes(make([]byte, 100)))
	}
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(&chunks{rest: stream, size: fullBuffer}, testLimit)
		for range 1000 {
			if _, err := r.Next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
