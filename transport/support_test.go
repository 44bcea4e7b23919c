package transport

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/internal/auth/authtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Kinds of stream that recorder serves.
const (
	kindEcho  = 7 // what comes goes back, to the end
	kindHold  = 8 // one byte back, then held open until the other end closes
	kindSpeak = 9 // the served end speaks first
)

// recorder is a Handler that remembers what it was given.
type recorder struct {
	datagrams chan string
	gone      chan Peer

	mu   sync.Mutex
	from []Peer // of streams
}

func newRecorder() *recorder {
	return &recorder{datagrams: make(chan string, 4096), gone: make(chan Peer, 64)}
}

func (r *recorder) HandleDatagram(_ Peer, b []byte) {
	select {
	case r.datagrams <- string(b):
	default:
	}
}

func (r *recorder) HandleStream(_ context.Context, from Peer, kind byte, s Stream) {
	r.mu.Lock()
	r.from = append(r.from, from)
	r.mu.Unlock()
	switch kind {
	case kindEcho:
		io.Copy(s, s)
		s.CloseWrite()
	case kindHold:
		io.CopyN(s, s, 1)
		io.Copy(io.Discard, s)
	case kindSpeak:
		io.WriteString(s, "hello")
		s.CloseWrite()
		io.Copy(io.Discard, s)
	}
}

func (r *recorder) PeerGone(p Peer) {
	select {
	case r.gone <- p:
	default:
	}
}

// counter counts refusals by reason.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func newCounter() *counter { return &counter{n: make(map[string]int)} }

func (c *counter) add(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[reason]++
}

func (c *counter) of(reason auth.Reason) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[reason.String()]
}

func (c *counter) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, v := range c.n {
		n += v
	}
	return n
}

// node is a transport with what it was given.
type node struct {
	*Transport
	*recorder
	refused *counter
	addr    string
}

func authOf(t testing.TB, cfg auth.Config) *auth.Authenticator {
	t.Helper()
	if cfg.Cluster == "" {
		cfg.Cluster = "c"
	}
	a, err := auth.New(cfg)
	require.NoError(t, err)
	return a
}

// startOn listens on a socket; change may alter the configuration.
func startOn(t testing.TB, pc net.PacketConn, a *auth.Authenticator, change ...func(*Config)) *node {
	t.Helper()
	n := &node{recorder: newRecorder(), refused: newCounter(), addr: pc.LocalAddr().String()}
	cfg := Config{Conn: pc, Auth: a, Self: auth.Hello{Name: "at " + n.addr}, Handler: n.recorder, Refused: n.refused.add}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	n.Transport, err = Listen(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { n.Close() })
	return n
}

// start listens on a real socket.
func start(t testing.TB, a *auth.Authenticator, change ...func(*Config)) *node {
	t.Helper()
	return startOn(t, udpSocketOf(t), a, change...)
}

func udpSocketOf(t testing.TB) *net.UDPConn {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	return pc
}

// within is the longest that anything in a test may take; no test waits for it.
const within = 20 * time.Second

func patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel)
	return ctx
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// eventually polls a condition that no channel tells.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); {
		if time.Now().After(end) {
			require.FailNow(t, "never so: "+what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// echo sends text over a new stream and wants it back.
func (n *node) echo(t testing.TB, addr string, class Class, text string) Peer {
	t.Helper()
	s, p, err := n.OpenStream(patience(t), addr, class, kindEcho)
	require.NoError(t, err)
	wantEcho(t, s, text)
	return p
}

func wantEcho(t testing.TB, s Stream, text string) {
	t.Helper()
	require.NoError(t, s.SetDeadline(time.Now().Add(within)))
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(s, text)
		if err == nil {
			err = s.CloseWrite()
		}
		written <- err
	}()
	back, err := io.ReadAll(s)
	require.NoError(t, err)
	require.NoError(t, <-written)
	require.Equal(t, len(text), len(back))
	require.True(t, text == string(back))
	require.NoError(t, s.Close())
}

// conns are the connections with an instance.
func (n *node) conns(instance uint64) []*conn {
	n.Transport.mu.Lock()
	defer n.Transport.mu.Unlock()
	if p := n.peers[instance]; p != nil {
		return slices.Clone(p.conns)
	}
	return nil
}

func (n *node) instance() uint64 { return n.cfg.Self.Instance }

func mutualTLS(ca *authtest.CA, f authtest.Files) auth.Config {
	return auth.Config{CAFile: ca.File, CertFile: f.Cert, KeyFile: f.Key}
}

// world is a simulated network, to be used within a synctest bubble.
type world struct {
	t       testing.TB
	net     *simnet.Simnet
	router  *cutRouter
	sockets []net.PacketConn
	started bool
}

// cutRouter drops what a test wants dropped.
type cutRouter struct {
	simnet.PerfectRouter
	mu   sync.Mutex
	drop func(p simnet.Packet) bool
}

func (r *cutRouter) SendPacket(p simnet.Packet) error {
	r.mu.Lock()
	drop := r.drop
	r.mu.Unlock()
	if drop != nil && drop(p) {
		return nil
	}
	return r.PerfectRouter.SendPacket(p)
}

func (w *world) drop(f func(p simnet.Packet) bool) {
	w.router.mu.Lock()
	defer w.router.mu.Unlock()
	w.router.drop = f
}

func newWorld(t testing.TB) *world {
	r := &cutRouter{}
	return &world{t: t, router: r, net: &simnet.Simnet{Router: r}}
}

// at makes a socket; all must be made before go.
func (w *world) at(ip string, link simnet.NodeBiDiLinkSettings) net.PacketConn {
	require.False(w.t, w.started)
	c := w.net.NewEndpoint(&net.UDPAddr{IP: net.ParseIP(ip), Port: 7946}, link)
	w.sockets = append(w.sockets, c)
	return c
}

func (w *world) run() {
	w.started = true
	require.NoError(w.t, w.net.Start())
	w.t.Cleanup(func() {
		for _, c := range w.sockets { // a link waits for a socket that nobody reads
			c.Close()
		}
		require.NoError(w.t, w.net.Close())
	})
}

// dead drops what goes to or comes from a host.
func (w *world) dead(host string) {
	w.drop(func(p simnet.Packet) bool { return hostOf(p.From) == host || hostOf(p.To) == host })
}

// lan is a link of a millisecond.
var lan = simnet.NodeBiDiLinkSettings{Latency: time.Millisecond}

func hostOf(addr net.Addr) string {
	host, _, _ := strings.Cut(addr.String(), ":")
	return host
}
