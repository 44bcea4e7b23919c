package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

type joinOptions struct {
	keys, valueBytes int
	joins            int           // quiet ones, and as many under load
	calm             time.Duration // of load without a join, before each join under it
	share            float64       // of what the members manage, as load
}

var defaultJoin = joinOptions{keys: 1_000_000, valueBytes: 100, joins: 3, calm: 4 * time.Second, share: 0.3}

const (
	joinTarget = 3.0  // s, for a million entries
	slowTarget = 1.20 // of what it is without a join
)

// measureJoin measures how long an empty node takes to join two that are full, and
// what that does to the clients of those two. Every node is a process of its own,
// the load is made by this one, and all share the machine.
func measureJoin(ctx context.Context, o joinOptions) (figures []figure, err error) {
	members, err := startMembers(ctx, 2)
	if err != nil {
		return nil, err
	}
	defer members.stop()
	if err := fillBatches(ctx, members.clients[0], o.keys, o.valueBytes); err != nil {
		return nil, err
	}
	for _, kv := range members.clients {
		if err := waitForEntries(ctx, kv, o.keys); err != nil {
			return nil, err
		}
	}
	timeTarget := 0.0
	if o.keys == defaultJoin.keys {
		timeTarget = joinTarget
	}

	var quiet, busy []joined
	for range o.joins {
		j, err := members.join(ctx, true)
		if err != nil {
			return nil, err
		}
		quiet = append(quiet, j)
	}
	figures = append(figures, joinFigures("an empty node", quiet, o.keys, timeTarget)...)

	capacity, err := capacityOf(ctx, members.clients, o)
	if err != nil {
		return nil, err
	}
	rate := o.share * capacity
	figures = append(figures,
		figure{Workload: "join", Name: "requests a second that two members manage, half of them puts", Value: capacity, Unit: "/s"},
		figure{Workload: "join", Name: "load while a node joins", Value: rate, Unit: "/s"})
	var calm, during served
	for range o.joins { // in turn, so that whatever else the machine does meets both
		before, after, j, err := members.joinUnderLoad(ctx, rate, o)
		if err != nil {
			return nil, err
		}
		calm.add(before)
		during.add(after)
		busy = append(busy, j)
	}
	figures = append(figures, joinFigures("an empty node under load", busy, o.keys, 0)...)
	return append(figures, slowed(&calm, &during)...), nil
}

// joinFigures are the medians of several joins.
func joinFigures(who string, runs []joined, keys int, target float64) []figure {
	ready := medianOf(runs, func(j joined) float64 { return j.ready.Seconds() })
	equal := medianOf(runs, func(j joined) float64 { return j.equal.Seconds() })
	out := []figure{{Workload: "join", Name: who + ", from the start of its process until it is ready", Value: ready, Unit: "s", Target: target}}
	if equal > 0 {
		out = append(out, figure{Workload: "join", Name: who + ", until it is equal to the others too", Value: equal, Unit: "s", Target: target})
	}
	return append(out, figure{
		Workload: "join", Name: who + ", entries that rounds brought, of those there are",
		Value: medianOf(runs, func(j joined) float64 { return j.received / float64(keys) }), Unit: "",
	})
}

// joined is one join.
type joined struct {
	ready, equal time.Duration // since the process was started; equal: 0 under load
	received     float64       // entries that rounds brought
}

// group is some gokv-node processes and a client of each.
type group struct {
	binaries clustertest.Binaries
	nodes    []*clustertest.Process
	clients  []*client.Client
	stop     func()
}

func startMembers(ctx context.Context, n int) (*group, error) {
	binaries, nodes, stop, err := processes(ctx, n)
	if err != nil {
		return nil, err
	}
	g := &group{binaries: binaries, nodes: nodes}
	g.stop = func() {
		for _, kv := range g.clients {
			_ = kv.Close() // its node is about to be killed
		}
		stop()
	}
	for _, p := range nodes {
		kv, err := client.New(client.Config{Addrs: []string{"tls://" + p.Client}})
		if err != nil {
			g.stop()
			return nil, err
		}
		g.clients = append(g.clients, kv)
	}
	return g, nil
}

// join starts an empty node that joins the group, waits until it is ready, and, if
// nobody writes, until it holds what the others do. It leaves again.
func (g *group) join(ctx context.Context, alone bool) (j joined, err error) {
	began := time.Now()
	p, err := g.binaries.StartNode(ctx, "--name", "joiner", "--log-level", "error", "--join", g.nodes[0].Peer)
	if err != nil {
		return j, err
	}
	defer p.Kill()
	if err := p.WaitReady(ctx); err != nil {
		return j, err
	}
	j.ready = time.Since(began)
	kv, err := client.New(client.Config{Addrs: []string{"tls://" + p.Client}})
	if err != nil {
		return j, err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	if alone {
		if err := waitEqual(ctx, kv, g.clients[0]); err != nil {
			return j, err
		}
		j.equal = time.Since(began)
	}
	if j.received, err = metric(ctx, p.HTTP, `gokv_sync_entries_total{direction="received"}`); err != nil {
		return j, err
	}
	if _, err := p.Terminate(ctx); err != nil {
		return j, err
	}
	return j, nil
}

// joinUnderLoad serves clients for a while, and then while a node joins.
func (g *group) joinUnderLoad(ctx context.Context, rate float64, o joinOptions) (calm, during *served, j joined, err error) {
	if calm, err = openLoop(ctx, g.clients, rate, o, func(ctx context.Context) error { return pause(ctx, o.calm) }); err != nil {
		return nil, nil, j, err
	}
	during, err = openLoop(ctx, g.clients, rate, o, func(ctx context.Context) (err error) {
		j, err = g.join(ctx, false)
		return err
	})
	return calm, during, j, err
}

func waitEqual(ctx context.Context, kvs ...*client.Client) error {
	for {
		roots := map[string]struct{}{}
		for _, kv := range kvs {
			status, err := kv.Status(ctx)
			if err != nil {
				return err
			}
			roots[status.RootDigest] = struct{}{}
		}
		if len(roots) == 1 {
			return nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

func waitForEntries(ctx context.Context, kv *client.Client, entries int) error {
	for {
		status, err := kv.Status(ctx)
		if err != nil {
			return err
		}
		if status.Entries == uint64(entries) {
			return nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d entries: %w", status.Entries, entries, err)
		}
	}
}

// metric reads one series from a node's /metrics.
func metric(ctx context.Context, addr, series string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			return strconv.ParseFloat(rest, 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", addr, series)
}
