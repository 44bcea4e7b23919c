package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/auth"
)

const (
	demoWriters   = 64              // concurrent puts of the load
	demoIdle      = 3 * time.Second // how long the idle cluster's traffic is counted
	demoSideKeys  = 50              // written on each side of the cut besides the contested keys
	demoSeeDead   = 20 * time.Second
	demoValueSeed = 1
)

// Keys that both sides have an opinion on while the network is cut.
const (
	keyColour  = "config/colour"
	keyLimit   = "config/limit"
	keySession = "session/ada"
)

// start is act 1: a alone, then b and c join it.
func (d *demo) start(ctx context.Context) error {
	d.view.title("gokv demo", "three nodes in this process, real UDP on loopback, QUIC with a fresh secret")
	d.view.act(1, "Start three nodes; b and c join a")
	begin := time.Now()
	secret := auth.NewSecret()
	var join []string
	for i, name := range []string{"a", "b", "c"} {
		side := min(i, 1) // a | b, c
		if err := d.startNode(ctx, name, side, secret, join); err != nil {
			return err
		}
		if i == 0 {
			join = []string{d.nodes[0].node.Addrs().Peer}
		}
	}
	err := d.await(ctx, "the nodes find each other", demoJoinBound, func() (bool, error) {
		for _, n := range d.nodes {
			if !n.node.Ready() || n.alive(ctx) != len(d.nodes) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	d.view.picture(false)
	d.view.done("every node is ready and sees all three, after %v", rounded(time.Since(begin)))
	return nil
}

// load is act 2: everything goes through a.
func (d *demo) load(ctx context.Context) error {
	d.view.act(2, fmt.Sprintf("Write %s entries through a", humanize.Comma(int64(d.entries))))
	before, begin := d.network.total.Load(), time.Now()
	writers, loading := errgroup.WithContext(ctx)
	writers.SetLimit(demoWriters)
	random := rand.New(rand.NewPCG(demoValueSeed, demoValueSeed))
	for i := range d.entries {
		key, value := fmt.Sprintf("user/%06d", i), demoValue(random, i)
		writers.Go(func() error { return d.nodes[0].kv.Put(loading, key, value) })
	}
	contested := map[string]string{keyColour: "green", keyLimit: "5", keySession: "signed in"}
	for key, value := range contested {
		writers.Go(func() error { return d.nodes[0].kv.Put(loading, key, []byte(value)) })
	}
	if err := writers.Wait(); err != nil {
		return err
	}
	acknowledged := time.Since(begin)
	if err := d.awaitEqual(ctx, "the load reaches b and c", uint64(d.entries+len(contested))); err != nil {
		return err
	}
	d.loadBytes = d.network.total.Load() - before
	d.view.done("acknowledged in %v, on all three nodes %v later", rounded(acknowledged), rounded(time.Since(begin)-acknowledged))
	return d.showDigests(ctx)
}

// demoValue is some hundred bytes that do not compress to nothing.
func demoValue(random *rand.Rand, i int) []byte {
	return fmt.Appendf(nil, `{"id":%d,"visits":%d,"token":"%016x%016x%016x"}`,
		i, random.IntN(1000), random.Uint64(), random.Uint64(), random.Uint64())
}

// awaitEqual waits until all nodes have one root digest, and so many entries
// where that is not zero.
func (d *demo) awaitEqual(ctx context.Context, what string, entries uint64) error {
	return d.await(ctx, what, demoEqualBound, func() (bool, error) {
		root := ""
		for _, n := range d.nodes {
			status, err := n.kv.Status(ctx)
			if err != nil {
				return false, err
			}
			if root == "" {
				root = status.RootDigest
			}
			if status.RootDigest != root || entries > 0 && status.Entries != entries {
				return false, nil
			}
		}
		return true, nil
	})
}

func (d *demo) showDigests(ctx context.Context) error {
	rows := make([]demoDigest, len(d.nodes))
	for i, n := range d.nodes {
		status, err := n.kv.Status(ctx)
		if err != nil {
			return err
		}
		rows[i] = demoDigest{n.name, status.RootDigest, status.Entries}
	}
	d.view.digests(rows)
	return nil
}

// idle is act 3: nobody writes, and what crosses the wire nevertheless.
func (d *demo) idle(ctx context.Context) error {
	d.view.act(3, "Do nothing")
	before, begin := d.network.total.Load(), time.Now()
	for time.Since(begin) < demoIdle {
		d.view.waiting("counting what an idle cluster sends", time.Since(begin))
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.view.clear()
	rate := float64(d.network.total.Load()-before) / time.Since(begin).Seconds()
	d.view.done("%s a second between all three: membership's probes carry the digest,", humanize.Bytes(uint64(rate)))
	d.view.more("and while digests are equal no round of comparison is opened")
	return nil
}

// cut is act 4: the network breaks, and both sides go on.
func (d *demo) cut(ctx context.Context) error {
	d.view.act(4, "Cut the network between a and b, c; write on both sides")
	d.network.severed.Store(true)
	begin := time.Now()
	d.view.picture(true)
	slowest, err := d.writeBothSides(ctx)
	if err != nil {
		return err
	}
	d.view.done("%d writes on both sides, each acknowledged by its node within %v", d.written, rounded(slowest))
	err = d.await(ctx, "the sides give each other up", demoSeeDead, func() (bool, error) {
		a, b, c := d.nodes[0].alive(ctx), d.nodes[1].alive(ctx), d.nodes[2].alive(ctx)
		return a == 1 && b == 2 && c == 2, nil
	})
	if err != nil {
		return err
	}
	d.view.done("a sees b and c dead, and they a, after %v; both sides still serve", rounded(time.Since(begin)))
	if err := d.showContested(ctx); err != nil {
		return err
	}
	if err := d.showDigests(ctx); err != nil {
		return err
	}
	return d.checkSidesDiffer(ctx)
}

// writeBothSides makes conflicts, a delete and new entries, and returns how long
// the slowest write took.
func (d *demo) writeBothSides(ctx context.Context) (slowest time.Duration, err error) {
	a, b := d.nodes[0].kv, d.nodes[1].kv
	timed := func(key string, value []byte, write func() error) {
		if err != nil {
			return
		}
		begin := time.Now()
		err = write()
		slowest = max(slowest, time.Since(begin))
		d.written++
		d.differing += entrySize(key, value)
	}
	put := func(kv *client.Client, key, value string) {
		timed(key, []byte(value), func() error { return kv.Put(ctx, key, []byte(value)) })
	}
	put(a, keyColour, "red")
	put(b, keyLimit, "10")
	// A millisecond apart is last enough: the later write shall be so by the clock
	// too, not only by the order of this program's lines.
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	put(b, keyColour, "blue")
	put(a, keyLimit, "20")
	timed(keySession, nil, func() error { return a.Delete(ctx, keySession) })
	for i := range demoSideKeys {
		put(a, fmt.Sprintf("cart/left/%02d", i), "from a")
		put(b, fmt.Sprintf("cart/right/%02d", i), "from b")
	}
	return slowest, err
}

func (d *demo) showContested(ctx context.Context) error {
	keys := []string{keyColour, keyLimit, keySession, "cart/left/00", "cart/right/00"}
	rows := make([][]string, len(keys))
	for i, key := range keys {
		rows[i] = []string{key}
		for _, n := range d.nodes {
			value, ok, err := n.value(ctx, key)
			switch {
			case err != nil:
				return err
			case !ok:
				value = ""
			}
			rows[i] = append(rows[i], value)
		}
	}
	d.view.values(rows)
	return nil
}

// checkSidesDiffer makes sure that the cut was one: a demonstration that shows a
// recovery from nothing would be none.
func (d *demo) checkSidesDiffer(ctx context.Context) error {
	var roots [3]string
	for i, n := range d.nodes {
		status, err := n.kv.Status(ctx)
		if err != nil {
			return err
		}
		roots[i] = status.RootDigest
	}
	if roots[0] == roots[1] || roots[1] != roots[2] || d.network.dropped.Load() == 0 {
		return errNotConverged("the network was cut, but the sides do not differ as they should: %s", d.describe(ctx))
	}
	return nil
}

// heal is act 5: the network works again, and nobody tells the nodes.
func (d *demo) heal(ctx context.Context) error {
	d.view.act(5, "Heal the network; nobody tells the nodes")
	across, begin := d.network.across.Load(), time.Now()
	d.network.severed.Store(false)
	if err := d.awaitEqual(ctx, "the sides find each other and compare", 0); err != nil {
		return err
	}
	took, crossed := time.Since(begin), d.network.across.Load()-across
	d.view.picture(false)
	d.view.done("all three are equal again, %v after the heal", rounded(took))
	if err := d.showContested(ctx); err != nil {
		return err
	}
	if err := d.showDigests(ctx); err != nil {
		return err
	}
	_, full, err := d.nodes[0].export(ctx)
	if err != nil {
		return err
	}
	d.view.say("What crossed between the sides, handshakes and acknowledgements included:")
	d.view.bars([]demoBar{
		{"gokv, this heal", crossed},
		{fmt.Sprintf("the %d writes alone", d.written), d.differing},
		{"every entry once, one way", full},
	})
	return nil
}

// verify is act 6: the same everywhere, and what it should be.
func (d *demo) verify(ctx context.Context) error {
	d.view.act(6, "Compare every byte")
	var sums [3]string
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for i, n := range d.nodes {
		group.Go(func() error {
			sum, _, err := n.export(ctx)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			sums[i] = sum
			return d.checkContested(ctx, n)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if sums[0] != sums[1] || sums[1] != sums[2] {
		return errNotConverged("exports differ: SHA-256 %v", sums)
	}
	d.view.done("SHA-256 of the export, the same of all three: %.16s…", sums[0])
	d.view.done("the last write won on every node: %s is blue, %s is 20, %s stays deleted", keyColour, keyLimit, keySession)
	d.view.closing("Next: gokv-node starts a node of your own, gokv put and gokv get talk to it.")
	return nil
}

// checkContested demands that the last write won.
func (d *demo) checkContested(ctx context.Context, n *demoNode) error {
	for _, want := range []struct {
		key, value string
		exists     bool
	}{{keyColour, "blue", true}, {keyLimit, "20", true}, {keySession, "", false}} {
		value, ok, err := n.value(ctx, want.key)
		if err != nil {
			return err
		}
		if ok != want.exists || value != want.value {
			return errNotConverged("%s has %q under %s (there: %v), the last write was %q (%v)", n.name, value, want.key, ok, want.value, want.exists)
		}
	}
	return nil
}
