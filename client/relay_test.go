package client

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// relay forwards TCP and UDP to a node, until it stalls: then it swallows all.
type relay struct {
	addr  string
	stall atomic.Bool
}

func newRelay(t *testing.T, to string) *relay {
	r := &relay{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.addr = l.Addr().String()
	front, err := net.ListenPacket("udp", r.addr)
	require.NoError(t, err)
	back, err := net.Dial("udp", to)
	require.NoError(t, err)
	var group sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	t.Cleanup(func() {
		l.Close()
		front.Close()
		back.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	copyTo := func(dst, src net.Conn) {
		buf := make([]byte, 64<<10)
		for {
			n, err := src.Read(buf)
			if err != nil {
				dst.Close()
				return
			}
			if !r.stall.Load() {
				dst.Write(buf[:n])
			}
		}
	}
	group.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				return
			}
			mu.Lock()
			conns = append(conns, near, far)
			mu.Unlock()
			group.Go(func() { copyTo(far, near) })
			group.Go(func() { copyTo(near, far) })
		}
	})
	var from atomic.Pointer[net.Addr] // one client at a time
	group.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, addr, err := front.ReadFrom(buf)
			if err != nil {
				return
			}
			from.Store(&addr)
			if !r.stall.Load() && n > 1 { // not the byte that asks whether the port is open
				back.Write(buf[:n])
			}
		}
	})
	group.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := back.Read(buf)
			if err != nil {
				return
			}
			if !r.stall.Load() {
				front.WriteTo(buf[:n], *from.Load())
			}
		}
	})
	return r
}
