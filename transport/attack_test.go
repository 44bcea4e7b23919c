package transport

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/internal/auth/authtest"
)

// reflect runs the dialler's side of docs/security.md without a secret: it sends the
// listener's own proof back. It returns the message that answers.
func reflect(t *testing.T, rw io.ReadWriter, role byte, cluster string) []byte {
	t.Helper()
	hello := append([]byte{1, 1, role, 0, 0, 0, 0, 0, 0, 0, 9, byte(len(cluster))}, cluster...)
	say(t, rw, append(hello, 0))
	challenge := hear(t, rw)
	require.EqualValues(t, 2, challenge[0])
	sealed := challenge[len(challenge)-40:]
	proof := append([]byte{3, 1}, sealed...)
	say(t, rw, append(proof, 1, 0, 0, 0))
	return hear(t, rw)
}

func say(t *testing.T, w io.Writer, message []byte) {
	t.Helper()
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	require.NoError(t, err)
}

func hear(t *testing.T, r io.Reader) []byte {
	t.Helper()
	var size [2]byte
	_, err := io.ReadFull(r, size[:])
	require.NoError(t, err)
	message := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err = io.ReadFull(r, message)
	require.NoError(t, err)
	return message
}

var refusedAsReflected = []byte{5, 1, byte(auth.Reflected)}

func TestReflectedProofsAreRefusedAtEachPort(t *testing.T) {
	secret := auth.Config{Secrets: []string{auth.NewSecret()}}
	stranger := authOf(t, auth.Config{})
	overQUIC := func(t *testing.T, addr, alpn string, role byte) {
		pc := udpSocketOf(t)
		defer pc.Close()
		tr := &quic.Transport{Conn: counted(pc, &traffic{})}
		defer tr.Close()
		to, err := net.ResolveUDPAddr("udp", addr)
		require.NoError(t, err)
		q, err := tr.Dial(patience(t), to, stranger.ClientTLS(alpn), &quic.Config{EnableDatagrams: true})
		require.NoError(t, err)
		s, err := q.OpenStream()
		require.NoError(t, err)
		require.NoError(t, s.SetDeadline(time.Now().Add(within)))
		// The close code may overtake the message; it says the same.
		if answer := reflectQUIC(t, s, role); answer != nil {
			require.Equal(t, refusedAsReflected, answer)
		}
		<-q.Context().Done()
	}
	t.Run("peers", func(t *testing.T) {
		l := start(t, authOf(t, secret))
		overQUIC(t, l.addr, auth.ALPNPeer, 1)
		eventually(t, "counted", func() bool { return l.refused.of(auth.Reflected) == 1 })
		require.Equal(t, 1, l.refused.total())
	})
	t.Run("clients over quic", func(t *testing.T) {
		l := serveClients(t, authOf(t, secret))
		overQUIC(t, l.udp, auth.ALPNClient, 2)
		eventually(t, "counted", func() bool { return l.refused.of(auth.Reflected) == 1 })
		eventually(t, "logged", func() bool { return l.log.count("reason=reflected") == 1 })
	})
	t.Run("clients over tls", func(t *testing.T) {
		l := serveClients(t, authOf(t, secret))
		raw, err := net.Dial("tcp", l.tcp)
		require.NoError(t, err)
		defer raw.Close()
		require.Equal(t, refusedAsReflected, reflect(t, tls.Client(raw, stranger.ClientTLS(auth.ALPNClient)), 2, ""))
		eventually(t, "counted", func() bool { return l.refused.of(auth.Reflected) == 1 })
	})
}

