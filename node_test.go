package gokv_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestAWriteReachesEveryMember(t *testing.T) {
	c := clustertest.Start(t, 3)
	c.Put("a", "k", "1")
	c.WantConverged("k", "1")
	c.Put("b", "k", "2") // b has merged the first: its version is greater
	c.Put("c", "other", "3")
	c.WantConverged("k", "2", "other", "3")
	c.Delete("a", "other")
	c.WantConverged("k", "2")
	require.NotContains(t, c.Entries("c"), "other")
}

func TestBothSidesOfAPartitionWriteAndEndEqual(t *testing.T) {
	c := clustertest.Start(t, 3)
	c.Put("a", "shared", "before")
	c.Put("a", "doomed", "before")
	c.WantConverged("shared", "before", "doomed", "before")
	dropped := c.Network().Dropped()

	c.Partition("a", "b|c")
	c.Put("a", "left", "a")
	c.Put("b", "right", "b")
	c.Put("a", "shared", "from a")
	c.Put("c", "shared", "from c")
	c.Delete("b", "doomed")
	require.Contains(t, c.Entries("a"), "doomed", "the delete crossed the partition")
	require.NotContains(t, c.Entries("a"), "right", "a write crossed the partition")

	// Written at the same moment as far as the clocks tell: the greater version
	// wins, whichever that is.
	winner := c.Entries("a")["shared"]
	if other := c.Entries("c")["shared"]; other.Version.String() > winner.Version.String() {
		winner = other
	}

	require.Eventually(t, func() bool { return c.Network().Dropped() > dropped }, time.Minute, time.Millisecond, "the partition never struck")

	c.Heal()
	c.WantConverged("left", "a", "right", "b", "shared", string(winner.Value))
	require.NotContains(t, c.Entries("a"), "doomed")
}

func TestAnEmptyRestartTakesEverythingAndNothingComesBack(t *testing.T) {
	c := clustertest.Start(t, 3)
	for i := range 500 {
		c.Put("a", fmt.Sprintf("k%03d", i), "v")
	}
	c.WantConverged()
	c.Kill("b")
	c.Delete("a", "k000")
	c.Revive("b")
	c.WantConverged("k001", "v", "k499", "v")
	require.NotContains(t, c.Entries("b"), "k000")
	require.Len(t, c.Entries("b"), 499)
}

func TestStopHandsUnpushedWritesOverAndLeaves(t *testing.T) {
	c := clustertest.Start(t, 2)
	ctx := within(t)
	a, b := c.Node("a"), c.Node("b")
	for i := range 2000 {
		require.NoError(t, a.Client().Put(ctx, fmt.Sprint(i), []byte("v")))
	}
	require.NoError(t, a.Stop(ctx))
	require.Equal(t, uint64(2000), b.Status().Entries)
	require.ErrorIs(t, a.Client().Put(ctx, "late", nil), client.ErrNotReady)
	for _, m := range b.Members() {
		if m.Name == "a" {
			require.Equal(t, "left", m.State)
		}
	}
	require.Equal(t, "b", b.Leader().Name)
}

