package nats

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/discoverytest"
	"github.com/tochemey/gokv/discovery/nats/natstest"
)

func TestTheProviderPassesTheSuite(t *testing.T) {
	srv := natstest.Start(t)
	discoverytest.Run(t, discoverytest.Harness{
		New: func(t *testing.T, self discovery.Self) discovery.Provider {
			p, err := New(quick(srv.URL))
			require.NoError(t, err)
			p.quiet = 300 * time.Millisecond
			return p
		},
		Break:  func(*testing.T) { srv.Stop() },
		Mend:   func(*testing.T) { srv.Restart() },
		Settle: patience,
	})
}

func TestNodesFindEachOtherAndNotThemselves(t *testing.T) {
	srv := natstest.Start(t)
	a := registered(t, quick(srv.URL), "c", "10.0.0.1:7946")
	wantPeers(t, a)
	b := registered(t, quick(srv.URL), "c", "[2001:db8::2]:7946")
	c := registered(t, quick(srv.URL), "c", "node-3.example:7946")
	wantPeers(t, a, "[2001:db8::2]:7946", "node-3.example:7946")
	wantPeers(t, b, "10.0.0.1:7946", "node-3.example:7946")
	wantPeers(t, c, "10.0.0.1:7946", "[2001:db8::2]:7946")

	require.NoError(t, c.Deregister(t.Context()))
	wantPeers(t, a, "[2001:db8::2]:7946")
	require.NoError(t, b.Close())
	wantPeers(t, a)
}

func TestANodeThatIsNotRegisteredAsksAndIsNotFound(t *testing.T) {
	srv := natstest.Start(t)
	a := connected(t, quick(srv.URL), "c", "10.0.0.1:1")
	b := registered(t, quick(srv.URL), "c", "10.0.0.2:2")
	wantPeers(t, a, "10.0.0.2:2")
	wantPeers(t, b)
}

func TestHostAndPortOfTheConfigurationReplaceTheAnnouncedOnes(t *testing.T) {
	srv := natstest.Start(t)
	asker := connected(t, quick(srv.URL), "c", "10.0.0.9:1")
	for _, c := range []struct {
		host string
		port int
		addr string
		want string
	}{
		{"", 0, "10.0.0.1:7946", "10.0.0.1:7946"},
		{"outside.example", 0, "0.0.0.0:7946", "outside.example:7946"},
		{"", 1234, "10.0.0.1:7946", "10.0.0.1:1234"},
		{"2001:db8::1", 1234, "", "[2001:db8::1]:1234"},
	} {
		cfg := quick(srv.URL)
		cfg.Host, cfg.DiscoveryPort = c.host, c.port
		p := registered(t, cfg, "c", c.addr)
		wantPeers(t, asker, c.want)
		require.NoError(t, p.Close())
	}
}

func TestAnAddressThatNobodyCanDialIsRefusedForGood(t *testing.T) {
	for addr, want := range map[string]string{
		"":               "nats-host",
		"0.0.0.0:7946":   "nats-host",
		"[::]:7946":      "nats-host",
		"10.0.0.1:0":     "nats-discovery-port",
		"10.0.0.1":       "not host:port",
		"a b:7946":       "nats-host",
		"10.0.0.1:99999": "nats-discovery-port",
	} {
		p := prepared(t, quick("127.0.0.1:1"), "c", addr)
		err := p.Initialize(t.Context())
		require.ErrorIs(t, err, discovery.ErrPermanent, addr)
		require.ErrorContains(t, err, want, addr)
	}
	p, err := New(quick("127.0.0.1:1"))
	require.NoError(t, err)
	defer p.Close()
	require.ErrorContains(t, p.Initialize(t.Context()), "Announce was not called")
	long := prepared(t, quick("127.0.0.1:1"), strings.Repeat("c", 65), "10.0.0.1:1")
	require.ErrorIs(t, long.Initialize(t.Context()), discovery.ErrPermanent)
}

