package clustertest

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
)

// patience bounds each wait of a T. It is no expectation: a healed partition is
// to be found within 10 s, and a shared machine may need several times that.
const patience = 60 * time.Second

// T is a Cluster in a test: what fails ends it.
type T struct {
	*Cluster
	t    testing.TB
	logs *lines
}

// Start starts a cluster of n nodes that is stopped, and its sockets closed, when
// the test ends. The nodes' logs are printed if the test fails.
func Start(t testing.TB, n int, configure ...func(name string, cfg *gokv.Config)) T {
	t.Helper()
	logs := &lines{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := New(ctx, Options{
		Nodes:  n,
		Logger: slog.New(slog.NewTextHandler(logs, nil)),
		Configure: func(name string, cfg *gokv.Config) {
			for _, change := range configure {
				change(name, cfg)
			}
		},
	})
	if err != nil {
		t.Log(logs)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
		if t.Failed() {
			t.Log(logs)
		}
	})
	return T{Cluster: c, t: t, logs: logs}
}

// lines gathers log lines of several goroutines.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
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

func (c T) client(name string) *client.Client {
	c.t.Helper()
	node := c.Node(name)
	require.NotNil(c.t, node, "node %s does not run", name)
	return node.Client()
}

// Partition cuts groups of nodes off from each other: Partition("a", "b|c").
func (c T) Partition(groups ...string) {
	c.t.Helper()
	var split [][]string
	for _, group := range groups {
		names := strings.Split(group, "|")
		for _, name := range names {
			require.NotNil(c.t, c.Node(name), "partition: node %s does not run", name)
		}
		split = append(split, names)
	}
	c.network.Split(split)
}

// Heal ends every partition.
func (c T) Heal() { c.network.Heal() }

// Put writes through one node.
func (c T) Put(node, key, value string, options ...client.PutOption) {
	c.t.Helper()
	require.NoError(c.t, c.client(node).Put(c.t.Context(), key, []byte(value), options...), "put through %s", node)
}

// Delete deletes through one node.
func (c T) Delete(node, key string) {
	c.t.Helper()
	require.NoError(c.t, c.client(node).Delete(c.t.Context(), key), "delete through %s", node)
}

// Kill crashes a node.
func (c T) Kill(name string) {
	c.t.Helper()
	require.NoError(c.t, c.Crash(c.t.Context(), name))
}

// Revive starts a crashed node again, empty.
func (c T) Revive(name string) {
	c.t.Helper()
	require.NoError(c.t, c.Restart(c.t.Context(), name))
}

// WantAlive waits until a node has given up all but the named ones: "a|b". A
// member that is only suspected counts still.
func (c T) WantAlive(node, names string) {
	c.t.Helper()
	c.eventually(func() bool {
		members, err := c.client(node).Members(c.t.Context())
		require.NoError(c.t, err)
		return strings.Join(namesOf(members, "alive", "suspect"), "|") == names
	}, node+" does not come to have exactly "+names+" for members")
}

// WantConverged waits until all running nodes agree, demands that they list the
// same entries, and that each holds the given keys and values: key, value, key,
// value. An empty value stands for a key that must not exist.
func (c T) WantConverged(pairs ...string) {
	c.t.Helper()
	require.Zero(c.t, len(pairs)%2, "a key without a value")
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	require.NoError(c.t, c.WaitConverged(ctx))

	names := c.Names()
	first := c.Entries(names[0])
	for _, name := range names {
		entries := c.Entries(name)
		require.Equal(c.t, first, entries, "the entries of %s and %s", names[0], name)
		for i := 0; i < len(pairs); i += 2 {
			e, held := entries[pairs[i]]
			require.Equal(c.t, pairs[i+1] != "", held, "%s on %s", pairs[i], name)
			require.Equal(c.t, pairs[i+1], string(e.Value), "%s on %s", pairs[i], name)
		}
	}
}

// Entries returns what a node lists.
func (c T) Entries(name string) map[string]client.Entry {
	c.t.Helper()
	all := make(map[string]client.Entry)
	for e, err := range c.client(name).List(c.t.Context()) {
		require.NoError(c.t, err, "list of %s", name)
		all[e.Key] = e
	}
	return all
}

// eventually asks until ask is true.
func (c T) eventually(ask func() bool, complaint string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-ctx.Done():
			require.Fail(c.t, complaint)
		case <-tick.C:
		}
	}
}
