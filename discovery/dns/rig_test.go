package dns

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/dns/dnstest"
)

const (
	host     = "gokv.test"
	srvName  = "_gokv._tcp.gokv.test"
	patience = 10 * time.Second
	often    = 10 * time.Millisecond
)

// newProvider makes a provider that asks the server, of host's addresses.
func newProvider(t *testing.T, s *dnstest.Server, change ...func(*Config)) *Provider {
	t.Helper()
	return newProviderAt(t, s.Addr(), change...)
}

func newProviderAt(t *testing.T, server string, change ...func(*Config)) *Provider {
	t.Helper()
	cfg := Config{DomainName: host, Port: 7946, Server: server, Timeout: 2 * time.Second}
	for _, c := range change {
		c(&cfg)
	}
	p, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	require.NoError(t, p.Initialize(t.Context()))
	require.NoError(t, p.Register(t.Context()))
	return p
}

func asService(c *Config) { c.DomainName, c.Port = srvName, 0 }
func ipv6(c *Config)      { c.IPv6 = true }
func impatient(c *Config) { c.Timeout = 50 * time.Millisecond }

// discover asks once, as the node does.
func discover(t *testing.T, p *Provider) ([]string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return p.DiscoverPeers(ctx)
}

func wantPeers(t *testing.T, p *Provider, want ...string) {
	t.Helper()
	got, err := discover(t, p)
	require.NoError(t, err)
	require.ElementsMatch(t, want, got)
}

func wantNobody(t *testing.T, p *Provider) {
	t.Helper()
	got, err := discover(t, p)
	require.NoError(t, err)
	require.Empty(t, got)
}

// wantFailure returns what the failed call found.
func wantFailure(t *testing.T, p *Provider, says ...string) []string {
	t.Helper()
	got, err := discover(t, p)
	require.Error(t, err)
	for _, s := range says {
		require.ErrorContains(t, err, s)
	}
	return got
}

// clock is time that passes when the test says so.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func useClock(p *Provider) *clock {
	c := &clock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	p.now = c.Now
	return c
}

// network is DNS servers at one port of several loopback addresses, and the
// resolv.conf that names them.
type network struct {
	t       *testing.T
	path    string
	port    string
	servers []*dnstest.Server
}

func newNetwork(t *testing.T, n int) *network {
	t.Helper()
	w := &network{t: t, path: filepath.Join(t.TempDir(), "resolv.conf")}
	first := dnstest.Start(t)
	_, port, err := net.SplitHostPort(first.Addr())
	require.NoError(t, err)
	w.port, w.servers = port, append(w.servers, first)
	for i := 2; i <= n; i++ {
		w.servers = append(w.servers, dnstest.StartAt(t, fmt.Sprintf("127.0.0.%d:%s", i, port)))
	}
	return w
}

func (w *network) write(text string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.path, []byte(text), 0o600))
}

// provider makes a provider that asks the system's servers.
func (w *network) provider(domain string) *Provider {
	w.t.Helper()
	p := newProvider(w.t, w.servers[0], func(c *Config) { c.DomainName, c.Server, c.Timeout = domain, "", 0 })
	p.system.path, p.system.port = w.path, w.port
	return p
}

// silent leaves every query without an answer.
func silent(dns.ResponseWriter, *dns.Msg) bool { return true }