func TestAHelloAndAGoodbyeSignalAChange(t *testing.T) {
	srv := natstest.Start(t)
	a := registered(t, quick(srv.URL), "c", "10.0.0.1:1")
	changed := func() bool {
		select {
		case <-a.Changes():
			return true
		default:
			return false
		}
	}
	wantPeers(t, a)
	require.False(t, changed(), "by its own hello")
	other := registered(t, quick(srv.URL), "other", "10.0.0.3:3")
	require.NoError(t, other.Deregister(t.Context()))
	wantPeers(t, a)
	require.False(t, changed(), "by another cluster's")

	b := registered(t, quick(srv.URL), "c", "10.0.0.2:2")
	require.Eventually(t, changed, patience, often)
	require.NoError(t, b.Deregister(t.Context()))
	require.Eventually(t, changed, patience, often)
}

func TestWhoSaysHelloWhileOthersAskIsFound(t *testing.T) {
	srv := natstest.Start(t)
	cfg := quick(srv.URL)
	cfg.Timeout = 2 * time.Second
	a := registered(t, cfg, "c", "10.0.0.1:1")
	b := connected(t, cfg, "c", "10.0.0.2:2")
	nc := stranger(t, srv.URL)
	sub, err := nc.SubscribeSync(cfg.withDefaults().Subject)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	found := make(chan []string, 1)
	go func() {
		addrs, _ := a.DiscoverPeers(t.Context())
		found <- addrs
	}()
	_, err = sub.NextMsg(patience) // the request is out
	require.NoError(t, err)
	require.NoError(t, b.Register(t.Context()))
	require.Equal(t, []string{"10.0.0.2:2"}, <-found)
}

func TestClustersOnOneSubjectDoNotMix(t *testing.T) {
	srv := natstest.Start(t)
	a1 := registered(t, quick(srv.URL), "a", "10.0.0.1:1")
	b1 := registered(t, quick(srv.URL), "b", "10.0.0.3:3")
	a2 := registered(t, quick(srv.URL), "a", "10.0.0.2:2")
	b2 := registered(t, quick(srv.URL), "b", "10.0.0.4:4")
	for range 3 {
		wantPeers(t, a1, "10.0.0.2:2")
		wantPeers(t, a2, "10.0.0.1:1")
		wantPeers(t, b1, "10.0.0.4:4")
		wantPeers(t, b2, "10.0.0.3:3")
	}
	cfg := quick(srv.URL)
	cfg.Subject = "another.subject"
	wantPeers(t, registered(t, cfg, "a", "10.0.0.5:5"))
}

func TestBeforeInitializeAndAfterCloseEveryCallFails(t *testing.T) {
	srv := natstest.Start(t)
	p := prepared(t, quick(srv.URL), "c", "10.0.0.1:1")
	calls := map[string]func(context.Context) error{
		"Register":      p.Register,
		"Deregister":    p.Deregister,
		"DiscoverPeers": func(ctx context.Context) error { _, err := p.DiscoverPeers(ctx); return err },
	}
	for name, call := range calls {
		require.ErrorContains(t, call(t.Context()), "never connected", name)
	}
	require.NoError(t, p.Initialize(t.Context()))
	require.NoError(t, p.Initialize(t.Context()), "again")
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	calls["Initialize"] = p.Initialize
	for name, call := range calls {
		require.ErrorIs(t, call(t.Context()), errClosed, name)
	}
}

func TestAContextShorterThanTheCollectionIsNoAnswer(t *testing.T) {
	srv := natstest.Start(t)
	cfg := quick(srv.URL)
	cfg.Timeout = 5 * time.Second
	p := registered(t, cfg, "c", "10.0.0.1:1")
	registered(t, cfg, "c", "10.0.0.2:2")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	addrs, err := p.DiscoverPeers(ctx)
	require.True(t, errors.Is(err, context.DeadlineExceeded), "%v", err)
	require.Equal(t, []string{"10.0.0.2:2"}, addrs, "what was found is told all the same")
}
