package hostlist_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/discoverytest"
	"github.com/tochemey/gokv/internal/hostlist"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a resolver whose records a test sets.
type names struct {
	mu      sync.Mutex
	records map[string][]netip.Addr
	down    bool
	asked   map[string]int

	running, most atomic.Int32
	gate          chan struct{} // look-ups wait for it to be closed; nil: none
	onLookup      func()        // called by each; nil: none
}

func (n *names) set(name string, ips ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.records == nil {
		n.records = map[string][]netip.Addr{}
	}
	delete(n.records, name)
	for _, ip := range ips {
		n.records[name] = append(n.records[name], netip.MustParseAddr(ip))
	}
}

func (n *names) fail(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

func (n *names) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	running := n.running.Add(1)
	defer n.running.Add(-1)
	for most := n.most.Load(); running > most && !n.most.CompareAndSwap(most, running); most = n.most.Load() {
	}
	if n.onLookup != nil {
		n.onLookup()
	}
	if n.gate != nil {
		select {
		case <-n.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.asked == nil {
		n.asked = map[string]int{}
	}
	n.asked[host]++
	if n.down {
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}
	ips, ok := n.records[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return ips, ctx.Err()
}

func provider(t *testing.T, n *names, addrs ...string) *hostlist.Provider {
	t.Helper()
	p, err := hostlist.NewWithResolver(addrs, n)
	require.NoError(t, err)
	return p
}

func TestAListOfNamesPassesTheSuite(t *testing.T) {
	n := &names{}
	n.set("peers.test", "127.0.0.1")
	discoverytest.Run(t, discoverytest.Harness{
		New: func(t *testing.T, self discovery.Self) discovery.Provider {
			return provider(t, n, self.Addr, "peers.test:7101")
		},
		Publish: func(_ *testing.T, addrs ...string) {
			ips := []string{"127.0.0.1"} // the list is never empty: its own node's address stands in it
			for _, a := range addrs {
				ips = append(ips, netip.MustParseAddrPort(a).Addr().String())
			}
			n.set("peers.test", ips...)
		},
		Break: func(*testing.T) { n.fail(true) },
		Mend:  func(*testing.T) { n.fail(false) },
		Addrs: func(count int) []string {
			addrs := make([]string, count)
			for i := range addrs {
				addrs[i] = fmt.Sprintf("127.0.0.%d:7101", 1+i)
			}
			return addrs
		},
	})
}

func TestMalformedEntriesAreAllNamed(t *testing.T) {
	_, err := hostlist.New([]string{"10.0.0.1:7946", "10.0.0.2", "10.0.0.3:0", ":7946", "10.0.0.4:65536", "[::]:7946", "::1:7946", "0.0.0.0:1", "a:http"})
	require.EqualError(t, err, strings.Join([]string{
		`"10.0.0.2": not host:port`,
		`"10.0.0.3:0": port "0" is not a number from 1 to 65535`,
		`":7946": "" is no host that can be dialled`,
		`"10.0.0.4:65536": port "65536" is not a number from 1 to 65535`,
		`"[::]:7946": "::" is no host that can be dialled`,
		`"::1:7946": not host:port`,
		`"0.0.0.0:1": "0.0.0.0" is no host that can be dialled`,
		`"a:http": port "http" is not a number from 1 to 65535`,
	}, "\n"))
}

func TestAddressesNeedNoLookUp(t *testing.T) {
	n := &names{down: true}
	addrs, err := provider(t, n, "10.0.0.1:7946", "[::1]:7946", "[fe80::1%lo]:1").DiscoverPeers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:7946", "[::1]:7946", "[fe80::1%lo]:1"}, addrs)
	require.Empty(t, n.asked)
}

func TestANameGivesAllItsAddressesAsTheyAreNow(t *testing.T) {
	n := &names{}
	n.set("a.test", "10.0.0.1", "fd00::1", "::ffff:10.0.0.2")
	p := provider(t, n, "a.test:7946")
	addrs, err := p.DiscoverPeers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:7946", "[fd00::1]:7946", "10.0.0.2:7946"}, addrs)

	n.set("a.test", "10.0.0.9")
	addrs, err = p.DiscoverPeers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.9:7946"}, addrs)
}

func TestAddressesThatStandTwiceAreGivenOnce(t *testing.T) {
	n := &names{}
	n.set("a.test", "10.0.0.1", "10.0.0.1", "10.0.0.2")
	n.set("b.test", "10.0.0.2")
	addrs, err := provider(t, n, "10.0.0.1:7946", "a.test:7946", "a.test:7946", "b.test:7946", "b.test:7947").DiscoverPeers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:7946", "10.0.0.2:7946", "10.0.0.2:7947"}, addrs)
	require.Equal(t, map[string]int{"a.test": 1, "b.test": 2}, n.asked)
}

// The user wrote that name: there is somebody, who does not answer yet.
func TestANameThatDoesNotExistIsASeedThatDoesNotAnswer(t *testing.T) {
	n := &names{}
	n.set("empty.test")
	n.records["empty.test"] = []netip.Addr{}
	addrs, err := provider(t, n, "later.test:7946", "10.0.0.1:7946", "empty.test:7946").DiscoverPeers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"later.test:7946", "10.0.0.1:7946", "empty.test:7946"}, addrs)
}

func TestALookUpThatFailsIsAnErrorBesideTheOtherAddresses(t *testing.T) {
	n := &names{down: true}
	addrs, err := provider(t, n, "a.test:7946", "10.0.0.1:7946").DiscoverPeers(t.Context())
	require.EqualError(t, err, "a.test:7946: lookup a.test: server misbehaving")
	require.Equal(t, []string{"10.0.0.1:7946"}, addrs)

	// The same failures make the same error, so that it is logged once.
	var list []string
	for i := range 100 {
		list = append(list, fmt.Sprintf("n%d.test:7946", i))
	}
	p := provider(t, n, list...)
	for range 10 {
		_, err = p.DiscoverPeers(t.Context())
		require.EqualError(t, err, "100 names could not be looked up, among them n0.test:7946: lookup n0.test: server misbehaving")
	}
}

func TestAtMostSixteenNamesAreLookedUpAtATime(t *testing.T) {
	n := &names{gate: make(chan struct{})}
	var list []string
	for i := range 100 {
		name := fmt.Sprintf("n%d.test", i)
		n.set(name, fmt.Sprintf("10.0.0.%d", 1+i))
		list = append(list, name+":7946")
	}
	done := make(chan struct{})
	var addrs []string
	var err error
	go func() {
		defer close(done)
		addrs, err = provider(t, n, list...).DiscoverPeers(context.Background())
	}()
	require.Eventually(t, func() bool { return n.running.Load() == 16 }, 30*time.Second, time.Millisecond)
	close(n.gate)
	<-done
	require.NoError(t, err)
	require.Len(t, addrs, 100)
	require.EqualValues(t, 16, n.most.Load())
}

func TestALookUpEndsWithItsContext(t *testing.T) {
	n := &names{gate: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n.onLookup = cancel
	addrs, err := provider(t, n, "a.test:7946", "10.0.0.1:7946").DiscoverPeers(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"10.0.0.1:7946"}, addrs)

	_, err = provider(t, n, "10.0.0.1:7946").DiscoverPeers(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestTenThousandEntriesAreFine(t *testing.T) {
	n := &names{}
	var list []string
	for i := range 10_000 {
		if i%2 == 0 {
			list = append(list, fmt.Sprintf("10.1.%d.%d:7946", i/250, 1+i%250))
			continue
		}
		name := fmt.Sprintf("n%d.test", i)
		n.set(name, fmt.Sprintf("10.2.%d.%d", i/250, 1+i%250))
		list = append(list, name+":7946")
	}
	addrs, err := provider(t, n, list...).DiscoverPeers(t.Context())
	require.NoError(t, err)
	require.Len(t, addrs, 10_000)
}

// Check is a decoder of what users type: whatever it accepts can be taken apart
// and dialled.
func FuzzCheck(f *testing.F) {
	f.Fuzz(func(t *testing.T, addr string) {
		p, err := hostlist.NewWithResolver([]string{addr}, &names{})
		if bad := hostlist.Check(addr); bad != nil {
			require.EqualError(t, err, bad.Error())
			require.Contains(t, bad.Error(), fmt.Sprintf("%q", addr))
			return
		}
		require.NoError(t, err)
		addrs, err := p.DiscoverPeers(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{addr}, addrs)
		host, _, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		require.NotEmpty(t, host)
	})
}
