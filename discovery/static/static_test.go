package static_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/discoverytest"
	"github.com/tochemey/gokv/discovery/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheStaticProviderPassesTheSuite(t *testing.T) {
	var hosts []string
	discoverytest.Run(t, discoverytest.Harness{
		New: func(t *testing.T, self discovery.Self) discovery.Provider {
			p, err := static.New(static.Config{Hosts: append([]string{self.Addr}, hosts...)})
			require.NoError(t, err)
			return p
		},
		Publish: func(_ *testing.T, addrs ...string) { hosts = addrs },
		Fixed:   true,
	})
}

func TestMalformedEntriesAreNamedByTheirSetting(t *testing.T) {
	_, err := static.New(static.Config{Hosts: []string{"10.0.0.1:7946", "10.0.0.2", "a:0"}})
	require.EqualError(t, err, "join: \"10.0.0.2\": not host:port\njoin: \"a:0\": port \"0\" is not a number from 1 to 65535")
	_, err = static.New(static.Config{})
	require.EqualError(t, err, "join: empty: at least one host:port")
}

func TestNamesOfTheSystemsResolverAreLookedUp(t *testing.T) {
	p, err := static.New(static.Config{Hosts: []string{"localhost:7946"}})
	require.NoError(t, err)
	addrs, err := p.DiscoverPeers(t.Context())
	require.NoError(t, err)
	require.NotContains(t, addrs, "localhost:7946")
	require.Subset(t, []string{"127.0.0.1:7946", "[::1]:7946"}, addrs)
}
