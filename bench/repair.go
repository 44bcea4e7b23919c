package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tochemey/gokv/internal/clustertest"
)

const (
	repairs      = 9
	repairTarget = 150 // ms, at a thousand differences among a million entries
)

// measureRepair measures how long two nodes in this process, on loopback, take to
// agree again, from when a round is asked for: all sessions until the roots are equal.
func measureRepair(ctx context.Context, entries, differing, valueBytes int) (figures []figure, err error) {
	var setBack atomic.Int64
	o := roundOptions{keys: entries, differing: differing, valueBytes: valueBytes}
	c, err := twoThatDrift(ctx, &setBack)
	if err != nil {
		return nil, err
	}
	defer func() { err = closeCluster(c, err) }()
	a := c.Node("a")
	if err := fillBatches(ctx, a.Client(), entries, valueBytes); err != nil {
		return nil, err
	}
	if err := syncUntilEqual(ctx, c); err != nil { // what pushes lost in so fast a fill
		return nil, err
	}
	took := make([]time.Duration, repairs)
	for i := range took {
		if _, err := drift(ctx, c, &setBack, i+1, o); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := syncUntilEqual(ctx, c); err != nil {
			return nil, err
		}
		took[i] = time.Since(began)
	}
	target := 0.0
	if entries == defaultSync.entries && differing == 1_000 {
		target = repairTarget
	}
	figures = percentiles("sync", fmt.Sprintf("d=%d: time of a repair, two nodes on loopback", differing), took)
	figures[0].Target = target
	figures[1].Name = fmt.Sprintf("d=%d: time of a repair, two nodes on loopback, worst of %d", differing, repairs)
	return figures, nil
}

// syncUntilEqual asks for rounds until the two nodes hold the same.
func syncUntilEqual(ctx context.Context, c *clustertest.Cluster) error {
	a, b := c.Node("a"), c.Node("b")
	for a.Status().RootDigest != b.Status().RootDigest {
		if _, err := a.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}
