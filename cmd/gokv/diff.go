package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/client"
)

// Bounds of a diff: keys that are to be compared again are gathered up to
// diffBatch, and asked for diffAtOnce at a time.
const (
	diffBatch  = 1024
	diffAtOnce = 32
)

// exitDifferent says that there are differences.
const exitDifferent = 1

// stateLive is the state of a key that readers get.
const stateLive = "live"

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff ADDR ADDR",
		Short: "print which keys two nodes hold differently, and change nothing",
		Long: `Compares what two nodes hold, given by their client addresses; --addr plays no
part. Where their digests are equal it says so without listing anything. Else it
goes through both lists of keys side by side, and prints each key of which one
node has another version than the other or none, with what each holds of it:
live, expired, deleted or unknown, and the version. The later write has the
greater version. With -o json it prints an object a difference and nothing else.

A key at which the lists differ may have been written while they were read: it is
compared again, once, before it counts. Where a cluster is being written to all
the time, what is on its way may show nevertheless.

Exits 0 where there is no difference, 1 where there are some. Members that differ
are repaired within seconds by themselves, or by: gokv sync`,
		Args: takes("ADDR", "ADDR"),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("addr") {
				return misuse("diff: --addr plays no part, the two addresses are arguments; usage: %s", c.UseLine())
			}
			clients, err := a.connectEach(args)
			if err != nil {
				return err
			}
			d := differ{app: a, names: [2]string{args[0], args[1]}, clients: [2]*client.Client(clients)}
			err = d.run(c.Context())
			return errors.Join(err, clients[0].Close(), clients[1].Close())
		},
	}
}

// connectEach makes a client of each address.
func (a *app) connectEach(addrs []string) ([]*client.Client, error) {
	var clients []*client.Client
	for _, addr := range addrs {
		cl, err := a.connectTo([]string{addr}, once)
		if err != nil {
			for _, cl := range clients {
				err = errors.Join(err, cl.Close())
			}
			return nil, err
		}
		clients = append(clients, cl)
	}
	return clients, nil
}

// differ compares two nodes.
type differ struct {
	app     *app
	names   [2]string
	clients [2]*client.Client

	keys, differences int64 // so far
}

// difference is a key and what each node holds of it.
type difference struct {
	key  string
	each [2]client.Holding
}

// is says whether readers of the two nodes get something else. What neither
// gives out is no difference, however each has come to that; an entry of one
// version is one entry, even if it has expired by one clock only.
func (d *difference) is() bool {
	x, y := d.each[0], d.each[1]
	return (x.State == stateLive || y.State == stateLive) && x.Version != y.Version
}

func (d *differ) run(ctx context.Context) error {
	digest, equal, err := d.digests(ctx)
	if err != nil {
		return err
	}
	if equal {
		return d.say("%s and %s hold the same: digest %s\n", d.names[0], d.names[1], digest)
	}
	switch err := d.compare(ctx); {
	case err != nil: // what was found is shown; the error says that it is not all
		return err
	case d.differences == 0:
		return d.say("no difference in %s\n", count(d.keys, "key", "keys"))
	}
	if err := d.say("%s in %s\n", count(d.differences, "difference", "differences"), count(d.keys, "key", "keys")); err != nil {
		return err
	}
	return &statusError{status: exitDifferent}
}

// say prints a sentence, which is for people.
func (d *differ) say(format string, args ...any) error {
	if d.app.format == formatJSON {
		return nil
	}
	_, err := fmt.Fprintf(d.app.stdout, format, args...)
	return err
}

// digests asks both nodes for their digests at the same time.
func (d *differ) digests(ctx context.Context) (digest string, equal bool, err error) {
	var of [2]client.Status
	var errs [2]error
	both(func(i int) { of[i], errs[i] = d.clients[i].Status(ctx) })
	if err := errors.Join(errs[:]...); err != nil {
		return "", false, err
	}
	return of[0].RootDigest, of[0].RootDigest == of[1].RootDigest, nil
}

func both(f func(i int)) {
	var group sync.WaitGroup
	group.Go(func() { f(1) })
	f(0)
	group.Wait()
}

