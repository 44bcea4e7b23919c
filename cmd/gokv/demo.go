package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// Bounds of the demonstration's entries: fewer show nothing, more take long.
const (
	demoEntries    = 20_000
	demoEntriesMin = 100
	demoEntriesMax = 1_000_000
)

// How long the demonstration waits for what should take seconds at most.
const (
	demoJoinBound  = 30 * time.Second
	demoEqualBound = 60 * time.Second
	demoStopBound  = 10 * time.Second
)

func (a *app) demoCommand() *cobra.Command {
	var entries int
	c := &cobra.Command{
		Use:   "demo",
		Short: "see a cluster partitioned, written on both sides, healed and equal",
		Long: `Runs a cluster of three nodes in this process, over real sockets on loopback and
with a secret of its own. Loads entries, cuts the network in two, writes on both
sides, heals it, and shows what crossed the wire until all was equal again,
beside what sending everything would have cost.

It takes some 10 seconds and needs nothing else. It fails, with status 3, where
the nodes do not come to hold the same.`,
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			if entries < demoEntriesMin || entries > demoEntriesMax {
				return misuse("demo: --entries is %d: from %d to %d", entries, demoEntriesMin, demoEntriesMax)
			}
			if a.format == formatJSON {
				return misuse("demo: it has no output in JSON")
			}
			d := &demo{view: newDemoView(a.out, a.stdout), network: &demoNetwork{}, entries: entries}
			return d.run(c.Context())
		},
	}
	c.Flags().IntVar(&entries, "entries", demoEntries, "how many entries to load")
	return c
}

// demo is the demonstration: its cluster and what it remembers between acts.
type demo struct {
	view    *demoView
	network *demoNetwork
	nodes   []*demoNode // a, b, c
	entries int

	loadBytes uint64 // crossed the wire for the load
	differing uint64 // bytes of the entries written while cut
	written   int    // their number
}

func (d *demo) run(ctx context.Context) (err error) {
	defer func() {
		// The interrupt that may have ended the story must not end the cleaning up.
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoStopBound)
		defer cancel()
		if stopErr := d.stop(stop); err == nil {
			err = stopErr
		}
	}()
	for _, act := range []func(context.Context) error{d.start, d.load, d.idle, d.cut, d.heal, d.verify} {
		if err := act(ctx); err != nil {
			d.view.clear()
			return fmt.Errorf("demo: %w", err)
		}
		if d.view.err != nil {
			return d.view.err
		}
	}
	return nil
}

// errNotConverged is why a demonstration fails that ought not to.
func errNotConverged(format string, args ...any) error {
	return &statusError{status: exitNotConverged, err: fmt.Errorf(format, args...)}
}

const exitNotConverged = 3

// await waits until done says so, or for an error of its own, ctx or the bound.
// What it waits for is state, so it looks again every few milliseconds.
func (d *demo) await(ctx context.Context, what string, bound time.Duration, done func() (bool, error)) error {
	begin := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			d.view.clear()
			return err
		}
		if time.Since(begin) > bound {
			d.view.clear()
			return errNotConverged("%s: not after %v: %s", what, bound, d.describe(ctx))
		}
		d.view.waiting(what, time.Since(begin))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// describe says what each node holds, for an error.
func (d *demo) describe(ctx context.Context) string {
	text := ""
	for i, n := range d.nodes {
		if i > 0 {
			text += "; "
		}
		status, err := n.kv.Status(ctx)
		if err != nil {
			text += fmt.Sprintf("%s: %v", n.name, err)
			continue
		}
		text += fmt.Sprintf("%s has %d entries, digest %s, %d of 3 members alive", n.name, status.Entries, status.RootDigest, n.alive(ctx))
	}
	return text
}

// stop ends all nodes at once.
func (d *demo) stop(ctx context.Context) error {
	results := make(chan error)
	for _, n := range d.nodes {
		go func() { results <- n.node.Stop(ctx) }()
	}
	var errs []error
	for range d.nodes {
		errs = append(errs, <-results)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("demo: stop the nodes: %w", err)
	}
	return nil
}
