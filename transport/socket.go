package transport

import (
	"net"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
)

// traffic counts UDP payload where it meets the socket: what a wire would carry,
// retransmissions, acknowledgements and handshakes included.
type traffic struct {
	in, out atomic.Uint64
}

// counted wraps a socket so that its traffic is counted. A *net.UDPConn keeps
// all that quic-go does with one: reading in batches, GSO, ECN and the
// don't-fragment bit need the methods of udpSocket and its file descriptor.
func counted(pc net.PacketConn, t *traffic) net.PacketConn {
	if udp, ok := pc.(*net.UDPConn); ok {
		return &udpSocket{UDPConn: udp, batch: ipv4.NewPacketConn(udp), traffic: t}
	}
	return &plainSocket{PacketConn: pc, traffic: t}
}

// quic-go looks for these two; without them it reads and writes packet by packet.
var _ interface {
	quic.OOBCapablePacketConn
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
} = (*udpSocket)(nil)

type udpSocket struct {
	*net.UDPConn
	batch   *ipv4.PacketConn // serves IPv6 sockets too: the messages are the same
	traffic *traffic
}

// ReadBatch is what quic-go reads with where the system can.
func (s *udpSocket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	n, err := s.batch.ReadBatch(ms, flags)
	for i := range max(n, 0) {
		s.traffic.in.Add(uint64(ms[i].N))
	}
	return n, err
}

func (s *udpSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := s.UDPConn.ReadFrom(b)
	s.traffic.in.Add(uint64(max(n, 0)))
	return n, addr, err
}

// WriteMsgUDP is what quic-go writes with; b may be many datagrams of one size,
// which the kernel takes apart.
func (s *udpSocket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	n, oobn, err = s.UDPConn.WriteMsgUDP(b, oob, addr)
	s.traffic.out.Add(uint64(max(n, 0)))
	return n, oobn, err
}

func (s *udpSocket) WriteTo(b []byte, addr net.Addr) (int, error) {
	n, err := s.UDPConn.WriteTo(b, addr)
	s.traffic.out.Add(uint64(max(n, 0)))
	return n, err
}

// plainSocket is any other net.PacketConn: a simulated network, a socket that
// drops packets on demand.
type plainSocket struct {
	net.PacketConn
	traffic *traffic
}

func (s *plainSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := s.PacketConn.ReadFrom(b)
	s.traffic.in.Add(uint64(max(n, 0)))
	return n, addr, err
}

func (s *plainSocket) WriteTo(b []byte, addr net.Addr) (int, error) {
	n, err := s.PacketConn.WriteTo(b, addr)
	s.traffic.out.Add(uint64(max(n, 0)))
	return n, err
}

// SetReadBuffer and SetWriteBuffer exist because quic-go complains about a
// connection without them.
func (s *plainSocket) SetReadBuffer(n int) error {
	if c, ok := s.PacketConn.(interface{ SetReadBuffer(int) error }); ok {
		return c.SetReadBuffer(n)
	}
	return nil
}

func (s *plainSocket) SetWriteBuffer(n int) error {
	if c, ok := s.PacketConn.(interface{ SetWriteBuffer(int) error }); ok {
		return c.SetWriteBuffer(n)
	}
	return nil
}
