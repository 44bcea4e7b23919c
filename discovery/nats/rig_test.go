package nats

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
)

const (
	patience = 20 * time.Second // for what is bound to happen
	often    = 10 * time.Millisecond
)

// quick is a configuration that does not make tests wait.
func quick(url string) Config {
	return Config{Server: url, Timeout: 250 * time.Millisecond, ReconnectWait: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
}

// prepared returns a provider of the cluster for the node at addr, not initialized.
func prepared(t *testing.T, cfg Config, cluster, addr string) *Provider {
	t.Helper()
	p, err := New(cfg)
	require.NoError(t, err)
	p.quiet = 300 * time.Millisecond
	p.Announce(discovery.Self{Cluster: cluster, Name: "node at " + addr, Instance: rand.Uint64(), Addr: addr})
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// connected returns one that is initialized.
func connected(t *testing.T, cfg Config, cluster, addr string) *Provider {
	t.Helper()
	p := prepared(t, cfg, cluster, addr)
	require.NoError(t, p.Initialize(t.Context()))
	return p
}

// registered returns one that is initialized and registered.
func registered(t *testing.T, cfg Config, cluster, addr string) *Provider {
	t.Helper()
	p := connected(t, cfg, cluster, addr)
	require.Eventually(t, func() bool { return p.Register(t.Context()) == nil }, patience, often)
	return p
}

// ask asks as a node does.
func ask(t *testing.T, p *Provider) ([]string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	addrs, err := p.DiscoverPeers(ctx)
	slices.Sort(addrs)
	return addrs, err
}

// wantPeers waits for an answer without an error that names exactly these.
func wantPeers(t *testing.T, p *Provider, want ...string) {
	t.Helper()
	var addrs []string
	var err error
	deadline := time.Now().Add(patience)
	for {
		addrs, err = ask(t, p)
		if err == nil && slices.Equal(addrs, want) {
			return
		}
		require.True(t, time.Now().Before(deadline), "want %v, have %v, %v", want, addrs, err)
	}
}

// neverNobody asks until the answer is want, and fails for one that is believed
// and is not.
func neverNobody(t *testing.T, p *Provider, want ...string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		addrs, err := ask(t, p)
		if err == nil {
			require.Equal(t, want, addrs, "an answer without an error that is not whole")
			return
		}
		require.True(t, time.Now().Before(deadline), "still %v", err)
	}
}

// wantError waits until asking fails, and returns why.
func wantError(t *testing.T, p *Provider) error {
	t.Helper()
	var err error
	require.Eventually(t, func() bool { _, err = ask(t, p); return err != nil }, patience, often)
	return err
}

// stranger is a client that knows the subject and nothing of the protocol.
func stranger(t *testing.T, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// transcript is a logger's output.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *transcript) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
