package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/internal/mux"
)

// garbage returns pieces of noise, the same each time: random bytes of many sizes,
// and some that begin like QUIC, TLS, HTTP or a frame of gokv's.
func garbage(pieces int) [][]byte {
	r := rand.New(rand.NewChaCha8([32]byte{1}))
	heads := [][]byte{
		nil,
		{0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0}, // a QUIC version 1 Initial
		{0xe0, 0, 0, 0, 1, 20},                           // a Handshake whose ID is cut off
		{0xc0, 0xfa, 0xce, 0xb0, 0x0c, 8},                // an unknown QUIC version
		{0x40, 1, 2, 3, 4, 5, 6, 7},                      // a short header
		{22, 3, 1, 0xff, 0xff, 1, 0xff, 0xff, 0xff},      // a TLS record that claims 65,535 bytes
		[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1}, // a frame that claims 4 GiB
		{0, 0, 0, 0},
	}
	all := make([][]byte, pieces)
	for i := range all {
		head := heads[i%len(heads)]
		all[i] = append(bytes.Clone(head), make([]byte, r.IntN(1200-len(head)))...)
		for j := len(head); j < len(all[i]); j++ {
			all[i][j] = byte(r.Uint32())
		}
	}
	return all
}

// Whatever strangers send to a port, the node goes on, and says what it refused.
func TestGarbageToEachPortChangesNothing(t *testing.T) {
	t.Parallel() // it waits more than it works
	a, b, c := startCluster(t)
	a.must(t, "put", "before", "1")
	noise := garbage(500)

	for name, addr := range map[string]string{"peers": a.Peer, "clients": a.Client} {
		t.Run("datagrams to "+name, func(t *testing.T) {
			conn, err := net.Dial("udp", addr)
			require.NoError(t, err)
			defer conn.Close()
			for _, b := range noise {
				_, err := conn.Write(b)
				require.NoError(t, err)
			}
			a.wantServing(t)
		})
	}
	for name, addr := range map[string]string{"clients": a.Client, "http": a.HTTP} {
		t.Run("bytes over TCP to "+name, func(t *testing.T) {
			for _, b := range noise[:100] {
				conn, err := net.Dial("tcp", addr)
				require.NoError(t, err)
				_, _ = conn.Write(b) // it may have been closed halfway
				conn.Close()
			}
			a.wantServing(t)
		})
	}
	open := stranger(t, auth.Config{})
	t.Run("frames of a client that proved itself", func(t *testing.T) {
		for i, b := range noise[:100] {
			conn := dialTLS(t, a.Client, open)
			_, _ = conn.Write(b)
			_, err := conn.Write(mux.AppendFrame(nil, uint32(i+1), byte(wire.OpPut), mux.Bytes(b)))
			if err == nil {
				require.NoError(t, conn.CloseWrite())
				require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
				_, _ = io.Copy(io.Discard, conn) // a refusal, then the end
			}
			conn.Close()
		}
		a.wantServing(t)
	})
	for name, to := range map[string]struct{ addr, alpn string }{
		"peers": {a.Peer, auth.ALPNPeer}, "clients": {a.Client, auth.ALPNClient},
	} {
		t.Run("a QUIC stream of noise in the proof's place to "+name, func(t *testing.T) {
			for _, b := range noise[:20] {
				conn, stream := dialQUIC(deadline(t), t, to.addr, to.alpn, open)
				_, err := stream.Write(append([]byte{0xff}, b...))
				require.NoError(t, err)
				select {
				case <-conn.Context().Done():
				case <-deadline(t).Done():
					require.Fail(t, "noise in the proof's place did not end the connection")
				}
			}
			a.wantServing(t)
		})
	}
	t.Run("a protocol that nobody speaks", func(t *testing.T) {
		_, err := tls.Dial("tcp", a.Client, open.ClientTLS("h2"))
		require.Error(t, err)
		a.wantServing(t)
	})

	require.Positive(t, a.metric(t, `gokv_handshakes_refused_total{reason="malformed"}`))
	a.wantLog(t, `msg="handshake refused" reason=malformed`)
	require.NoError(t, a.wantMembers(t, "a alive", "b alive", "c alive"))
	wantOneRoot(t, a, b, c)
	require.Equal(t, "1", c.must(t, "get", "before"))
}

// wantServing demands an answer to a write, a read, and a look at the metrics.
func (n node) wantServing(t *testing.T) {
	t.Helper()
	n.must(t, "put", "k", t.Name())
	require.Equal(t, t.Name(), n.must(t, "get", "k"))
	require.NotEmpty(t, n.metrics(t))
}

// A client asks for far more than fits into every buffer on the way, and reads
// nothing. It is closed; who asks meanwhile is answered, and nothing is lost.
func TestAClientThatStopsReadingIsClosedAndCostsOthersNothing(t *testing.T) {
	t.Parallel() // it waits more than it works
	a, b, c := startCluster(t, "--log-level", "debug")
	const size = 1 << 20
	putLarge(t, a, "large", size)
	wantOneRoot(t, a, b, c)
	before := a.metric(t, "process_resident_memory_bytes")

	conn := dialTLS(t, a.Client, stranger(t, auth.Config{}))
	var requests []byte
	for i := range 400 {
		r := wire.Request{Op: wire.OpGet, Key: []byte("large")}
		requests = mux.AppendFrame(requests, uint32(i+1), byte(r.Op), &r)
	}
	_, err := conn.Write(requests)
	require.NoError(t, err)
	eventually(t, func() error { // it is counted once the node has checked the proof
		if open := a.metric(t, `gokv_client_connections{transport="tls"}`); open != 1 {
			return fmt.Errorf("%v connections are open", open)
		}
		return nil
	})

	// While it is stuck: others are served, by this node and the rest.
	for i := range 20 {
		a.must(t, "put", "meanwhile", fmt.Sprint(i))
		require.Equal(t, fmt.Sprint(i), a.must(t, "get", "meanwhile"))
	}
	eventually(t, func() error {
		if open := a.metric(t, `gokv_client_connections{transport="tls"}`); open != 0 {
			return fmt.Errorf("%v connections are open", open)
		}
		return nil
	})
	a.wantLog(t, `msg=client transport=tls .*i/o timeout`) // the node's write gave up, and nothing else
	// It was owed 400 MiB: no more than a few buffers of them were ever held.
	grown := a.metric(t, "process_resident_memory_bytes") - before
	if !raceDetector { // which multiplies what is held
		require.Less(t, grown, float64(128<<20))
	}

	// The end came from the node: what had been sent is readable, then no more.
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	got, _ := io.Copy(io.Discard, conn)
	require.Less(t, got, int64(400*size))
	require.NoError(t, a.wantMembers(t, "a alive", "b alive", "c alive"))
	require.Equal(t, "19", c.must(t, "get", "meanwhile"))
	wantOneRoot(t, a, b, c)
}

func putLarge(t *testing.T, n node, key string, size int) {
	t.Helper()
	cmd := binaries.Command(deadline(t), n.Client, "put", key, "-")
	cmd.Stdin = bytes.NewReader(bytes.Repeat(binary.BigEndian.AppendUint64(nil, 0x67_6f_6b_76_67_6f_6b_76), size/8))
	r := runCommand(t, cmd)
	require.Zero(t, r.exit, r.stderr)
}
