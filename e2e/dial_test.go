package e2e

import (
	"context"
	"crypto/tls"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth"
)

// stranger is a client or peer made by hand, which may stop following the protocol
// wherever a test wants it to.
func stranger(t *testing.T, cfg auth.Config) *auth.Authenticator {
	t.Helper()
	a, err := auth.New(cfg)
	require.NoError(t, err)
	return a
}

// dialTLS connects over TLS and proves itself as a client; what follows is the
// test's own.
func dialTLS(t *testing.T, addr string, a *auth.Authenticator) *tls.Conn {
	t.Helper()
	ctx := deadline(t)
	raw, err := (&tls.Dialer{Config: a.ClientTLS(auth.ALPNClient)}).DialContext(ctx, "tcp", addr)
	require.NoError(t, err)
	conn, ok := raw.(*tls.Conn)
	require.True(t, ok)
	t.Cleanup(func() { conn.Close() })
	_, err = a.Connect(ctx, conn, conn.ConnectionState(), auth.RoleAdmin, auth.Hello{})
	require.NoError(t, err)
	return conn
}

// dialQUIC makes a QUIC connection with a protocol's name and opens its first
// stream, on which nothing has been proven.
func dialQUIC(ctx context.Context, t *testing.T, addr, alpn string, a *auth.Authenticator) (*quic.Conn, *quic.Stream) {
	t.Helper()
	conn, err := quic.DialAddr(ctx, addr, a.ClientTLS(alpn), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") }) // the other end may have closed it
	stream, err := conn.OpenStreamSync(ctx)
	require.NoError(t, err)
	return conn, stream
}
