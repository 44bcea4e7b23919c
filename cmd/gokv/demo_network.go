package main

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// demoNetwork is the network between the demonstration's nodes: real UDP sockets
// on loopback, each behind a filter that drops packets between the two sides
// while the network is cut, and counts the others.
type demoNetwork struct {
	severed atomic.Bool

	total   atomic.Uint64 // bytes of UDP payload that were sent and let through
	across  atomic.Uint64 // those of them between the two sides
	dropped atomic.Uint64 // packets

	mu    sync.RWMutex
	sides map[netip.AddrPort]int
}

// listen opens a socket on one side.
func (n *demoNetwork) listen(side int) (*demoConn, error) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("open a UDP socket on loopback: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sides == nil {
		n.sides = make(map[netip.AddrPort]int)
	}
	n.sides[udp.LocalAddr().(*net.UDPAddr).AddrPort()] = side
	return &demoConn{PacketConn: udp, udp: udp, network: n, side: side}, nil
}

// demoConn is a node's socket. Not a *net.UDPConn by embedding: whoever sends has
// to come through WriteTo.
type demoConn struct {
	net.PacketConn
	udp     *net.UDPConn
	network *demoNetwork
	side    int
}

// WriteTo sends b, or loses it as a cut cable does: without a word.
func (c *demoConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	across := c.network.sideOf(addr) != c.side
	if across && c.network.severed.Load() {
		c.network.dropped.Add(1)
		return len(b), nil
	}
	n, err := c.PacketConn.WriteTo(b, addr)
	c.network.total.Add(uint64(n))
	if across {
		c.network.across.Add(uint64(n))
	}
	return n, err
}

func (c *demoConn) SetReadBuffer(n int) error  { return c.udp.SetReadBuffer(n) }
func (c *demoConn) SetWriteBuffer(n int) error { return c.udp.SetWriteBuffer(n) }

// sideOf is the side of a node's address; -1 where it is none.
func (n *demoNetwork) sideOf(addr net.Addr) int {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return -1
	}
	at := udp.AddrPort()
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	n.mu.RLock()
	defer n.mu.RUnlock()
	side, ok := n.sides[at]
	if !ok {
		return -1
	}
	return side
}
