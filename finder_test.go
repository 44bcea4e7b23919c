package gokv_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/discovery"
)

// registry is a discovery service in memory: who registers is found by the
// rest. What fails and what else is named can be set.
type registry struct {
	mu    sync.Mutex
	addrs map[*registrant]string
	extra []string
	fails error
}

func newRegistry() *registry {
	return &registry{addrs: make(map[*registrant]string)}
}

func (r *registry) set(fails error, extra ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails, r.extra = fails, extra
}

// registrant is one node's provider.
type registrant struct {
	*registry
	self    discovery.Self
	asked   int
	closed  int
	initErr error
}

func (r *registry) provider() *registrant { return &registrant{registry: r} }

func (p *registrant) ID() string                   { return "registry" }
func (p *registrant) Announce(self discovery.Self) { p.self = self }

func (p *registrant) Initialize(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.initErr
}

func (p *registrant) Register(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails != nil {
		return p.fails
	}
	p.addrs[p] = p.self.Addr
	return nil
}

func (p *registrant) Deregister(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.addrs, p)
	return nil
}

func (p *registrant) DiscoverPeers(context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.fails != nil {
		return nil, p.fails
	}
	found := slices.Clone(p.extra)
	for _, addr := range p.addrs {
		found = append(found, addr)
	}
	return found, nil
}

func (p *registrant) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed++
	return nil
}

func (p *registrant) questions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// startWith starts a node on a free port, and stops it with the test.
func startWith(t *testing.T, cfg gokv.Config) *gokv.Node {
	t.Helper()
	cfg.PeerAddr = "127.0.0.1:0"
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	node, err := gokv.NewNode(cfg)
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, node.Stop(ctx))
	})
	return node
}

func alive(n *gokv.Node) int {
	count := 0
	for _, m := range n.Members() {
		if m.State == "alive" {
			count++
		}
	}
	return count
}

func TestWhoFindsNobodyIsReadyAfterThreeSeconds(t *testing.T) {
	for name, extra := range map[string][]string{"nobody": nil, "a dead seed": {"127.0.0.1:1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistry()
			r.set(nil, extra...)
			begin := time.Now()
			node := startWith(t, gokv.Config{Discovery: r.provider()})
			require.Eventually(t, node.Ready, time.Minute, time.Millisecond)
			require.GreaterOrEqual(t, time.Since(begin), 3*time.Second)
		})
	}
}

func TestAFailingDiscoveryNeverMakesAnEmptyCluster(t *testing.T) {
	r := newRegistry()
	r.set(errors.New("the service is down"))
	p := r.provider()
	node := startWith(t, gokv.Config{Discovery: p, HTTPAddr: "127.0.0.1:0"})
	begin := time.Now()
	require.Eventually(t, func() bool { return p.questions() >= 6 && time.Since(begin) > 5*time.Second }, time.Minute, 10*time.Millisecond)
	require.False(t, node.Ready())
	page := body(t, node, "/metrics")
	require.NotContains(t, page, `gokv_discovery_failures_total{provider="registry"} 0`)
	require.Contains(t, page, "gokv_ready 0")
	for _, id := range []string{"static", "dns", "nats", "kubernetes"} {
		require.Contains(t, page, fmt.Sprintf("gokv_discovery_failures_total{provider=%q} 0", id))
	}

	r.set(nil)
	require.Eventually(t, node.Ready, time.Minute, time.Millisecond)
	require.Contains(t, body(t, node, "/metrics"), "gokv_ready 1")

	r.set(errors.New("down again"))
	require.Never(t, func() bool { return !node.Ready() }, time.Second, 10*time.Millisecond)
}

