package transport

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/internal/auth/authtest"
)

var overBoth = []string{OverQUIC, OverTLS}

// clientsOf is a listener that echoes, and remembers whom it served.
type clientsOf struct {
	*ClientListener
	udp, tcp string
	refused  *counter
	sessions chan ClientSession
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

func serveClients(t testing.TB, a *auth.Authenticator, change ...func(*ClientConfig)) *clientsOf {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	udp := udpSocketOf(t)
	c := &clientsOf{
		udp: udp.LocalAddr().String(), tcp: tcp.Addr().String(),
		refused: newCounter(), sessions: make(chan ClientSession, 1024), log: &lockedBuffer{},
	}
	cfg := ClientConfig{
		UDP: udp, TCP: tcp, Auth: a, Refused: c.refused.add, Self: auth.Hello{Name: "node"},
		Logger: slog.New(slog.NewTextHandler(c.log, nil)),
		Handler: func(_ context.Context, s ClientSession, rw io.ReadWriteCloser) {
			c.sessions <- s
			io.Copy(rw, rw)
			rw.(Stream).CloseWrite()
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	c.ClientListener, err = ListenClients(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// clientConn is a client's connection, as a client makes one.
type clientConn struct {
	io.ReadWriter
	hello  auth.Hello
	finish func() error // no more will be written
	close  func()
	quic   *quic.Conn
}

func (c *clientsOf) dial(t testing.TB, over string, a *auth.Authenticator) (*clientConn, error) {
	t.Helper()
	ctx := patience(t)
	if over == OverTLS {
		raw, err := net.Dial("tcp", c.tcp)
		require.NoError(t, err)
		conn := tls.Client(raw, a.ClientTLS(auth.ALPNClient))
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, auth.Classify(err)
		}
		hello, err := a.Connect(ctx, conn, conn.ConnectionState(), auth.RoleAdmin, auth.Hello{Name: "client"})
		if err != nil {
			raw.Close()
			return nil, err
		}
		t.Cleanup(func() { raw.Close() })
		return &clientConn{ReadWriter: conn, hello: hello, finish: conn.CloseWrite, close: func() { raw.Close() }}, nil
	}
	pc := udpSocketOf(t)
	tr := &quic.Transport{Conn: counted(pc, &traffic{})}
	done := func() { tr.Close(); pc.Close() }
	to, err := net.ResolveUDPAddr("udp", c.udp)
	require.NoError(t, err)
	q, err := tr.Dial(ctx, to, a.ClientTLS(auth.ALPNClient), &quic.Config{InitialPacketSize: 1200})
	if err != nil {
		done()
		return nil, auth.Classify(err)
	}
	s, err := q.OpenStreamSync(ctx)
	if err != nil {
		done()
		return nil, auth.Classify(err)
	}
	hello, err := a.Connect(ctx, s, q.ConnectionState().TLS, auth.RoleAdmin, auth.Hello{Name: "client"})
	if err != nil {
		// As a client that knows nothing of close codes.
		q.CloseWithError(auth.CloseNormal, "")
		done()
		return nil, err
	}
	closeAll := func() { q.CloseWithError(auth.CloseNormal, ""); done() }
	t.Cleanup(closeAll)
	return &clientConn{ReadWriter: s, hello: hello, finish: s.Close, close: closeAll, quic: q}, nil
}

func (c *clientConn) wantEcho(t testing.TB, text string) {
	t.Helper()
	go func() {
		io.WriteString(c, text)
		c.finish()
	}()
	back, err := io.ReadAll(c)
	require.NoError(t, err)
	require.True(t, text == string(back), "%d bytes came back of %d", len(back), len(text))
}

func TestClientsAreServedOverBothTransports(t *testing.T) {
	secret := auth.NewSecret()
	ca := authtest.NewCA(t)
	for name, cfgs := range map[string][2]auth.Config{
		"no proof":     {{Cluster: "c"}, {}},
		"secret":       {{Cluster: "c", Secrets: []string{secret}}, {Secrets: []string{secret}}},
		"admin secret": {{Cluster: "c", Secrets: []string{auth.NewSecret(), "admin " + secret}}, {Secrets: []string{secret}}},
		"mutual TLS": {
			mutualTLS(ca, ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:peer"}})),
			mutualTLS(ca, ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:admin"}})),
		},
	} {
		for _, over := range overBoth {
			t.Run(name+" over "+over, func(t *testing.T) {
				l := serveClients(t, authOf(t, cfgs[0]))
				client, err := auth.New(cfgs[1])
				require.NoError(t, err)
				c, err := l.dial(t, over, client)
				require.NoError(t, err)
				require.Equal(t, "c", c.hello.Cluster)
				require.Equal(t, "node", c.hello.Name)
				s := receive(t, l.sessions)
				require.Equal(t, auth.RoleAdmin, s.Role)
				require.Equal(t, over, s.Transport)
				require.Equal(t, "client", s.Name)
				require.NotEmpty(t, s.Remote)
				require.Equal(t, 1, l.Connections(over))
				c.wantEcho(t, strings.Repeat("x", 3<<20))
				c.close()
				eventually(t, "the connection is off the books", func() bool { return l.Connections(over) == 0 })
				require.Zero(t, l.refused.total())
			})
		}
	}
}

func TestFurtherStreamsOfAProvenClientAreServedToo(t *testing.T) {
	l := serveClients(t, authOf(t, auth.Config{}))
	c, err := l.dial(t, OverQUIC, authOf(t, auth.Config{}))
	require.NoError(t, err)
	c.wantEcho(t, "first")
	for range 100 {
		s, err := c.quic.OpenStreamSync(patience(t))
		require.NoError(t, err)
		(&clientConn{ReadWriter: s, finish: s.Close}).wantEcho(t, "another")
	}
	require.Len(t, l.sessions, 101)
	require.Equal(t, 1, l.Connections(OverQUIC))
}

// TestClientsAreRefusedWithAReasonOverBothTransports is the list of
// docs/security.md, for clients.
func TestClientsAreRefusedWithAReasonOverBothTransports(t *testing.T) {
	one, two := auth.NewSecret(), auth.NewSecret()
	ca, other := authtest.NewCA(t), authtest.NewCA(t)
	node := mutualTLS(ca, ca.Issue(t, authtest.Leaf{}))
	stranger := mutualTLS(other, other.Issue(t, authtest.Leaf{}))
	trusting := stranger
	trusting.CAFile = ca.File
	for _, c := range []struct {
		name             string
		listener, client auth.Config
		want             auth.Reason
		says             string
	}{
		{"wrong secret", auth.Config{Secrets: []string{one}}, auth.Config{Secrets: []string{two}}, auth.WrongSecret, "refused: wrong secret"},
		{"no secret", auth.Config{Secrets: []string{one}}, auth.Config{}, auth.WrongSecret, "it demands a cluster secret, and we have none"},
		{"a node without a secret", auth.Config{}, auth.Config{Secrets: []string{one}}, auth.WrongSecret, "it proves no secret"},
		{"a peer's secret", auth.Config{Secrets: []string{"peer " + one}}, auth.Config{Secrets: []string{one}}, auth.WrongRole, "refused by the other end: wrong role"},
		{"wrong cluster", auth.Config{Secrets: []string{one}}, auth.Config{Cluster: "d", Secrets: []string{one}}, auth.WrongCluster, `not of our cluster "d"`},
		{"a node of another CA", node, stranger, auth.BadCertificate, "refused: bad certificate"},
		{"a client of another CA", node, trusting, auth.BadCertificate, "refused by the other end: bad certificate"},
		{"no certificate", node, auth.Config{}, auth.BadCertificate, "bad certificate: it demands a certificate of its CA"},
		{"a peer's certificate", node, mutualTLS(ca, ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:peer"}})), auth.WrongRole, "wrong role"},
		{"a client posing as a node", mutualTLS(ca, ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:admin"}})), mutualTLS(ca, ca.Issue(t, authtest.Leaf{})), auth.WrongRole, "is not a node's"},
	} {
		for _, over := range overBoth {
			t.Run(c.name+" over "+over, func(t *testing.T) {
				l := serveClients(t, authOf(t, c.listener))
				client, err := auth.New(c.client)
				require.NoError(t, err)
				_, err = l.dial(t, over, client)
				err = client.ClassifyDial(err)
				require.Equal(t, c.want, auth.ReasonOf(err), "%v", err)
				require.ErrorContains(t, err, c.says)
				eventually(t, "the listener counts it", func() bool { return l.refused.of(c.want) == 1 })
				require.Equal(t, 1, l.refused.total())
				eventually(t, "the listener logs it", func() bool { return l.log.count("reason="+c.want.String()) == 1 })
				require.Zero(t, l.Connections(over))
				require.Empty(t, l.sessions)
			})
		}
	}
}

func TestRefusalsAreLoggedOnceInAWhileAndCountedAlways(t *testing.T) {
	l := serveClients(t, authOf(t, auth.Config{Secrets: []string{auth.NewSecret()}}))
	for range 5 {
		_, err := l.dial(t, OverTLS, authOf(t, auth.Config{}))
		require.Error(t, err)
	}
	eventually(t, "all are counted", func() bool { return l.refused.of(auth.WrongSecret) == 5 })
	require.Equal(t, 1, l.log.count("handshake refused"))

	synctest.Test(t, func(t *testing.T) {
		log := &lockedBuffer{}
		r := newRefusals(slog.New(slog.NewTextHandler(log, nil)), nil)
		for range 100 {
			r.note(asListener, "1.2.3.4:5", &auth.RefusedError{Reason: auth.WrongSecret})
			r.note(asListener, "1.2.3.4:5", &auth.RefusedError{Reason: auth.BadProof})
			<-time.After(time.Second)
		}
		require.Equal(t, 10, log.count("reason=wrong_secret"))
		require.Equal(t, 10, log.count("reason=bad_proof"))
		require.Equal(t, 18, log.count("unlogged=9"))
	})
}

func TestGarbageSentToTheClientsPortsIsHarmless(t *testing.T) {
	l := serveClients(t, authOf(t, auth.Config{}))
	junk := make([]byte, 4096)
	rand.Read(junk)
	hello := []byte{0x16, 3, 1, 0xff, 0xff} // a TLS record of 65,535 bytes
	for _, say := range [][]byte{junk, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), hello, {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}} {
		c, err := net.Dial("tcp", l.tcp)
		require.NoError(t, err)
		_, err = c.Write(say)
		require.NoError(t, err)
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c) // the listener hangs up
		c.Close()
	}
	eventually(t, "garbage is counted", func() bool { return l.refused.of(auth.Malformed) >= 3 })
	udp := udpSocketOf(t)
	defer udp.Close()
	to, err := net.ResolveUDPAddr("udp", l.udp)
	require.NoError(t, err)
	for i := range 200 {
		rand.Read(junk)
		_, err := udp.WriteTo(junk[:1+i*6], to)
		require.NoError(t, err)
	}
	for _, over := range overBoth {
		c, err := l.dial(t, over, authOf(t, auth.Config{}))
		require.NoError(t, err)
		c.wantEcho(t, "after")
	}
}

// TestGarbageAfterTLSIsRefused speaks TLS and then something else, over both.
func TestGarbageAfterTLSIsRefused(t *testing.T) {
	stranger := authOf(t, auth.Config{})
	l := serveClients(t, authOf(t, auth.Config{Secrets: []string{auth.NewSecret()}}))
	junk := bytes.Repeat([]byte{0xee}, 2000)

	raw, err := net.Dial("tcp", l.tcp)
	require.NoError(t, err)
	defer raw.Close()
	c := tls.Client(raw, stranger.ClientTLS(auth.ALPNClient))
	_, err = c.Write(junk)
	require.NoError(t, err)
	io.Copy(io.Discard, c)
	eventually(t, "counted over TLS", func() bool { return l.refused.of(auth.Malformed) == 1 })

	pc := udpSocketOf(t)
	defer pc.Close()
	tr := &quic.Transport{Conn: counted(pc, &traffic{})}
	defer tr.Close()
	to, err := net.ResolveUDPAddr("udp", l.udp)
	require.NoError(t, err)
	q, err := tr.Dial(patience(t), to, stranger.ClientTLS(auth.ALPNClient), nil)
	require.NoError(t, err)
	s, err := q.OpenStream()
	require.NoError(t, err)
	_, err = s.Write(junk)
	require.NoError(t, err)
	<-q.Context().Done()
	require.Equal(t, auth.Malformed, auth.ReasonOf(auth.Classify(context.Cause(q.Context()))))
	eventually(t, "counted over QUIC", func() bool { return l.refused.of(auth.Malformed) == 2 })
}

func TestOtherProtocolsAreRefusedByName(t *testing.T) {
	l := serveClients(t, authOf(t, auth.Config{}))
	a := authOf(t, auth.Config{})
	for name, cfg := range map[string]*tls.Config{
		"another protocol": a.ClientTLS("h2"),
		"TLS 1.2":          {InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
	} {
		raw, err := net.Dial("tcp", l.tcp)
		require.NoError(t, err)
		err = tls.Client(raw, cfg).Handshake()
		require.Equal(t, auth.VersionMismatch, auth.ReasonOf(auth.Classify(err)), "%s: %v", name, err)
		raw.Close()
	}
	// One that names no protocol gets through TLS, and no further.
	raw, err := net.Dial("tcp", l.tcp)
	require.NoError(t, err)
	defer raw.Close()
	none := a.ClientTLS("")
	none.NextProtos = nil
	_, err = io.Copy(io.Discard, tls.Client(raw, none))
	require.NoError(t, ignoreReset(err))
	eventually(t, "all are counted", func() bool { return l.refused.of(auth.VersionMismatch) == 3 })
}

func ignoreReset(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || (err != nil && strings.Contains(err.Error(), "reset")) {
		return nil
	}
	return err
}

func TestAPortCheckIsNoRefusal(t *testing.T) {
	l := serveClients(t, authOf(t, auth.Config{}))
	for range 3 {
		c, err := net.Dial("tcp", l.tcp)
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	eventually(t, "they are gone", func() bool { return l.tlsGate.pending.Load() == 0 })
	c, err := l.dial(t, OverTLS, authOf(t, auth.Config{}))
	require.NoError(t, err)
	c.wantEcho(t, "x")
	require.Zero(t, l.refused.total())
	require.Zero(t, l.log.count("refused"))
}

func TestConnectionsAreBoundedOverBothTogether(t *testing.T) {
	l := serveClients(t, authOf(t, auth.Config{}), func(c *ClientConfig) { c.MaxConns = 2 })
	a := authOf(t, auth.Config{})
	first, err := l.dial(t, OverQUIC, a)
	require.NoError(t, err)
	_, err = l.dial(t, OverTLS, a)
	require.NoError(t, err)
	for i, over := range overBoth {
		_, err := l.dial(t, over, a)
		require.Equal(t, auth.Limit, auth.ReasonOf(err), "%v", err)
		require.ErrorContains(t, err, "too many connections")
		eventually(t, "counted", func() bool { return l.refused.of(auth.Limit) == i+1 })
	}
	first.close()
	eventually(t, "the place is free", func() bool { return l.connected.Load() == 1 })
	_, err = l.dial(t, OverTLS, a)
	require.NoError(t, err)
}

func TestHandshakesOverTLSAreBounded(t *testing.T) {
	l := serveClients(t, authOf(t, auth.Config{}), func(c *ClientConfig) { c.MaxHandshakes = 2 })
	var idle []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", l.tcp)
		require.NoError(t, err)
		defer c.Close()
		idle = append(idle, c)
	}
	eventually(t, "both places are taken", func() bool { return l.tlsGate.pending.Load() == 2 })
	c, err := net.Dial("tcp", l.tcp)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.Copy(io.Discard, c)
	require.NoError(t, ignoreReset(err))
	require.Equal(t, 1, l.refused.of(auth.Limit))
	idle[0].Close()
	eventually(t, "a place is free", func() bool { return l.tlsGate.pending.Load() == 1 })
	_, err = l.dial(t, OverTLS, authOf(t, auth.Config{}))
	require.NoError(t, err)
}

// TestASlowTLSHandshakeIsCutOff is over an in-memory TCP, in virtual time.
func TestASlowTLSHandshakeIsCutOff(t *testing.T) {
	for name, talk := range map[string]func(c net.Conn, a *auth.Authenticator){
		"silent from the start": func(net.Conn, *auth.Authenticator) {},
		"silent after TLS": func(c net.Conn, a *auth.Authenticator) {
			go tls.Client(c, a.ClientTLS(auth.ALPNClient)).Handshake()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				refused := newCounter()
				pipes := newPipeListener()
				l, err := ListenClients(ClientConfig{
					TCP: pipes, Auth: authOf(t, auth.Config{}), Refused: refused.add,
					Handler: func(context.Context, ClientSession, io.ReadWriteCloser) {},
				})
				require.NoError(t, err)
				c := pipes.dial()
				talk(c, authOf(t, auth.Config{}))
				began := time.Now()
				io.Copy(io.Discard, onlyReader{c})
				synctest.Wait()
				require.Less(t, time.Since(began), tlsTimeout+auth.HandshakeTimeout+2*time.Second)
				require.Equal(t, 1, refused.of(auth.Timeout))
				require.NoError(t, l.Close())
				c.Close()
			})
		})
	}
}

type onlyReader struct{ net.Conn }

// pipeListener gives out in-memory connections.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return ours
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// TestShutdownLetsHandlersFinish has a handler that answers only when it is told
// to go; every byte must arrive.
func TestShutdownLetsHandlersFinish(t *testing.T) {
	for _, over := range overBoth {
		t.Run(over, func(t *testing.T) {
			last := strings.Repeat("last words ", 50_000)
			began := make(chan struct{}, 1)
			l := serveClients(t, authOf(t, auth.Config{}), func(c *ClientConfig) {
				c.Handler = func(ctx context.Context, s ClientSession, rw io.ReadWriteCloser) {
					began <- struct{}{}
					<-s.Draining
					if ctx.Err() == nil {
						io.WriteString(rw, last)
					}
				}
			})
			c, err := l.dial(t, over, authOf(t, auth.Config{}))
			require.NoError(t, err)
			_, err = io.WriteString(c, "request")
			require.NoError(t, err)
			receive(t, began)
			down := make(chan error, 1)
			go func() { down <- l.Shutdown(patience(t)) }()
			said, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, len(last), len(said))
			require.NoError(t, c.finish())
			require.NoError(t, receive(t, down))
			require.Zero(t, l.Connections(over))
			if over == OverTLS {
				_, err := net.Dial("tcp", l.tcp)
				require.Error(t, err)
			}
		})
	}
}

func TestShutdownDoesNotWaitForever(t *testing.T) {
	for _, over := range overBoth {
		t.Run(over, func(t *testing.T) {
			began, ended := make(chan struct{}, 1), make(chan error, 1)
			l := serveClients(t, authOf(t, auth.Config{}), func(c *ClientConfig) {
				c.Handler = func(ctx context.Context, _ ClientSession, rw io.ReadWriteCloser) {
					began <- struct{}{}
					_, err := io.Copy(io.Discard, rw)
					ended <- errors.Join(err, ctx.Err())
				}
			})
			c, err := l.dial(t, over, authOf(t, auth.Config{}))
			require.NoError(t, err)
			_, err = io.WriteString(c, "x")
			require.NoError(t, err)
			receive(t, began)
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(errors.New("no time"))
			require.ErrorContains(t, l.Shutdown(ctx), "no time")
			require.Error(t, receive(t, ended))
			_, err = io.Copy(io.Discard, c)
			if over == OverQUIC {
				require.ErrorContains(t, err, "shutting down")
			}
			require.NoError(t, l.Close(), "once more is harmless")
		})
	}
}

func TestClientConfigurationsAreChecked(t *testing.T) {
	a := authOf(t, auth.Config{})
	h := func(context.Context, ClientSession, io.ReadWriteCloser) {}
	for _, c := range []struct {
		cfg  ClientConfig
		want string
	}{
		{ClientConfig{Auth: a, Handler: h}, "no socket"},
		{ClientConfig{TCP: newPipeListener(), Handler: h}, "no authenticator"},
		{ClientConfig{TCP: newPipeListener(), Auth: a}, "no handler"},
		{ClientConfig{TCP: newPipeListener(), Auth: a, Handler: h, MaxConns: -2}, "MaxConns: -2 is negative"},
	} {
		_, err := ListenClients(c.cfg)
		require.ErrorContains(t, err, c.want)
	}
}
