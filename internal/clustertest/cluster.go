package clustertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
)

// Options say what a Cluster is made of. The zero value is three nodes with
// gokv's defaults that log nothing.
type Options struct {
	// Nodes is how many there are, 1 to 26; default 3.
	Nodes int
	// Configure, if set, changes a node's configuration before it is made.
	Configure func(name string, cfg *gokv.Config)
	// Logger takes the nodes' logs, each with a "node" attribute; default: none.
	Logger *slog.Logger
}

// Cluster is a number of nodes over one Network.
type Cluster struct {
	network *Network
	options Options

	mu    sync.Mutex
	nodes map[string]*member
}

type member struct {
	node *gokv.Node // nil: crashed
	conn *Conn
	addr string // the peers' address, kept over a crash
}

// New starts a cluster and waits until it has converged, every node ready.
func New(ctx context.Context, o Options) (*Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Nodes < 1 || o.Nodes > 26 {
		return nil, fmt.Errorf("cluster of %d nodes: 1 to 26", o.Nodes)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Cluster{network: NewNetwork(), options: o, nodes: make(map[string]*member)}
	for i := range o.Nodes {
		if err := c.start(ctx, string(rune('a'+i)), "127.0.0.1:0"); err != nil {
			return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
		}
	}
	if err := c.WaitConverged(ctx); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, name, addr string) error {
	conn, err := c.network.Listen(name, addr)
	if err != nil {
		return err
	}
	cfg := gokv.Config{Name: name, PeerConn: conn, Join: c.peersOf(name), Logger: c.options.Logger.With("node", name)}
	if c.options.Configure != nil {
		c.options.Configure(name, &cfg)
	}
	node, err := gokv.NewNode(cfg)
	if err != nil {
		return errors.Join(fmt.Errorf("node %s: %w", name, err), conn.Close())
	}
	if err := node.Start(ctx); err != nil {
		return fmt.Errorf("node %s: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[name] = &member{node: node, conn: conn, addr: conn.LocalAddr().String()}
	return nil
}

// peersOf returns the addresses of all nodes but the named one.
func (c *Cluster) peersOf(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var addrs []string
	for _, other := range slices.Sorted(maps.Keys(c.nodes)) {
		if other != name {
			addrs = append(addrs, c.nodes[other].addr)
		}
	}
	return addrs
}

// Network is the network between the nodes.
func (c *Cluster) Network() *Network { return c.network }

// Names returns the running nodes' names in order.
func (c *Cluster) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		if c.nodes[name].node != nil {
			names = append(names, name)
		}
	}
	return names
}

// Node returns a running node; nil where there is none of that name.
func (c *Cluster) Node(name string) *gokv.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.nodes[name]; m != nil {
		return m.node
	}
	return nil
}

// Crash ends a node without a farewell: the others hear nothing more from it.
func (c *Cluster) Crash(ctx context.Context, name string) error {
	c.mu.Lock()
	m := c.nodes[name]
	if m == nil || m.node == nil {
		c.mu.Unlock()
		return fmt.Errorf("crash %s: no such node runs", name)
	}
	node := m.node
	m.node = nil
	m.conn.Silence()
	c.mu.Unlock()

	// It talks to nobody any more, so that there is nothing to wait for.
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := node.Stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("crash %s: %w", name, err)
	}
	return nil
}

// Restart starts a crashed node again, empty, at its old address.
func (c *Cluster) Restart(ctx context.Context, name string) error {
	c.mu.Lock()
	m := c.nodes[name]
	c.mu.Unlock()
	if m == nil || m.node != nil {
		return fmt.Errorf("restart %s: it is not a crashed node", name)
	}
	return c.start(ctx, name, m.addr)
}

// Add starts another node, empty, that joins those there are.
func (c *Cluster) Add(ctx context.Context, name string) error {
	c.mu.Lock()
	known := c.nodes[name] != nil
	c.mu.Unlock()
	if known {
		return fmt.Errorf("add %s: there is a node of that name", name)
	}
	return c.start(ctx, name, "127.0.0.1:0")
}

// Close stops every node.
func (c *Cluster) Close(ctx context.Context) error {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, name := range c.Names() {
		wait.Go(func() {
			if err := c.Node(name).Stop(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("stop %s: %w", name, err))
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// WaitConverged waits until every running node is ready, knows exactly the others
// as alive, and has the same root digest as they. Its error says what is missing.
func (c *Cluster) WaitConverged(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		missing, err := c.missing(ctx)
		if err == nil && missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not converged: %s: %w", missing, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// missing says in a few words why the cluster has not converged; nothing when it
// has.
func (c *Cluster) missing(ctx context.Context) (string, error) {
	names := c.Names()
	root := ""
	for _, name := range names {
		kv := c.Node(name).Client()
		status, err := kv.Status(ctx)
		if err != nil {
			return "", fmt.Errorf("status of %s: %w", name, err)
		}
		if !status.Ready {
			return name + " is not ready", nil
		}
		members, err := kv.Members(ctx)
		if err != nil {
			return "", fmt.Errorf("members of %s: %w", name, err)
		}
		if alive := namesOf(members, "alive"); !slices.Equal(alive, names) {
			return fmt.Sprintf("%s knows %v alive, not %v", name, alive, names), nil
		}
		if root == "" {
			root = status.RootDigest
		}
		if status.RootDigest != root {
			return fmt.Sprintf("the root digest of %s is %s, that of %s %s", names[0], root, name, status.RootDigest), nil
		}
	}
	return "", nil
}

// namesOf returns the names of the members in any of the states, sorted.
func namesOf(members []client.Member, states ...string) []string {
	var names []string
	for _, m := range members {
		if slices.Contains(states, m.State) {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return names
}
