package transport

import (
	"crypto/rand"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/testutils/simnet"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/internal/auth/authtest"
)

func TestTwoNodesTalkOverRealSockets(t *testing.T) {
	secret := auth.NewSecret()
	ca := authtest.NewCA(t)
	for name, cfg := range map[string]func() auth.Config{
		"no proof":   func() auth.Config { return auth.Config{} },
		"secret":     func() auth.Config { return auth.Config{Secrets: []string{secret}} },
		"mutual TLS": func() auth.Config { return mutualTLS(ca, ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:peer"}})) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, authOf(t, cfg())), start(t, authOf(t, cfg()))
			a.SendDatagram(b.addr, []byte("first"))
			require.Equal(t, "first", receive(t, b.datagrams), "what waited for the dial is sent")

			p := a.echo(t, b.addr, Main, "over a stream")
			require.Equal(t, Peer{Instance: b.instance(), Name: "at " + b.addr, Addr: b.addr}, p)
			b.echo(t, a.addr, Main, strings.Repeat("x", 3<<20))
			require.Len(t, a.conns(b.instance()), 1, "both directions share one connection")

			require.Equal(t, b.instance(), a.echo(t, b.addr, Bulk, "bulk").Instance)
			require.Len(t, a.conns(b.instance()), 2)

			b.SendDatagram(a.addr, []byte(strings.Repeat("d", MaxDatagram)))
			require.Len(t, receive(t, a.datagrams), MaxDatagram)

			s, _, err := a.OpenStream(patience(t), b.addr, Main, kindSpeak)
			require.NoError(t, err)
			hello := make([]byte, 5)
			_, err = io.ReadFull(s, hello)
			require.NoError(t, err)
			require.Equal(t, "hello", string(hello), "a read alone tells the other end of the stream")
			s.Abort()

			require.Zero(t, a.refused.total()+b.refused.total())
			require.NoError(t, a.Close())
			require.Equal(t, a.instance(), receive(t, b.gone).Instance)
		})
	}
}

func TestBytesAreCountedAtTheSocket(t *testing.T) {
	a, b := start(t, authOf(t, auth.Config{})), start(t, authOf(t, auth.Config{}))
	a.echo(t, b.addr, Main, strings.Repeat("x", 1<<20))
	eventually(t, "what left one socket came in at the other", func() bool {
		sa, sb := a.Stats(), b.Stats()
		return sa.BytesOut == sb.BytesIn && sb.BytesOut == sa.BytesIn
	})
	s := a.Stats()
	require.Greater(t, s.BytesOut, uint64(1<<20))
	require.Less(t, s.BytesOut, uint64(1<<20)*5/4)
	require.Equal(t, 1, s.Peers)
	require.Equal(t, 1, s.Connections)
	require.EqualValues(t, 1, s.Dials)
}

