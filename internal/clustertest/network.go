package clustertest

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Network joins the nodes' sockets. A node is known by its name; an address that
// belongs to none is never cut off.
type Network struct {
	sent    atomic.Uint64
	packets atomic.Uint64
	dropped atomic.Uint64
	largest atomic.Int64 // bytes of a datagram that passes; 0: any

	mu     sync.RWMutex
	names  map[string]string      // by address
	groups map[string]int         // by name; nil: all reach all
	cut    map[[2]string]struct{} // from, to
}

// NewNetwork returns a network on which all reach all.
func NewNetwork() *Network {
	return &Network{names: make(map[string]string), cut: make(map[[2]string]struct{})}
}

// Listen binds addr for a node; a port 0 takes a free one.
func (n *Network) Listen(name, addr string) (*Conn, error) {
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for node %s: %w", name, err)
	}
	udp, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("listen for node %s: %w", name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[udp.LocalAddr().String()] = name
	return &Conn{network: n, name: name, udp: udp}, nil
}

// Split cuts the nodes of different groups off from each other, both ways. A node
// that stands in no group reaches all.
func (n *Network) Split(groups [][]string) {
	of := make(map[string]int)
	for i, group := range groups {
		for _, name := range group {
			of[name] = i
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups = of
}

// Cut drops what one node sends to another, one way.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{from, to}] = struct{}{}
}

// Choke drops datagrams of more than so many bytes: streams stand still, a probe is
// smaller.
func (n *Network) Choke(bytes int) { n.largest.Store(int64(bytes)) }

// Heal takes every split, cut and choke back.
func (n *Network) Heal() {
	n.largest.Store(0)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups = nil
	clear(n.cut)
}

// Sent is the UDP payload sent so far by all sockets, in bytes, without what was
// dropped.
func (n *Network) Sent() uint64 { return n.sent.Load() }

// Packets is the number of datagrams that Sent counts.
func (n *Network) Packets() uint64 { return n.packets.Load() }

// Dropped is the number of datagrams that a split, a cut or a crash swallowed: a
// test of a fault asks it whether the fault struck.
func (n *Network) Dropped() uint64 { return n.dropped.Load() }

func (n *Network) reaches(from, addr string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.groups == nil && len(n.cut) == 0 {
		return true
	}
	to, known := n.names[addr]
	if !known {
		return true
	}
	if _, cut := n.cut[[2]string{from, to}]; cut {
		return false
	}
	mine, split := n.groups[from]
	theirs, splitToo := n.groups[to]
	return !split || !splitToo || mine == theirs
}

// Conn is one node's socket. It hides the UDP socket's own methods, so that every
// datagram passes through ReadFrom and WriteTo.
type Conn struct {
	network *Network
	name    string
	udp     *net.UDPConn
	silent  atomic.Bool
}

var _ net.PacketConn = (*Conn)(nil)

// Silence drops all that is sent or received from now on: to the others the node
// has crashed.
func (c *Conn) Silence() { c.silent.Store(true) }

// WriteTo sends a datagram, or swallows it.
func (c *Conn) WriteTo(b []byte, to net.Addr) (int, error) {
	largest := c.network.largest.Load()
	if c.silent.Load() || largest > 0 && int64(len(b)) > largest || !c.network.reaches(c.name, to.String()) {
		c.network.dropped.Add(1)
		return len(b), nil
	}
	n, err := c.udp.WriteTo(b, to)
	if err == nil {
		c.network.sent.Add(uint64(n))
		c.network.packets.Add(1)
	}
	return n, err
}

// ReadFrom receives a datagram.
func (c *Conn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.udp.ReadFrom(b)
		if err == nil && c.silent.Load() {
			c.network.dropped.Add(1)
			continue
		}
		return n, from, err
	}
}

func (c *Conn) LocalAddr() net.Addr                { return c.udp.LocalAddr() }
func (c *Conn) Close() error                       { return c.udp.Close() }
func (c *Conn) SetDeadline(t time.Time) error      { return c.udp.SetDeadline(t) }
func (c *Conn) SetReadDeadline(t time.Time) error  { return c.udp.SetReadDeadline(t) }
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.udp.SetWriteDeadline(t) }

// SetReadBuffer, SetWriteBuffer and SyscallConn let QUIC size the socket's buffers
// as it does for a bare one.
func (c *Conn) SetReadBuffer(bytes int) error         { return c.udp.SetReadBuffer(bytes) }
func (c *Conn) SetWriteBuffer(bytes int) error        { return c.udp.SetWriteBuffer(bytes) }
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.udp.SyscallConn() }
