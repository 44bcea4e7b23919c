package transport

import (
	"io"
	"net"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth"
)

// BenchmarkSocket compares what counting costs: a bare *net.UDPConn, our wrapper
// that keeps batches, GSO and ECN, and one that quic-go sees as any packet
// connection.
func BenchmarkSocket(b *testing.B) {
	quietBuffers()
	for _, s := range []struct {
		name string
		wrap func(*net.UDPConn) net.PacketConn
	}{
		{"bare", func(c *net.UDPConn) net.PacketConn { return c }},
		{"counted", func(c *net.UDPConn) net.PacketConn { return counted(c, &traffic{}) }},
		{"plain", func(c *net.UDPConn) net.PacketConn { return &plainSocket{PacketConn: c, traffic: &traffic{}} }},
	} {
		b.Run("socket="+s.name, func(b *testing.B) {
			a := authOf(b, auth.Config{})
			config := quicConfig(16, peerWindow, true)
			server, client := udpSocketOf(b), udpSocketOf(b)
			defer server.Close()
			defer client.Close()
			st, ct := &quic.Transport{Conn: s.wrap(server)}, &quic.Transport{Conn: s.wrap(client)}
			defer st.Close()
			defer ct.Close()
			ln, err := st.Listen(a.ServerTLS(auth.ALPNPeer), config)
			require.NoError(b, err)
			q, err := ct.Dial(b.Context(), server.LocalAddr(), a.ClientTLS(auth.ALPNPeer), config)
			require.NoError(b, err)
			peer, err := ln.Accept(b.Context())
			require.NoError(b, err)
			out, err := q.OpenStream()
			require.NoError(b, err)
			chunk := make([]byte, 64<<10)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			done := make(chan error, 1)
			go func() {
				in, err := peer.AcceptStream(b.Context())
				if err == nil {
					_, err = io.Copy(io.Discard, onlyRead{in})
				}
				done <- err
			}()
			for b.Loop() {
				if _, err := out.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, out.Close())
			require.NoError(b, <-done)
		})
	}
}

// onlyRead hides everything but Read, so that io.Copy reads as a user would.
type onlyRead struct{ io.Reader }

// BenchmarkStreamEcho is one caller's round trip on a new stream and on an open one.
func BenchmarkStreamEcho(b *testing.B) {
	a, z := start(b, authOf(b, auth.Config{})), start(b, authOf(b, auth.Config{}))
	a.echo(b, z.addr, Main, "warm")
	b.Run("stream=new", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 100)
		for b.Loop() {
			s, _, err := a.OpenStream(b.Context(), z.addr, Main, kindEcho)
			require.NoError(b, err)
			_, err = s.Write(buf)
			require.NoError(b, err)
			_, err = io.ReadFull(s, buf)
			require.NoError(b, err)
			s.Close()
		}
	})
	b.Run("stream=open", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 100)
		s, _, err := a.OpenStream(b.Context(), z.addr, Main, kindEcho)
		require.NoError(b, err)
		defer s.Close()
		for b.Loop() {
			_, err = s.Write(buf)
			require.NoError(b, err)
			_, err = io.ReadFull(s, buf)
			require.NoError(b, err)
		}
	})
}

func BenchmarkHandshake(b *testing.B) {
	secret := auth.Config{Secrets: []string{auth.NewSecret()}}
	a, z := start(b, authOf(b, secret)), start(b, authOf(b, secret), func(c *Config) { c.RetryAbove = 1 << 20 })
	for b.Loop() {
		addr, err := a.resolve(b.Context(), z.addr, 0)
		require.NoError(b, err)
		c, err := a.dialAddr(b.Context(), addr, Main)
		require.NoError(b, err)
		c.close(auth.CloseNormal, "")
	}
}