// TestEachRefusalIsCountedAtBothEnds is the list of docs/security.md, for peers.
func TestEachRefusalIsCountedAtBothEnds(t *testing.T) {
	one, two := auth.NewSecret(), auth.NewSecret()
	ca, other := authtest.NewCA(t), authtest.NewCA(t)
	node := func() auth.Config { return mutualTLS(ca, ca.Issue(t, authtest.Leaf{})) }
	stranger := mutualTLS(other, other.Issue(t, authtest.Leaf{}))
	trusting := stranger
	trusting.CAFile = ca.File
	secret := auth.Config{Secrets: []string{one}}
	for _, c := range []struct {
		name              string
		listener, dialler auth.Config
		want              auth.Reason
		says              string
	}{
		{"another secret", secret, auth.Config{Secrets: []string{two}}, auth.WrongSecret, "refused: wrong secret"},
		{"no secret", secret, auth.Config{}, auth.WrongSecret, "demands a cluster secret, and we have none"},
		{"a listener without a secret", auth.Config{}, secret, auth.WrongSecret, "it proves no secret"},
		{"another cluster", secret, auth.Config{Cluster: "d", Secrets: []string{one}}, auth.WrongCluster, `wrong cluster name: it is not of our cluster "d"`},
		{"a listener's certificate of another CA", node(), stranger, auth.BadCertificate, "refused: bad certificate"},
		{"a dialler's certificate of another CA", node(), trusting, auth.BadCertificate, "refused by the other end: bad certificate"},
		{"no certificate", node(), auth.Config{}, auth.BadCertificate, "demands a certificate of its CA, and we have none"},
		{"a client's certificate", node(), mutualTLS(ca, ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:admin"}})), auth.WrongRole, "wrong role"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, d := start(t, authOf(t, c.listener)), start(t, authOf(t, c.dialler))
			_, _, err := d.OpenStream(patience(t), l.addr, Main, kindEcho)
			require.Equal(t, c.want, auth.ReasonOf(err), "%v", err)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, 1, d.refused.of(c.want))
			eventually(t, "the listener counts it", func() bool { return l.refused.of(c.want) == 1 })
			require.Equal(t, 1, l.refused.total())

			// The address rests: the reason is told again, nobody is bothered.
			if _, _, err := d.OpenStream(patience(t), l.addr, Main, kindEcho); c.want != auth.ReasonOf(err) {
				require.FailNow(t, "another end", "%v", err)
			}
			require.Zero(t, l.Stats().Peers+d.Stats().Peers)
		})
	}
}

func TestReachingOurselvesIsNoRefusal(t *testing.T) {
	a := start(t, authOf(t, auth.Config{Secrets: []string{auth.NewSecret()}}))
	_, _, err := a.OpenStream(patience(t), a.addr, Main, kindEcho)
	require.ErrorIs(t, err, ErrSelf)
	require.Zero(t, a.refused.total())
}

func TestGarbageSentToThePortIsHarmless(t *testing.T) {
	a, b := start(t, authOf(t, auth.Config{})), start(t, authOf(t, auth.Config{}))
	a.echo(t, b.addr, Main, "before")
	pc := udpSocketOf(t)
	defer pc.Close()
	to := b.Addr()
	for i := range 500 {
		junk := make([]byte, 1+(i*37)%1400)
		rand.Read(junk)
		switch i % 4 {
		case 1:
			junk[0] |= 0xc0 // a long header
		case 2:
			junk[0] = junk[0]&0x3f | 0x40 // a short one
		case 3:
			if len(junk) > 5 {
				copy(junk, []byte{0xc3, 0, 0, 0, 1}) // an Initial of QUIC version 1
			}
		}
		_, err := pc.WriteTo(junk, to)
		require.NoError(t, err)
	}
	_, err := pc.WriteTo(nil, to)
	require.NoError(t, err)
	a.echo(t, b.addr, Main, "after")
	c := start(t, authOf(t, auth.Config{}))
	c.echo(t, b.addr, Main, "a newcomer")
}

func TestAddressesThatCannotBeDialledSaySo(t *testing.T) {
	a := start(t, authOf(t, auth.Config{}))
	for addr, want := range map[string]string{
		"nonsense":             "missing port",
		"127.0.0.1:0":          "port must be 1 to 65535",
		"127.0.0.1:http":       "port must be",
		":7946":                "no host",
		"[::1]:7946":           "cannot reach",
		"192.0.2.1:7946":       "not loopback",
		"no-such.invalid:7946": "no-such.invalid",
	} {
		_, _, err := a.OpenStream(patience(t), addr, Main, kindEcho)
		require.ErrorContains(t, err, want, addr)
		require.ErrorContains(t, err, "open stream to "+addr)
	}
	_, _, err := a.OpenStream(patience(t), "127.0.0.1:1", Class(9), kindEcho)
	require.ErrorContains(t, err, "unknown class(9)")
}

