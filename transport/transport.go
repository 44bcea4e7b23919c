package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"

	"github.com/tochemey/gokv/internal/auth"
)

// Peer is another node, as its last handshake described it.
type Peer struct {
	Instance uint64
	Name     string
	Addr     string // the address that it advertises
	Proto    uint8  // the version of the peers' protocol that it speaks
}

// Class tells connections to one peer apart. Each has a congestion window of
// its own, so that bulk never delays a probe.
type Class uint8

const (
	// Main carries datagrams and streams, and stays.
	Main Class = iota
	// Bulk carries streams, and is closed when none was open for a while.
	Bulk
	classEnd
)

func (c Class) String() string {
	switch c {
	case Main:
		return "main"
	case Bulk:
		return "bulk"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Handler takes what peers send. Its methods are called from many goroutines.
type Handler interface {
	// HandleDatagram owns b. It must not block: the connection's next datagram
	// waits for it.
	HandleDatagram(from Peer, b []byte)
	// HandleStream owns the stream until it returns; it is closed then. The
	// context ends with the connection.
	HandleStream(ctx context.Context, from Peer, kind byte, s Stream)
	// PeerGone says that the last main connection with an instance has ended. A
	// hint, no verdict: it may be idle, or back at the next datagram. Close calls it
	// too.
	PeerGone(p Peer)
}

// Config says how to reach peers. Zero values are the defaults.
type Config struct {
	// Conn is the socket for listening and dialling; the transport owns and
	// closes it, unless Listen fails. Required.
	Conn net.PacketConn
	// Auth proves and verifies. Required.
	Auth *auth.Authenticator
	// Self is told to peers. An empty Addr is Conn's own, an empty Cluster and a
	// zero Instance are those of Auth.
	Self auth.Hello
	// Handler takes what peers send. Required.
	Handler Handler
	// Logger defaults to none.
	Logger *slog.Logger
	// Refused counts refused handshakes; the reason is one of auth.Reasons.
	Refused func(reason string)

	// MaxPeers is how many instances may be connected at a time; default 1,024.
	MaxPeers int
	// MaxHandshakes is how many incoming handshakes may be in progress; default 128.
	MaxHandshakes int
	// MaxStreams is how many streams a peer may have open on one connection;
	// default 256.
	MaxStreams int
	// RetryAbove is how many handshakes a second may begin from addresses that
	// are not verified; those above it are asked to come again. Default 64.
	RetryAbove int
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Conn == nil:
		return c, errors.New("transport: no socket")
	case c.Auth == nil:
		return c, errors.New("transport: no authenticator")
	case c.Handler == nil:
		return c, errors.New("transport: no handler")
	}
	for _, f := range []struct {
		name  string
		value *int
		usual int
	}{
		{"MaxPeers", &c.MaxPeers, 1024},
		{"MaxHandshakes", &c.MaxHandshakes, 128},
		{"MaxStreams", &c.MaxStreams, 256},
		{"RetryAbove", &c.RetryAbove, 64},
	} {
		if err := positive(f.name, f.value, f.usual); err != nil {
			return c, err
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Self.Instance == 0 {
		c.Self.Instance = c.Auth.Instance()
	}
	if c.Self.Cluster == "" {
		c.Self.Cluster = c.Auth.Cluster()
	}
	if c.Self.Addr == "" {
		c.Self.Addr = c.Conn.LocalAddr().String()
	}
	if err := c.Self.Validate(); err != nil {
		return c, fmt.Errorf("transport: %w", err)
	}
	return c, nil
}

func positive(name string, value *int, usual int) error {
	switch {
	case *value < 0:
		return fmt.Errorf("transport: %s: %d is negative", name, *value)
	case *value == 0:
		*value = usual
	}
	return nil
}

// peerWindow is how much a peer may send on one stream before it is read.
const peerWindow = 4 << 20

// Transport connects a node with its peers over one socket. It is safe for
// concurrent use.
type Transport struct {
	cfg      Config
	log      *slog.Logger
	refusals *refusals
	gate     *gate
	traffic  traffic
	quic     *quic.Transport
	listener *quic.Listener
	config   *quic.Config
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup // every goroutine but those of quic-go
	dialing  dialSlots
	stats    statsCounters

	mu     sync.Mutex
	closed bool
	links  map[string]*link          // by the address that is dialled
	peers  map[uint64]*connectedPeer // by instance
}

type statsCounters struct {
	dials, dialFailures                atomic.Uint64
	datagramsOut, datagramsIn, dropped atomic.Uint64
}

// Stats are totals since Listen, but for Peers and Connections.
type Stats struct {
	// BytesIn and BytesOut are UDP payload, counted at the socket.
	BytesIn, BytesOut uint64
	Peers             int
	Connections       int
	Dials             uint64
	DialFailures      uint64
	DatagramsSent     uint64
	DatagramsReceived uint64
	// DatagramsDropped were too large, the oldest of a full queue, or for an
	// address that did not answer.
	DatagramsDropped uint64
}

// Listen starts a transport on cfg.Conn.
func Listen(cfg Config) (*Transport, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	quietBuffers()
	r := newRefusals(cfg.Logger, cfg.Refused)
	t := &Transport{
		cfg:      cfg,
		log:      cfg.Logger,
		refusals: r,
		gate:     newGate(cfg.MaxHandshakes, cfg.RetryAbove, r),
		config:   quicConfig(int64(cfg.MaxStreams), peerWindow, true),
		dialing:  newDialSlots(),
		links:    make(map[string]*link),
		peers:    make(map[uint64]*connectedPeer),
	}
	key := quic.StatelessResetKey(cfg.Auth.StatelessResetKey(cfg.Self.Addr))
	t.quic = &quic.Transport{
		Conn:                counted(cfg.Conn, &t.traffic),
		ConnectionIDLength:  8,
		StatelessResetKey:   &key,
		VerifySourceAddress: t.gate.askRetry,
		ConnContext:         t.gate.connContext,
	}
	t.listener, err = t.quic.Listen(cfg.Auth.ServerTLS(auth.ALPNPeer), t.config)
	if err != nil {
		return nil, fmt.Errorf("listen for peers on %s: %w", cfg.Conn.LocalAddr(), err)
	}
	reportBuffer(t.log, cfg.Conn)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.wg.Go(t.acceptPeers)
	return t, nil
}

// Addr is the socket's local address.
func (t *Transport) Addr() net.Addr { return t.cfg.Conn.LocalAddr() }

// Self is what peers are told.
func (t *Transport) Self() auth.Hello { return t.cfg.Self }

// Stats counts.
func (t *Transport) Stats() Stats {
	s := Stats{
		BytesIn:           t.traffic.in.Load(),
		BytesOut:          t.traffic.out.Load(),
		Dials:             t.stats.dials.Load(),
		DialFailures:      t.stats.dialFailures.Load(),
		DatagramsSent:     t.stats.datagramsOut.Load(),
		DatagramsReceived: t.stats.datagramsIn.Load(),
		DatagramsDropped:  t.stats.dropped.Load(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Peers = len(t.peers)
	for _, p := range t.peers {
		s.Connections += len(p.conns)
	}
	return s
}

// acceptPeers takes connections whose TLS is up.
func (t *Transport) acceptPeers() {
	for {
		q, err := t.listener.Accept(t.ctx)
		if err != nil {
			return
		}
		t.wg.Go(func() { t.acceptPeer(q) })
	}
}

// acceptPeer runs the listener's side of one connection's handshake.
func (t *Transport) acceptPeer(q *quic.Conn) {
	k := knockOf(q)
	defer k.release()
	if !k.take() {
		return // it ended before we came to it
	}
	hello, err := t.proveIncoming(q)
	if err != nil {
		t.gate.failed(k.remote, err)
		auth.CloseQUIC(q, listenerError(err))
		return
	}
	k.release()
	c := newConn(t, q, hello, false)
	if err := t.register(c, ""); err != nil {
		t.gate.failed(k.remote, err)
		auth.CloseQUIC(q, err)
	}
}

func (t *Transport) proveIncoming(q *quic.Conn) (auth.Hello, error) {
	ctx, cancel := context.WithTimeout(t.ctx, auth.HandshakeTimeout)
	defer cancel()
	s, err := q.AcceptStream(ctx)
	if err != nil {
		return auth.Hello{}, err
	}
	hello, _, err := t.cfg.Auth.AcceptIf(ctx, s, q.ConnectionState().TLS, []auth.Role{auth.RolePeer}, t.cfg.Self, t.admit)
	if err != nil {
		return auth.Hello{}, err
	}
	if err := s.Close(); err != nil {
		return auth.Hello{}, err
	}
	return hello, nil
}

// admit is asked about a peer that has proven itself.
func (t *Transport) admit(h auth.Hello, _ auth.Role) auth.Reason {
	if h.Class >= uint8(classEnd) {
		return auth.VersionMismatch
	}
	if h.Addr != "" {
		if _, _, err := net.SplitHostPort(h.Addr); err != nil {
			return auth.Malformed
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.peers[h.Instance]; !known && len(t.peers) >= t.cfg.MaxPeers {
		return auth.Limit
	}
	return auth.ReasonNone
}

// Disconnect ends all connections with an instance that is no longer wanted. It
// may come again.
func (t *Transport) Disconnect(instance uint64) {
	t.mu.Lock()
	var conns []*conn
	if p := t.peers[instance]; p != nil {
		conns = append(conns, p.conns...)
	}
	t.mu.Unlock()
	for _, c := range conns {
		c.close(auth.CloseDropped, "disconnected")
	}
}

// Close ends all connections, waits for the handlers to return, and closes the
// socket. It must not be called by a handler.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		t.wg.Wait()
		return nil
	}
	t.closed = true
	var conns []*conn
	for _, p := range t.peers {
		conns = append(conns, p.conns...)
	}
	t.mu.Unlock()

	t.gate.closed.Store(true)
	t.cancel()
	for _, c := range conns {
		c.close(auth.CloseShutdown, "shutting down")
	}
	err := t.quic.Close() // with the listener and whatever still shakes hands
	t.wg.Wait()
	return errors.Join(err, t.cfg.Conn.Close())
}
