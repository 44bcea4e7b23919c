package client

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheClientChoosesOneTransportAndKeepsTheOtherInReserve(t *testing.T) {
	s := start(t, newFakeStore(), onBoth)
	c := dial(t, func(c *Config) { c.Timeout = 30 * time.Second }, s.addr)
	require.NoError(t, c.Put(t.Context(), "k", nil))
	p := c.backend.(*pool)
	chosen := func() (scheme string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.nodes[0].prefer
	}
	eventually(t, func() bool { return chosen() != "" })
	require.Equal(t, 1, s.connections(schemeQUIC))
	require.Equal(t, 1, s.connections(schemeTLS))

	first := chosen()
	if first == schemeTLS {
		s.stopTLS()
	} else {
		t.Log("QUIC was faster")
		s.stop()
		s.listen(onTLS)
	}
	for range 5 {
		require.NoError(t, c.Put(t.Context(), "k", nil))
	}
	require.NotEqual(t, first, chosen())
}

func TestOneTransportIsEnough(t *testing.T) {
	for name, transports := range map[string]int{schemeQUIC: onQUIC, schemeTLS: onTLS} {
		for _, tlsFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("only %s/tls first=%v", name, tlsFirst), func(t *testing.T) {
				s := start(t, newFakeStore(), transports)
				c := dial(t, func(c *Config) { once(c); c.TLSFirst = tlsFirst }, s.addr)
				require.NoError(t, c.Put(t.Context(), "k", nil))
				require.Equal(t, 1, s.connections(name))
			})
		}
	}
	t.Run("TLS first does not try QUIC", func(t *testing.T) {
		s := start(t, newFakeStore(), onBoth)
		c := dial(t, func(c *Config) { c.TLSFirst = true }, s.addr)
		require.NoError(t, c.Put(t.Context(), "k", nil))
		require.NoError(t, c.Close())
		require.Zero(t, s.connections(schemeQUIC))
	})
}

func TestANameMayStandForAnAddress(t *testing.T) {
	s := start(t, newFakeStore(), onBoth)
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(t, err)
	for _, scheme := range schemes {
		require.NoError(t, dial(t, once, scheme+net.JoinHostPort("localhost", port)).Put(t.Context(), "k", nil))
	}
	err = dial(t, once, "quic://localhost:"+strings.TrimPrefix(unused(t, 1)[0], "127.0.0.1:")).Put(t.Context(), "k", nil)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "\n")
}