// reflectQUIC is reflect for a stream whose connection may be closed before the
// answer is read; it returns nil then.
func reflectQUIC(t *testing.T, s *quic.Stream, role byte) []byte {
	t.Helper()
	hello := []byte{1, 1, role, 0, 0, 0, 0, 0, 0, 0, 9, 1, 'c', 0}
	say(t, s, hello)
	challenge := hear(t, s)
	proof := append([]byte{3, 1}, challenge[len(challenge)-40:]...)
	say(t, s, append(proof, 1, 0, 0, 0))
	answer := make([]byte, 5)
	if _, err := io.ReadFull(s, answer); err != nil {
		require.Equal(t, auth.Reflected, auth.ReasonOf(auth.Classify(err)))
		return nil
	}
	return answer[2:]
}

// TestARelayedConnectionIsRefusedByBothEnds has an attacker between two nodes: it
// speaks TLS with each and passes their messages on.
func TestARelayedConnectionIsRefusedByBothEnds(t *testing.T) {
	secret := auth.Config{Secrets: []string{auth.NewSecret()}}
	l, d := start(t, authOf(t, secret)), start(t, authOf(t, secret))
	attacker := authOf(t, auth.Config{})

	front := udpSocketOf(t)
	defer front.Close()
	tr := &quic.Transport{Conn: counted(front, &traffic{})}
	defer tr.Close()
	config := &quic.Config{EnableDatagrams: true}
	ln, err := tr.Listen(attacker.ServerTLS(auth.ALPNPeer), config)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		victim, err := ln.Accept(t.Context())
		if err != nil {
			return
		}
		in, err := victim.AcceptStream(t.Context())
		if err != nil {
			return
		}
		target, err := tr.Dial(t.Context(), l.Addr(), attacker.ClientTLS(auth.ALPNPeer), config)
		if err != nil {
			return
		}
		out, err := target.OpenStream()
		if err != nil {
			return
		}
		go func() {
			io.Copy(out, in)
			out.Close()
		}()
		io.Copy(in, out)
		in.Close()
	}()
	_, _, err = d.OpenStream(patience(t), front.LocalAddr().String(), Main, kindEcho)
	require.Equal(t, auth.BadProof, auth.ReasonOf(err), "%v", err)
	require.ErrorContains(t, err, "made for another connection")
	require.Equal(t, 1, d.refused.of(auth.BadProof))
	eventually(t, "the listener counts it", func() bool { return l.refused.of(auth.BadProof) == 1 })
	require.Zero(t, l.Stats().Peers+d.Stats().Peers)
	<-done
}

func TestSecretsAndCertificatesAreReplacedWithoutARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := auth.NewSecret(), auth.NewSecret()
		dir := t.TempDir()
		files := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
		write := func(file, text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
		ca := authtest.NewCA(t)
		w := newWorld(t)
		p, q := w.at("1.0.0.1", lan), w.at("1.0.0.2", lan)
		w.run()
		var nodes []*node
		var certs []authtest.Files
		for i, pc := range []net.PacketConn{p, q} {
			write(files[i], old)
			certs = append(certs, ca.Issue(t, authtest.Leaf{}))
			cfg := mutualTLS(ca, certs[i])
			cfg.SecretFile = files[i]
			nodes = append(nodes, startOn(t, pc, authOf(t, cfg)))
		}
		a, b := nodes[0], nodes[1]
		again := func(text string) {
			t.Helper()
			<-time.After(2 * time.Second)
			a.Disconnect(b.instance())
			<-time.After(time.Second)
			b.echo(t, a.addr, Main, text)
		}
		b.echo(t, a.addr, Main, "with the old secret")
		write(files[0], old+"\n"+next)
		again("one node knows the new one")
		write(files[1], next)
		again("the other has dropped the old one")
		write(files[0], next)
		again("both have")

		before := b.conns(a.instance())[0].quic.ConnectionState().TLS.PeerCertificates[0].SerialNumber
		ca.Reissue(t, certs[0], authtest.Leaf{})
		again("with another certificate")
		after := b.conns(a.instance())[0].quic.ConnectionState().TLS.PeerCertificates[0].SerialNumber
		require.NotEqual(t, before, after)
		require.Zero(t, a.refused.total()+b.refused.total())
		a.Close()
		b.Close()
	})
}
