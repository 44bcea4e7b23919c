package main

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

type busyOptions struct {
	keys, valueBytes int
	rate             float64 // puts a second on each node
	window           time.Duration
}

var defaultBusy = busyOptions{keys: 200_000, valueBytes: 100, rate: 20_000, window: 10 * time.Second}

// uselessTarget is the part of the entries sent that may be of no use, in percent.
const uselessTarget = 1.0

// measureBusy counts what rounds send for nothing while both of two nodes are
// written to. An entry is of no use where it had come before, by a push or a round.
func measureBusy(ctx context.Context, o busyOptions) (figures []figure, err error) {
	c, err := clustertest.New(ctx, clustertest.Options{Nodes: 2, Configure: func(_ string, cfg *gokv.Config) { cfg.HTTPAddr = "127.0.0.1:0" }})
	if err != nil {
		return nil, err
	}
	defer func() { err = closeCluster(c, err) }()
	if err := fillBatches(ctx, c.Node("a").Client(), o.keys, o.valueBytes); err != nil {
		return nil, err
	}
	if err := c.WaitConverged(ctx); err != nil {
		return nil, err
	}
	before, err := traffic(ctx, c)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	puts := 0
	group, during := errgroup.WithContext(ctx)
	counts := make([]int, 2)
	for i, name := range c.Names() {
		group.Go(func() (err error) {
			counts[i], err = paced(during, c.Node(name).Client(), uint64(i), o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, n := range counts {
		puts += n
	}
	took := time.Since(began).Seconds()
	if err := c.WaitConverged(ctx); err != nil {
		return nil, err
	}
	after, err := traffic(ctx, c)
	if err != nil {
		return nil, err
	}
	d := map[string]float64{}
	for series := range after {
		d[series] = after[series] - before[series]
	}
	byRounds, byPushes := d[`gokv_sync_entries_total{direction="received"}`], d[`gokv_push_entries_total{direction="received"}`]
	useless := d[`gokv_entries_ignored_total{by="round"}`] + d[`gokv_entries_ignored_total{by="push"}`]
	percent := func(of float64) float64 { return 100 * useless / max(of, 1) }
	return []figure{
		{Workload: "sync", Name: "under load: puts a second on each node", Value: float64(puts) / took / 2, Unit: "/s"},
		{Workload: "sync", Name: "under load: rounds that repaired something", Value: d[`gokv_sync_rounds_total{result="repaired",role="initiator"}`], Unit: ""},
		{Workload: "sync", Name: "under load: entries pushed", Value: byPushes, Unit: ""},
		{Workload: "sync", Name: "under load: entries sent in rounds", Value: byRounds, Unit: ""},
		{Workload: "sync", Name: "under load: entries that came twice", Value: useless, Unit: ""},
		{Workload: "sync", Name: "under load: these, of all entries sent", Value: percent(byRounds + byPushes), Unit: "%", Target: uselessTarget},
		{Workload: "sync", Name: "under load: these, of the entries sent in rounds", Value: percent(byRounds), Unit: "%"},
	}, nil
}

// traffic is the sum of some counters over all nodes.
func traffic(ctx context.Context, c *clustertest.Cluster) (map[string]float64, error) {
	sum := map[string]float64{}
	for _, name := range c.Names() {
		for _, series := range []string{
			`gokv_sync_entries_total{direction="received"}`, `gokv_push_entries_total{direction="received"}`,
			`gokv_entries_ignored_total{by="round"}`, `gokv_entries_ignored_total{by="push"}`,
			`gokv_sync_rounds_total{result="repaired",role="initiator"}`,
		} {
			v, err := metric(ctx, c.Node(name).Addrs().HTTP, series)
			if err != nil {
				return nil, err
			}
			sum[series] += v
		}
	}
	return sum, nil
}

// paced overwrites random keys at a rate, and returns how often it has.
func paced(ctx context.Context, kv *client.Client, seed uint64, o busyOptions) (n int, err error) {
	r := rand.New(rand.NewPCG(seed, 3))
	payload := value(int(seed), 1, o.valueBytes)
	for began := time.Now(); time.Since(began) < o.window; {
		for ; float64(n) < o.rate*time.Since(began).Seconds(); n++ {
			if err := kv.Put(ctx, key(r.IntN(o.keys)), payload); err != nil {
				return n, err
			}
		}
		if err := pause(ctx, loopTick); err != nil {
			return n, err
		}
	}
	return n, nil
}