func TestTooLargeADatagramIsDroppedAndCounted(t *testing.T) {
	a := start(t, authOf(t, auth.Config{}))
	a.SendDatagram("127.0.0.1:1", make([]byte, MaxDatagram+1))
	require.EqualValues(t, 1, a.Stats().DatagramsDropped)
	require.Zero(t, a.Stats().Dials)
}

func TestClosedTransportsSaySo(t *testing.T) {
	a, b := start(t, authOf(t, auth.Config{})), start(t, authOf(t, auth.Config{}))
	a.echo(t, b.addr, Main, "x")
	held, _, err := a.OpenStream(patience(t), b.addr, Main, kindHold)
	require.NoError(t, err)
	_, err = held.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	_, err = held.Read(make([]byte, 8))
	for err == nil {
		_, err = held.Read(make([]byte, 8))
	}
	_, _, err = a.OpenStream(patience(t), b.addr, Main, kindEcho)
	require.ErrorIs(t, err, ErrClosed)
	a.SendDatagram(b.addr, []byte("x"))
	_, err = net.DialUDP("udp", nil, b.Addr().(*net.UDPAddr))
	require.NoError(t, err)
}

func TestConfigurationsAreChecked(t *testing.T) {
	pc := udpSocketOf(t)
	defer pc.Close()
	a := authOf(t, auth.Config{})
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Auth: a, Handler: newRecorder()}, "no socket"},
		{Config{Conn: pc, Handler: newRecorder()}, "no authenticator"},
		{Config{Conn: pc, Auth: a}, "no handler"},
		{Config{Conn: pc, Auth: a, Handler: newRecorder(), MaxPeers: -1}, "MaxPeers: -1 is negative"},
		{Config{Conn: pc, Auth: a, Handler: newRecorder(), Self: auth.Hello{Name: strings.Repeat("n", 101)}}, "name is 101 bytes, the limit is 100"},
	} {
		_, err := Listen(c.cfg)
		require.ErrorContains(t, err, c.want)
	}
}

func TestMaxPeersIsALimit(t *testing.T) {
	l := start(t, authOf(t, auth.Config{}), func(c *Config) { c.MaxPeers = 1 })
	a, b := start(t, authOf(t, auth.Config{})), start(t, authOf(t, auth.Config{}))
	a.echo(t, l.addr, Main, "x")
	_, _, err := b.OpenStream(patience(t), l.addr, Main, kindEcho)
	require.Equal(t, auth.Limit, auth.ReasonOf(err))
	eventually(t, "the listener counts it", func() bool { return l.refused.of(auth.Limit) == 1 })
	a.echo(t, l.addr, Bulk, "one that is known may have another connection")
}

// stall dials raw QUIC and goes silent after TLS, or after saying something.
func stall(t *testing.T, pc net.PacketConn, to net.Addr, say []byte) (*quic.Transport, *quic.Conn) {
	t.Helper()
	tr := &quic.Transport{Conn: counted(pc, &traffic{})}
	q, err := tr.Dial(t.Context(), to, authOf(t, auth.Config{}).ClientTLS(auth.ALPNPeer), &quic.Config{EnableDatagrams: true})
	require.NoError(t, err)
	if say != nil {
		s, err := q.OpenStream()
		require.NoError(t, err)
		_, err = s.Write(say)
		require.NoError(t, err)
	}
	return tr, q
}

func TestAStrangerHasThreeSecondsAndOnePlace(t *testing.T) {
	for name, say := range map[string][]byte{"says nothing": nil, "says half": {0, 16, 1, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
				w.run()
				l := startOn(t, p, authOf(t, auth.Config{Insecure: true}))
				tr, conn := stall(t, q, p.LocalAddr(), say)
				began := time.Now()
				require.EqualValues(t, 1, l.gate.pending.Load())
				<-conn.Context().Done()
				require.InDelta(t, auth.HandshakeTimeout.Seconds(), time.Since(began).Seconds(), 0.1)
				synctest.Wait()
				require.Equal(t, 1, l.refused.of(auth.Timeout))
				require.Equal(t, 1, l.refused.total())
				require.Zero(t, l.gate.pending.Load())
				require.NoError(t, tr.Close())
				require.NoError(t, l.Close())
				q.Close()
			})
		})
	}
}

func TestHandshakesInProgressAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, q, r := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan), w.at("1.0.0.3", lan)
		w.run()
		l := startOn(t, p, authOf(t, auth.Config{Insecure: true}), func(c *Config) { c.MaxHandshakes = 1 })
		tr, _ := stall(t, q, p.LocalAddr(), nil)
		d := startOn(t, r, authOf(t, auth.Config{Insecure: true}))
		_, _, err := d.OpenStream(t.Context(), l.addr, Main, kindEcho)
		require.Equal(t, auth.Limit, auth.ReasonOf(err), "%v", err)
		require.Equal(t, 1, l.refused.of(auth.Limit))
		<-time.After(auth.HandshakeTimeout + lastRefusedRest)
		d.echo(t, l.addr, Main, "once the place is free")
		require.NoError(t, tr.Close())
		l.Close()
		d.Close()
		q.Close()
	})
}

func TestUnverifiedAddressesAreAskedToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
		var retries atomic.Int64
		w.drop(func(p simnet.Packet) bool {
			// RFC 9000 section 17.2.5: a long header of type 3.
			if p.Data[0]&0xf0 == 0xf0 {
				retries.Add(1)
			}
			return false
		})
		w.run()
		l := startOn(t, p, authOf(t, auth.Config{Insecure: true}), func(c *Config) { c.RetryAbove = 1 })
		d := startOn(t, q, authOf(t, auth.Config{Insecure: true}))
		d.echo(t, l.addr, Main, "the first of the second")
		require.Zero(t, retries.Load())
		d.echo(t, l.addr, Bulk, "the second")
		require.NotZero(t, retries.Load())
		l.Close()
		d.Close()
	})
}

// smallBuffers is a socket of a system that grants next to no buffers, and knows
// neither batches nor GSO nor ECN.
type smallBuffers struct{ net.PacketConn }

func TestSmallKernelBuffersSuffice(t *testing.T) {
	var nodes []*node
	for range 2 {
		udp := udpSocketOf(t)
		require.NoError(t, udp.SetReadBuffer(8<<10))
		require.NoError(t, udp.SetWriteBuffer(8<<10))
		nodes = append(nodes, startOn(t, smallBuffers{udp}, authOf(t, auth.Config{})))
	}
	nodes[0].echo(t, nodes[1].addr, Bulk, strings.Repeat("x", 2<<20))
	nodes[0].SendDatagram(nodes[1].addr, []byte("x"))
	receive(t, nodes[1].datagrams)
}

func TestAPathOf1280BytesSuffices(t *testing.T) {
	for name, mtu := range map[string]int{"IPv4": 1280 - 28, "IPv6": 1280 - 48, "QUIC's least": 1200} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				narrow := simnet.NodeBiDiLinkSettings{
					Latency: 5 * time.Millisecond, Uplink: simnet.LinkSettings{MTU: mtu}, Downlink: simnet.LinkSettings{MTU: mtu},
				}
				w := newWorld(t)
				p, q := w.at("1.0.0.1", narrow), w.at("1.0.0.2", narrow)
				w.run()
				secret := auth.Config{Secrets: []string{auth.NewSecret()}}
				a, b := startOn(t, p, authOf(t, secret)), startOn(t, q, authOf(t, secret))
				a.echo(t, b.addr, Main, strings.Repeat("x", 1<<20))
				a.SendDatagram(b.addr, make([]byte, MaxDatagram))
				require.Len(t, receive(t, b.datagrams), MaxDatagram)
				a.Close()
				b.Close()
			})
		})
	}
}