// compare goes through both lists. Keys at which they differ wait for a second
// look until a batch of them has come together, so that what was on its way has
// time to arrive.
func (d *differ) compare(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	suspects := make([]string, 0, diffBatch)
	for key, err := range d.suspects(ctx) {
		if err != nil {
			return err
		}
		if suspects = append(suspects, key); len(suspects) == diffBatch {
			if err := d.settle(ctx, suspects); err != nil {
				return err
			}
			suspects = suspects[:0]
		}
	}
	return d.settle(ctx, suspects)
}

// suspects merges the nodes' lists, and yields the keys at which they differ.
func (d *differ) suspects(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var heads [2]listHead
		for i, cl := range d.clients {
			next, stop := iter.Pull2(cl.List(ctx, client.KeysOnly()))
			defer stop()
			heads[i].next = next
			heads[i].advance()
		}
		x, y := &heads[0], &heads[1]
		for x.ok || y.ok {
			if err := errors.Join(x.err, y.err); err != nil {
				yield("", err)
				return
			}
			d.keys++
			var key string
			differs := true
			switch {
			case !y.ok || x.ok && x.entry.Key < y.entry.Key:
				key = x.entry.Key
				x.advance()
			case !x.ok || y.entry.Key < x.entry.Key:
				key = y.entry.Key
				y.advance()
			default:
				key, differs = x.entry.Key, x.entry.Version != y.entry.Version
				x.advance()
				y.advance()
			}
			if differs && !yield(key, nil) {
				return
			}
		}
	}
}

// listHead is what comes next in a list. An error comes as its last entry.
type listHead struct {
	next  func() (client.Entry, error, bool)
	entry client.Entry
	err   error
	ok    bool
}

func (h *listHead) advance() { h.entry, h.err, h.ok = h.next() }

// settle compares keys again, and prints those that differ still.
func (d *differ) settle(ctx context.Context, keys []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := make([]difference, len(keys))
	errs := make([]error, len(keys))
	var group sync.WaitGroup
	places := make(chan struct{}, diffAtOnce)
	for i, key := range keys {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			if found[i], errs[i] = d.look(ctx, key); errs[i] != nil {
				cancel() // the rest would be in vain
			}
		})
	}
	group.Wait()
	if err := firstOf(errs); err != nil {
		return err
	}
	real := found[:0]
	for _, f := range found {
		if f.is() {
			real = append(real, f)
		}
	}
	return d.print(real)
}

// firstOf is the error that the others follow from.
func firstOf(errs []error) error {
	var canceled error
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		if canceled == nil {
			canceled = err
		}
	}
	return canceled
}

// look asks both nodes for a key at the same time.
func (d *differ) look(ctx context.Context, key string) (difference, error) {
	found := difference{key: key}
	var errs [2]error
	both(func(i int) { found.each[i], errs[i] = d.clients[i].Held(ctx, key) })
	return found, firstOf(errs[:])
}

func (d *differ) print(found []difference) error {
	if len(found) == 0 {
		return nil
	}
	first := d.differences == 0
	d.differences += int64(len(found))
	if d.app.format == formatJSON {
		return d.printLines(found)
	}
	var rows [][]string
	if first {
		rows = append(rows, []string{"KEY", d.names[0], d.names[1]})
	}
	for i := range found {
		f := &found[i]
		rows = append(rows, []string{visible(f.key), cell(f.each[0]), cell(f.each[1])})
	}
	return d.app.printTable(rows)
}

// differenceLine is a difference in JSON; A is what the first node holds.
type differenceLine struct {
	Key       string   `json:"key,omitempty"`
	KeyBase64 string   `json:"key_base64,omitempty"` // where the key is not UTF-8
	A         *holding `json:"a"`
	B         *holding `json:"b"`
}

func (d *differ) printLines(found []difference) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range found {
		f := &found[i]
		line := differenceLine{Key: f.key, A: holdingOf(f.each[0]), B: holdingOf(f.each[1])}
		if !utf8.ValidString(f.key) {
			line.Key, line.KeyBase64 = "", base64.StdEncoding.EncodeToString([]byte(f.key))
		}
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("encode the output: %w", err)
		}
	}
	_, err := d.app.stdout.Write(b.Bytes())
	return err
}

// cell is what a node holds of a key, in a table.
func cell(h client.Holding) string {
	if h.Version == "" {
		return h.State
	}
	return h.State + " " + h.Version
}