func TestFiftyNodesThatStartAtOnceAreOneCluster(t *testing.T) {
	count := 50
	if testing.Short() || raceEnabled {
		count = 15 // 50 are 2,450 handshakes on two cores
	}
	r := newRegistry()
	nodes := make([]*gokv.Node, count)
	begin := time.Now()
	for i := range nodes {
		node, err := gokv.NewNode(gokv.Config{
			Name: fmt.Sprintf("n%02d", i), PeerAddr: "127.0.0.1:0", Discovery: r.provider(), Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		nodes[i] = node
	}
	var stopped sync.WaitGroup
	defer stopped.Wait()
	for _, n := range nodes {
		require.NoError(t, n.Start(t.Context()))
		defer stopped.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := n.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	// Seconds on two quiet cores. Where five others want them too, probes time out,
	// members are suspected, and it takes minutes.
	for _, n := range nodes {
		require.Eventually(t, func() bool { return n.Ready() && alive(n) == len(nodes) }, 6*time.Minute, 10*time.Millisecond)
	}
	t.Logf("%d nodes in one process: all see all after %v", count, time.Since(begin).Round(time.Millisecond))
}

func TestTwoClustersThatDiscoverEachOtherLaterMerge(t *testing.T) {
	left, right := newRegistry(), newRegistry()
	a := startWith(t, gokv.Config{Name: "a", Discovery: left.provider(), BootstrapExpect: 2})
	b := startWith(t, gokv.Config{Name: "b", Discovery: left.provider(), BootstrapExpect: 2})
	c := startWith(t, gokv.Config{Name: "c", Discovery: right.provider()})
	nodes := []*gokv.Node{a, b, c}
	for _, n := range nodes {
		require.Eventually(t, n.Ready, time.Minute, time.Millisecond)
	}
	require.NoError(t, a.Client().Put(t.Context(), "from", []byte("left")))
	require.NoError(t, c.Client().Put(t.Context(), "of", []byte("right")))
	right.set(nil, b.Self().PeerAddr)
	for _, n := range nodes {
		require.Eventually(t, func() bool {
			_, err1 := n.Client().Get(t.Context(), "from")
			_, err2 := n.Client().Get(t.Context(), "of")
			return err1 == nil && err2 == nil && alive(n) == 3
		}, time.Minute, 10*time.Millisecond)
	}
}

func TestAnotherClusterOrSecretNeverMerges(t *testing.T) {
	secret := func(b byte) []string {
		return []string{base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), 32)))}
	}
	r := newRegistry()
	begin := time.Now()
	a := startWith(t, gokv.Config{Name: "a", Secrets: secret('a'), Discovery: r.provider()})
	foreign := startWith(t, gokv.Config{Name: "b", Cluster: "another", Secrets: secret('a'), Discovery: r.provider()})
	for _, n := range []*gokv.Node{a, foreign} {
		require.Eventually(t, n.Ready, time.Minute, time.Millisecond, "each begins its own")
	}
	p := r.provider()
	mistaken := startWith(t, gokv.Config{Name: "c", Secrets: secret('c'), Discovery: p})
	require.Eventually(t, func() bool { return p.questions() >= 5 && time.Since(begin) > 8*time.Second }, time.Minute, 10*time.Millisecond)
	require.False(t, mistaken.Ready(), "a wrong secret makes no empty cluster beside the one that it belongs to")
	for _, n := range []*gokv.Node{a, foreign, mistaken} {
		require.Len(t, n.Members(), 1)
	}
}

func TestANameThatIsInUseEndsTheNewcomerAlone(t *testing.T) {
	r := newRegistry()
	logs := new(lines)
	x := startWith(t, gokv.Config{Name: "x", Discovery: r.provider(), Logger: slog.New(slog.NewTextHandler(logs, nil))})
	a := startWith(t, gokv.Config{Name: "a", Discovery: r.provider(), Logger: slog.New(slog.NewTextHandler(logs, nil))})
	for _, n := range []*gokv.Node{x, a} {
		require.Eventually(t, func() bool { return n.Ready() && alive(n) == 2 }, time.Minute, time.Millisecond)
	}
	second := startWith(t, gokv.Config{Name: "a", Discovery: r.provider()})
	select {
	case err := <-second.Fatal():
		require.ErrorContains(t, err, a.Self().PeerAddr)
		require.ErrorContains(t, err, second.Addrs().Peer)
	case <-time.After(time.Minute):
		t.Fatal("two members of one name")
	}
	require.False(t, second.Ready())
	// Whichever of the two was asked first has said so.
	require.Contains(t, logs.String(), "addr="+second.Addrs().Peer+" in_use_at="+a.Self().PeerAddr)
	for _, n := range []*gokv.Node{x, a} {
		require.True(t, n.Ready())
		require.Equal(t, a.Self().Instance, n.Members()[0].Instance)
	}
	select {
	case err := <-a.Fatal():
		t.Fatal(err)
	default:
	}
}

func TestWhatCanNeverSucceedEndsANodeThatWasNeverReady(t *testing.T) {
	r := newRegistry()
	p := r.provider()
	p.initErr = fmt.Errorf("5 attempts: %w", discovery.ErrPermanent)
	node := startWith(t, gokv.Config{Discovery: p})
	select {
	case err := <-node.Fatal():
		require.EqualError(t, err, "discovery registry: 5 attempts: giving up")
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
}

func TestAStoppedNodeHasDeregisteredAndClosedItsProvider(t *testing.T) {
	r := newRegistry()
	p := r.provider()
	node, err := gokv.NewNode(gokv.Config{PeerAddr: "127.0.0.1:0", Discovery: p, BootstrapExpect: 1, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	require.Eventually(t, func() bool { return p.questions() > 0 }, time.Minute, time.Millisecond)
	require.NoError(t, node.Stop(within(t)))
	require.Empty(t, r.addrs)
	require.Equal(t, 1, p.closed)
}

func TestAProviderIsRefusedBesideAListOrWithoutAName(t *testing.T) {
	err := gokv.Config{Join: []string{"127.0.0.1:1"}, Discovery: newRegistry().provider(), BootstrapExpect: 1001}.Validate()
	require.EqualError(t, err, "join: 1 addresses given, and a discovery provider: one of the two\nbootstrap-expect: 1001: 0 to 1000")
	require.ErrorContains(t, gokv.Config{Discovery: nameless{}}.Validate(), `discovery: the provider calls itself "No Name"`)
}

type nameless struct{ discovery.Provider }

func (nameless) ID() string { return "No Name" }

// lines is a log to be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
