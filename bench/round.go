package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/internal/clustertest"
)

type roundOptions struct {
	keys, differing, valueBytes int
}

var defaultRound = roundOptions{keys: 100_000, differing: 10, valueBytes: 100}

// behind is how far b's clock is set back while a writes what is to differ: past
// what b parks, so that it refuses the pushes. Its own writes stay acceptable to
// a, and no connection has to be cut for the nodes to come to differ.
const (
	allowedSkew = 500 * time.Millisecond
	behind      = time.Minute + allowedSkew
)

// measureRound counts the UDP payload of one round between two nodes, over
// connections that are up, with everything that the round causes.
func measureRound(ctx context.Context, o roundOptions) (figures []figure, err error) {
	var setBack atomic.Int64
	c, err := twoThatDrift(ctx, &setBack)
	if err != nil {
		return nil, err
	}
	defer func() { err = closeCluster(c, err) }()
	a := c.Node("a")
	if err := fill(ctx, a.Client(), o.keys, o.valueBytes); err != nil {
		return nil, err
	}
	if err := c.WaitConverged(ctx); err != nil {
		return nil, err
	}

	entryBytes, err := drift(ctx, c, &setBack, 1, o)
	if err != nil {
		return nil, err
	}

	before, packets, began := c.Network().Sent(), c.Network().Packets(), time.Now()
	results, err := a.Sync(ctx)
	if err != nil {
		return nil, err
	}
	// A digest of one byte that collides leaves an entry to a second round, which
	// follows at once and belongs to the cost.
	agree, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := c.WaitConverged(agree); err != nil {
		return nil, fmt.Errorf("after a round (%+v): %w", results, err)
	}
	took := time.Since(began)
	if err := pause(ctx, 100*time.Millisecond); err != nil { // its last acknowledgements
		return nil, err
	}
	udp, datagrams := c.Network().Sent()-before, c.Network().Packets()-packets
	figures = []figure{
		{Workload: "round", Name: "UDP payload, both ways", Value: float64(udp), Unit: "B"},
		{Workload: "round", Name: "of that the entries' keys and values", Value: float64(entryBytes), Unit: "B"},
		{Workload: "round", Name: "datagrams, both ways", Value: float64(datagrams), Unit: ""},
		{Workload: "round", Name: "time", Value: float64(took.Microseconds()) / 1000, Unit: "ms"},
	}
	for _, r := range results {
		figures = append(figures,
			figure{Workload: "round", Name: "bytes of the first dialogue, both ways", Value: float64(r.BytesSent + r.BytesReceived), Unit: "B"},
			figure{Workload: "round", Name: "entries that the first one moved, both ways", Value: float64(r.EntriesSent + r.EntriesReceived), Unit: ""})
	}
	return figures, nil
}

// twoThatDrift starts two nodes between which no round is opened that is not asked
// for. The clock of b is set back by what is stored.
func twoThatDrift(ctx context.Context, setBack *atomic.Int64) (*clustertest.Cluster, error) {
	return clustertest.New(ctx, clustertest.Options{Nodes: 2, Configure: func(name string, cfg *gokv.Config) {
		cfg.SyncInterval = time.Hour
		cfg.MaxClockSkew = allowedSkew
		if name == "b" {
			cfg.Clock = func() time.Time { return time.Now().Add(-time.Duration(setBack.Load())) }
		}
	}})
}

// drift makes b lack what a writes: half of it is stale there, half missing.
func drift(ctx context.Context, c *clustertest.Cluster, setBack *atomic.Int64, generation int, o roundOptions) (entryBytes int, err error) {
	a, b := c.Node("a"), c.Node("b")
	setBack.Store(int64(behind))
	defer setBack.Store(0)
	for i := range o.differing {
		k := i * (o.keys / max(o.differing, 1)) // stale on b
		if i%2 == 1 {
			k = o.keys*generation + i // missing on b
		}
		v := value(k, generation, o.valueBytes)
		entryBytes += len(key(k)) + len(v)
		if err := a.Client().Put(ctx, key(k), v); err != nil {
			return 0, err
		}
	}
	if err := pause(ctx, time.Second); err != nil { // the pushes, and what they are answered
		return 0, err
	}
	if o.differing > 0 && a.Status().RootDigest == b.Status().RootDigest {
		return 0, errors.New("the nodes do not differ: b took the pushes that it was to refuse")
	}
	return entryBytes, nil
}

// closeCluster stops a cluster that a workload is done with.
func closeCluster(c *clustertest.Cluster, err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return errors.Join(err, c.Close(ctx))
}
