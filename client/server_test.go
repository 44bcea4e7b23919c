package client

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth"
)

// server serves a fake node over QUIC, TLS or both, on one port.
type server struct {
	t       testing.TB
	addr    string
	node    *fakeNode
	handler Handler // default: the node
	auth    *auth.Authenticator
	limits  Limits

	ctx      context.Context
	cancel   context.CancelFunc
	tcp      net.Listener
	udp      net.PacketConn
	quic     *quic.Transport
	group    sync.WaitGroup
	mu       sync.Mutex
	over     map[string]int // connections made
	tcpConns []net.Conn
	stopped  bool
}

const (
	onQUIC = 1 << iota
	onTLS
	onBoth = onQUIC | onTLS
)

// start serves a new node with the store on a free port.
func start(t testing.TB, store *fakeStore, transports int, change ...func(*server)) *server {
	s := &server{t: t, addr: "127.0.0.1:0", node: &fakeNode{fakeStore: store, ended: make(chan error, 1000)}, over: map[string]int{}}
	for _, f := range change {
		f(s)
	}
	if s.auth == nil {
		s.auth = newAuth(t, auth.Config{Cluster: "test"})
	}
	if s.handler == nil {
		s.handler = quickNode{s.node}
	}
	s.listen(transports)
	s.node.name = s.addr
	t.Cleanup(s.stop)
	return s
}

func newAuth(t testing.TB, config auth.Config) *auth.Authenticator {
	a, err := auth.New(config)
	require.NoError(t, err)
	return a
}

// listen serves at s.addr, which is made one that is free for both transports.
func (s *server) listen(transports int) {
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.stopped = false
	var err error
	for range 20 {
		if s.tcp, err = net.Listen("tcp", s.addr); err != nil {
			continue
		}
		if s.udp, err = net.ListenPacket("udp", s.tcp.Addr().String()); err == nil {
			break
		}
		require.NoError(s.t, s.tcp.Close())
	}
	require.NoError(s.t, err)
	s.addr = s.tcp.Addr().String()
	if transports&onTLS == 0 {
		require.NoError(s.t, s.tcp.Close())
	} else {
		s.group.Go(s.acceptTLS)
	}
	if transports&onQUIC == 0 {
		require.NoError(s.t, s.udp.Close())
		return
	}
	s.quic = &quic.Transport{Conn: s.udp}
	l, err := s.quic.Listen(s.auth.ServerTLS(auth.ALPNClient), &quic.Config{})
	require.NoError(s.t, err)
	s.group.Go(func() { s.acceptQUIC(l) })
}

// stop ends the node as a crash would: connections go without a word.
func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.stopped = true
	s.mu.Unlock()
	s.stopTLS()
	s.stopQUIC()
	s.cancel()
	s.group.Wait()
	s.mu.Lock()
}

func (s *server) stopTLS() {
	s.tcp.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.tcpConns {
		c.Close()
	}
	s.tcpConns = nil
}

func (s *server) stopQUIC() {
	if s.quic != nil {
		s.quic.Close()
	}
	s.udp.Close()
}

func (s *server) acceptTLS() {
	for {
		raw, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.tcpConns = append(s.tcpConns, raw)
		s.mu.Unlock()
		s.group.Go(func() {
			defer raw.Close()
			c := tls.Server(raw, s.auth.ServerTLS(auth.ALPNClient))
			if c.HandshakeContext(s.ctx) == nil {
				s.serve(schemeTLS, c, c, c.ConnectionState())
			}
		})
	}
}

func (s *server) acceptQUIC(l *quic.Listener) {
	for {
		c, err := l.Accept(s.ctx)
		if err != nil {
			return
		}
		s.group.Go(func() {
			stream, err := c.AcceptStream(s.ctx)
			if err == nil {
				s.serve(schemeQUIC, stream, quicEnd{stream}, c.ConnectionState().TLS)
			}
			c.CloseWithError(0, "")
		})
	}
}

// quicEnd tells the end of both directions apart, as nodes' streams do.
type quicEnd struct{ *quic.Stream }

func (q quicEnd) CloseWrite() error { return q.Stream.Close() }
func (q quicEnd) Close() error      { q.CancelRead(0); return q.Stream.Close() }

func (s *server) serve(over string, stream auth.Stream, rw io.ReadWriteCloser, state tls.ConnectionState) {
	if _, _, err := s.auth.Accept(s.ctx, stream, state, []auth.Role{auth.RoleAdmin}, auth.Hello{Proto: 1}); err != nil {
		return
	}
	s.mu.Lock()
	s.over[over]++
	s.mu.Unlock()
	_ = ServeStream(s.ctx, rw, s.handler, s.limits)
}

func (s *server) connections(over string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over[over]
}

// dial makes a client, which the test's end closes.
func dial(t testing.TB, change func(*Config), addrs ...string) *Client {
	config := Config{Addrs: addrs}
	if change != nil {
		change(&config)
	}
	c, err := New(config)
	require.NoError(t, err)
	c.backend.(*pool).head = time.Minute // on a busy machine a live node may be slow
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// once makes a client give up after one pass.
func once(c *Config) { c.Attempts = 1 }

// unused returns addresses where nobody listens.
func unused(t *testing.T, n int) []string {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out
}

// eventually waits for something that no channel tells of.
func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 20*time.Second, 5*time.Millisecond)
}
