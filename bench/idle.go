package main

import (
	"context"
	"time"

	"github.com/tochemey/gokv/internal/clustertest"
)

type idleOptions struct {
	nodes, keys, valueBytes int
	settle, window          time.Duration
}

var defaultIdle = idleOptions{nodes: 3, keys: 100_000, valueBytes: 100, settle: 5 * time.Second, window: 20 * time.Second}

// measureIdle counts what a converged cluster sends while nobody uses it, at the
// default sync interval of a second.
func measureIdle(ctx context.Context, o idleOptions) (figures []figure, err error) {
	c, err := clustertest.New(ctx, clustertest.Options{Nodes: o.nodes})
	if err != nil {
		return nil, err
	}
	defer func() { err = closeCluster(c, err) }()
	if err := fill(ctx, c.Node("a").Client(), o.keys, o.valueBytes); err != nil {
		return nil, err
	}
	if err := c.WaitConverged(ctx); err != nil {
		return nil, err
	}
	// Acknowledgements of the last pushes, and a probe or two that still carry
	// older roots.
	if err := pause(ctx, o.settle); err != nil {
		return nil, err
	}
	before, packets, began := c.Network().Sent(), c.Network().Packets(), time.Now()
	if err := pause(ctx, o.window); err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	return []figure{
		{Workload: "idle", Name: "UDP payload, all nodes together", Value: float64(c.Network().Sent()-before) / seconds, Unit: "B/s"},
		{Workload: "idle", Name: "datagrams, all nodes together", Value: float64(c.Network().Packets()-packets) / seconds, Unit: "/s"},
	}, nil
}
