package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

// hosts counts the loopback addresses that were handed out.
var hosts atomic.Uint32

// addresses returns n addresses for peers, on one port of a host each, as nodes
// have them that A records or pods stand for. The hosts are no other test's, and
// nobody's who binds 127.0.0.1: a port that is free now stays so.
func addresses(t *testing.T, n int) []string {
	t.Helper()
	first := nextHost()
	conn, err := net.ListenPacket("udp", first+":0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(conn.LocalAddr().String())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	addrs := []string{net.JoinHostPort(first, port)}
	for len(addrs) < n {
		addrs = append(addrs, net.JoinHostPort(nextHost(), port))
	}
	return addrs
}

func nextHost() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid%250, pid/250%250, 1+hosts.Add(1)%250)
}

// group runs subtests, several at a time.
type group struct {
	t    *testing.T
	errs errgroup.Group
}

// sideBySide is for tests that wait far more than they work. The testing package's
// own way would run no more of them than there are processors.
func sideBySide(t *testing.T, atATime int) *group {
	g := &group{t: t}
	g.errs.SetLimit(atATime)
	return g
}

// run starts a subtest as soon as there is room for it.
func (g *group) run(name string, test func(t *testing.T)) {
	g.errs.Go(func() error {
		g.t.Run(name, test)
		return nil // a failure is the subtest's
	})
}

func (g *group) wait() { _ = g.errs.Wait() }

// names are those of the nodes of startTogether.
func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "n" + fmt.Sprint(i+1)
	}
	return all
}

// startTogether starts a node for each address, all before any is waited for.
func startTogether(t *testing.T, addrs []string, flags ...string) []node {
	t.Helper()
	var group errgroup.Group
	started := make([]*clustertest.Process, len(addrs))
	for i, name := range names(len(addrs)) {
		group.Go(func() (err error) {
			started[i], err = binaries.StartNode(t.Context(), append([]string{"--name", name, "--peer-addr", addrs[i]}, flags...)...)
			return err
		})
	}
	err := group.Wait()
	var nodes []node
	for i, p := range started {
		if p != nil {
			nodes = append(nodes, adopt(t, names(len(addrs))[i], p))
		}
	}
	require.NoError(t, err)
	return nodes
}

// client is a client of this node alone, which speaks to no other when it is not
// ready. It ends with the test.
func (n node) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addrs: []string{n.Client}, TLSFirst: true, Timeout: 2 * time.Second, Attempts: 1})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// wantCluster waits until the nodes are one cluster, and shows that they share
// their data.
func wantCluster(t *testing.T, nodes ...node) {
	t.Helper()
	wantSeen(t, nodes...)
	wantShared(t, nodes...)
}

// wantSeen waits until each of the nodes is ready and knows them all as alive, and
// nobody else.
func wantSeen(t *testing.T, nodes ...node) {
	t.Helper()
	var want []string
	for _, n := range nodes {
		want = append(want, n.name+" alive")
	}
	slices.Sort(want)
	for _, n := range nodes {
		c := n.client(t)
		eventually(t, func() error { return sees(t.Context(), n, c, want) })
	}
}

// wantShared writes at each node and reads that at all of them.
func wantShared(t *testing.T, nodes ...node) {
	t.Helper()
	clients := make([]*client.Client, len(nodes))
	for i, n := range nodes {
		clients[i] = n.client(t)
		require.NoError(t, clients[i].Put(t.Context(), "written at "+n.name, []byte(n.HTTP)), "at %s", n.name)
	}
	for i, reader := range nodes {
		for _, writer := range nodes {
			eventually(t, func() error { return reads(t.Context(), clients[i], reader, "written at "+writer.name, writer.HTTP) })
		}
	}
}

// sees says how the members that a node knows differ from "name state", sorted,
// or that the node is not ready.
func sees(ctx context.Context, n node, c *client.Client, want []string) error {
	status, err := c.Status(ctx)
	if err != nil {
		return fmt.Errorf("status of %s: %w", n.name, err)
	}
	members, err := c.Members(ctx)
	if err != nil {
		return fmt.Errorf("members of %s: %w", n.name, err)
	}
	var got []string
	for _, m := range members {
		got = append(got, m.Name+" "+m.State)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s knows %q, not %q", n.name, got, want)
	}
	if !status.Ready {
		return fmt.Errorf("%s is not ready", n.name)
	}
	return nil
}

func reads(ctx context.Context, c *client.Client, n node, key, want string) error {
	e, err := c.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("get %q at %s: %w", key, n.name, err)
	}
	if string(e.Value) != want {
		return fmt.Errorf("get %q at %s: %q, not %q", key, n.name, e.Value, want)
	}
	return nil
}

// wantNotReady demands that a node runs and refuses to serve: a node that is an
// empty cluster of one would answer that there is no such key.
func wantNotReady(t *testing.T, n node) {
	t.Helper()
	r := n.gokv(t, "--timeout", "300ms", "get", "k")
	require.Equal(t, 3, r.exit, "%s is to be not ready: %s%s", n.name, r.stdout, r.stderr)
	require.Contains(t, r.stderr, "not ready", "of %s", n.name)
}

// wantAlive demands that the process has not ended.
func wantAlive(t *testing.T, n node) {
	t.Helper()
	select {
	case <-n.Exited():
		t.Fatalf("%s has ended:\n%s", n.name, n.Log())
	default:
	}
}

// wantNotBegunAlone demands that no node was ready before it knew another: not
// even for a moment was there a cluster of one.
func wantNotBegunAlone(t *testing.T, nodes ...node) {
	t.Helper()
	for _, n := range nodes {
		before, _, found := strings.Cut(n.Log(), "msg=ready ")
		require.True(t, found, "%s does not say that it is ready:\n%s", n.name, n.Log())
		require.Contains(t, before, `msg="member joined"`, "%s was a cluster of one", n.name)
	}
}

// count returns how often a text stands in a node's log.
func (n node) count(text string) int { return strings.Count(n.Log(), text) }

// wantFailures waits until a node has counted so many failures of a provider.
func (n node) wantFailures(t *testing.T, provider string, atLeast float64) {
	t.Helper()
	n.wantMore(t, failures(provider), atLeast-1)
}

func failures(provider string) string {
	return `gokv_discovery_failures_total{provider="` + provider + `"}`
}

// hostsOf returns the hosts of host:port addresses.
func hostsOf(t *testing.T, addrs []string) []string {
	t.Helper()
	var all []string
	for _, a := range addrs {
		h, _, err := net.SplitHostPort(a)
		require.NoError(t, err)
		all = append(all, h)
	}
	return all
}
