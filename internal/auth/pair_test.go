package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tlsPair shakes hands over an in-memory connection.
func tlsPair(t *testing.T, listener, dialler *Authenticator) (server, client *tls.Conn) {
	t.Helper()
	a, b := net.Pipe()
	server = tls.Server(a, listener.ServerTLS(ALPNPeer))
	client = tls.Client(b, dialler.ClientTLS(ALPNPeer))
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	errs := make(chan error, 1)
	go func() { errs <- server.Handshake() }()
	require.NoError(t, client.Handshake())
	require.NoError(t, <-errs)
	return server, client
}

// verdict is how both ends saw one handshake.
type verdict struct {
	listener, dialler       error
	atListener, atDialler   Hello
	role                    Role
	listenerTLS, dialledTLS *tls.Conn
}

// meet runs both sides of a handshake over a fresh TLS connection.
func meet(t *testing.T, listener, dialler *Authenticator, need []Role, role Role, lh, dh Hello) verdict {
	t.Helper()
	server, client := tlsPair(t, listener, dialler)
	v := verdict{listenerTLS: server, dialledTLS: client}
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.atListener, v.role, v.listener = listener.Accept(context.Background(), server, server.ConnectionState(), need, lh)
		if v.listener != nil {
			server.NetConn().Close()
		}
	}()
	v.atDialler, v.dialler = dialler.Connect(context.Background(), client, client.ConnectionState(), role, dh)
	if v.dialler != nil {
		client.NetConn().Close()
	}
	<-done
	return v
}

// mustNew is New for a configuration that must be good.
func mustNew(t *testing.T, cfg Config) *Authenticator {
	t.Helper()
	a, err := New(cfg)
	require.NoError(t, err)
	return a
}

func wantReason(t *testing.T, err error, want Reason, byPeer bool) {
	t.Helper()
	var r *RefusedError
	require.ErrorAs(t, err, &r)
	require.Equal(t, want.String(), r.Reason.String(), err.Error())
	require.Equal(t, byPeer, r.ByPeer, err.Error())
}

// scripted is a stream on which the other end says what was written down.
type scripted struct{ *bytes.Reader }

func (scripted) Write(b []byte) (int, error)   { return len(b), nil }
func (scripted) SetDeadline(t time.Time) error { return nil }

var connectionState = sync.OnceValues(func() (*tls.ConnectionState, error) {
	a, err := New(Config{Cluster: "c"})
	if err != nil {
		return nil, err
	}
	p, q := net.Pipe()
	defer p.Close()
	defer q.Close()
	server, client := tls.Server(p, a.ServerTLS(ALPNPeer)), tls.Client(q, a.ClientTLS(ALPNPeer))
	errs := make(chan error, 1)
	go func() { errs <- server.Handshake() }()
	if err := errors.Join(client.Handshake(), <-errs); err != nil {
		return nil, err
	}
	cs := server.ConnectionState()
	return &cs, nil
})

// testConnectionState is that of a finished TLS 1.3 handshake, the same each time.
func testConnectionState(t *testing.T) *tls.ConnectionState {
	t.Helper()
	cs, err := connectionState()
	require.NoError(t, err)
	return cs
}