func TestANodeThatCannotJoinIsNotReady(t *testing.T) {
	ctx := within(t)
	node, err := gokv.NewNode(gokv.Config{
		PeerAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Join: []string{"127.0.0.1:1"}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, node.Start(ctx))
	defer func() { require.NoError(t, node.Stop(ctx)) }()

	require.Equal(t, http.StatusServiceUnavailable, get(t, node, "/readyz"))
	require.Equal(t, http.StatusOK, get(t, node, "/healthz"))
	require.Equal(t, http.StatusOK, get(t, node, "/metrics"))
	require.ErrorIs(t, node.Client().Put(ctx, "k", nil), client.ErrNotReady)
	_, err = node.Client().Get(ctx, "k")
	require.ErrorIs(t, err, client.ErrNotReady)
	status, err := node.Client().Status(ctx)
	require.NoError(t, err, "a node that is starting tells its status")
	require.False(t, status.Ready)
	members, err := node.Client().Members(ctx)
	require.NoError(t, err)
	require.Len(t, members, 1)
}

func TestANodeIgnoresItsOwnAddressAmongItsPeers(t *testing.T) {
	ctx := within(t)
	node, err := gokv.NewNode(gokv.Config{
		PeerAddr: "127.0.0.1:17946", HTTPAddr: "127.0.0.1:0", Join: []string{"localhost:17946"}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, node.Start(ctx))
	defer func() { require.NoError(t, node.Stop(ctx)) }()
	require.Eventually(t, node.Ready, time.Minute, time.Millisecond, "nobody else is named")
	require.Equal(t, http.StatusOK, get(t, node, "/readyz"))
}

func get(t *testing.T, node *gokv.Node, path string) int {
	t.Helper()
	resp, err := http.Get("http://" + node.Addrs().HTTP + path)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode
}

func TestANodesLifeIsOnce(t *testing.T) {
	ctx := within(t)
	node, err := gokv.NewNode(gokv.Config{PeerAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.ErrorIs(t, node.Client().Put(ctx, "k", nil), client.ErrNotReady, "before the start")
	require.Empty(t, node.Members())
	require.NoError(t, node.Start(ctx))
	require.ErrorContains(t, node.Start(ctx), "started before")
	require.NoError(t, node.Stop(ctx))
	require.NoError(t, node.Stop(ctx))
	require.ErrorIs(t, node.Client().Put(ctx, "k", nil), client.ErrNotReady, "after the stop")
}

func TestStartSaysWhichAddressIsTaken(t *testing.T) {
	ctx := within(t)
	quiet := slog.New(slog.DiscardHandler)
	first, err := gokv.NewNode(gokv.Config{PeerAddr: "127.0.0.1:0", ClientAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Logger: quiet})
	require.NoError(t, err)
	require.NoError(t, first.Start(ctx))
	defer func() { require.NoError(t, first.Stop(ctx)) }()
	taken := first.Addrs()
	for setting, cfg := range map[string]gokv.Config{
		"peer-addr":   {PeerAddr: taken.Peer},
		"client-addr": {PeerAddr: "127.0.0.1:0", ClientAddr: taken.Client},
		"http-addr":   {PeerAddr: "127.0.0.1:0", HTTPAddr: taken.HTTP},
	} {
		cfg.Logger = quiet
		node, err := gokv.NewNode(cfg)
		require.NoError(t, err)
		err = node.Start(ctx)
		require.ErrorContains(t, err, setting)
		require.ErrorContains(t, err, "address already in use")
	}
}

func TestBeyondLoopbackAProofIsNeeded(t *testing.T) {
	_, err := gokv.NewNode(gokv.Config{PeerAddr: "0.0.0.0:0", AdvertiseAddr: "10.0.0.1:7946"})
	require.ErrorContains(t, err, "peer-addr")
	require.ErrorContains(t, err, "insecure")
	_, err = gokv.NewNode(gokv.Config{PeerAddr: "127.0.0.1:0", Secrets: []string{"c2hvcnQ="}})
	require.ErrorContains(t, err, "32")
}

func TestLimitsAreNamed(t *testing.T) {
	c := clustertest.Start(t, 1, func(_ string, cfg *gokv.Config) { cfg.MaxValueSize = 1 << 10 })
	ctx := within(t)
	store := c.Node("a").Client()
	require.ErrorIs(t, store.Put(ctx, "", nil), client.ErrInvalid)
	require.ErrorIs(t, store.Put(ctx, strings.Repeat("k", 4097), nil), client.ErrTooLarge)
	require.NoError(t, store.Put(ctx, strings.Repeat("k", 4096), make([]byte, 1<<10)))
	err := store.Put(ctx, "k", make([]byte, 1<<10+1))
	require.ErrorIs(t, err, client.ErrTooLarge)
	require.EqualError(t, err, `put "k": value is 1,025 bytes, the limit is 1,024 bytes: too large`)
}

func TestSyncReportsARoundWithEachPeer(t *testing.T) {
	c := clustertest.Start(t, 3)
	c.Put("a", "k", "1")
	c.WantConverged("k", "1")
	rounds, err := c.Node("a").Client().Sync(within(t))
	require.NoError(t, err)
	require.Len(t, rounds, 2)
	for _, r := range rounds {
		require.Equal(t, "equal", r.Result)
		require.Empty(t, r.Error)
	}
}

func TestNodesThatStopTogetherDoNotWaitForEachOther(t *testing.T) {
	c := clustertest.Start(t, 3)
	ctx := within(t)
	errs := make(chan error, 3)
	for _, name := range c.Names() {
		c.Put(name, "from "+name, "unpushed")
		node := c.Node(name)
		go func() { errs <- node.Stop(ctx) }()
	}
	for range 3 {
		require.NoError(t, <-errs, "a peer that left is not waited for")
	}
}

func TestADrainingNodeAnswersThatItIsNotReady(t *testing.T) {
	c := clustertest.Start(t, 2, func(_ string, cfg *gokv.Config) { cfg.ClientAddr = "127.0.0.1:0" })
	ctx := within(t)
	a := c.Node("a")
	outside, err := client.New(client.Config{Addrs: []string{a.Addrs().Client}, Attempts: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, outside.Close()) }()
	require.NoError(t, outside.Put(ctx, "k", nil))

	c.Partition("a", "b")
	c.Put("a", "unpushed", "v") // so that the hand-over takes until b is given up
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(ctx) }()
	require.Eventually(t, func() bool {
		status, err := outside.Status(ctx)
		return err == nil && !status.Ready
	}, time.Minute, time.Millisecond)
	require.ErrorIs(t, outside.Put(ctx, "late", nil), client.ErrNotReady)
	_, err = outside.Get(ctx, "k")
	require.ErrorIs(t, err, client.ErrNotReady)
	if err := <-stopped; err != nil {
		require.ErrorContains(t, err, "hand over unpushed writes")
	}
}

func TestAPeerThatDoesNotAnswerIsCounted(t *testing.T) {
	ctx := within(t)
	node, err := gokv.NewNode(gokv.Config{
		PeerAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Join: []string{"127.0.0.1:1"}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, node.Start(ctx))
	defer func() { require.NoError(t, node.Stop(ctx)) }()
	require.Eventually(t, func() bool {
		return !strings.Contains(body(t, node, "/metrics"), `gokv_discovery_failures_total{provider="static"} 0`)
	}, time.Minute, 10*time.Millisecond)
}

func body(t *testing.T, node *gokv.Node, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + node.Addrs().HTTP + path)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	http.DefaultClient.CloseIdleConnections()
	return string(text)
}

func TestClientsAreCountedByTransport(t *testing.T) {
	c := clustertest.Start(t, 1, func(_ string, cfg *gokv.Config) {
		cfg.ClientAddr, cfg.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0"
	})
	node := c.Node("a")
	for transport, scheme := range map[string]string{"quic": "quic://", "tls": "tls://"} {
		series := `gokv_client_connections{transport="` + transport + `"} `
		outside, err := client.New(client.Config{Addrs: []string{scheme + node.Addrs().Client}})
		require.NoError(t, err)
		require.NoError(t, outside.Ping(within(t)))
		require.Contains(t, body(t, node, "/metrics"), series+"1\n")
		require.NoError(t, outside.Close())
		require.Eventually(t, func() bool { return strings.Contains(body(t, node, "/metrics"), series+"0\n") }, time.Minute, time.Millisecond)
	}
}
