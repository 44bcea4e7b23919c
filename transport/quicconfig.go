package transport

import (
	"time"

	"github.com/quic-go/quic-go"
)

const (
	// tlsTimeout bounds a TLS handshake; the proof has auth.HandshakeTimeout.
	tlsTimeout = 3 * time.Second

	// idleTimeout ends a connection that carries nothing. Nothing keeps it alive:
	// the membership's probes do, as long as there is a reason to.
	idleTimeout = 5 * time.Minute

	// clientIdleTimeout does so for clients. One that was killed sends no farewell
	// over UDP and holds its place until then; one that was only idle dials again
	// with its next call.
	clientIdleTimeout = time.Minute

	// packetSize is what every path that can carry QUIC takes (RFC 9000, section
	// 14): it leaves room for tunnels on a path of 1,280 bytes, IPv6's least.
	// quic-go raises it by probing where the path takes more.
	packetSize = 1200

	// MaxDatagram is the largest datagram, in bytes; with QUIC's own 45 at most
	// it fits into packetSize.
	MaxDatagram = 1100

	// Until the proof a stranger can make us hold what the first window allows,
	// so it is small; it doubles with each round trip that uses it up.
	firstWindow = 64 << 10
)

func quicConfig(maxStreams int64, window uint64, datagrams bool) *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           tlsTimeout,
		MaxIdleTimeout:                 idleTimeout,
		InitialPacketSize:              packetSize,
		EnableDatagrams:                datagrams,
		MaxIncomingStreams:             maxStreams,
		MaxIncomingUniStreams:          -1,
		InitialStreamReceiveWindow:     firstWindow,
		InitialConnectionReceiveWindow: firstWindow,
		MaxStreamReceiveWindow:         window,
		MaxConnectionReceiveWindow:     window + window/2,
	}
}
