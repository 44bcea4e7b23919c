package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tochemey/gokv/client"
)

type opsOptions struct {
	nodes, keys, valueBytes int
	callers                 []int
	window                  time.Duration
	transport               string
}

var defaultOps = opsOptions{nodes: 1, keys: 100_000, valueBytes: 100, callers: []int{1, 50, 256}, window: 2 * time.Second, transport: "auto"}

// measureOps measures puts and gets of random keys by a number of callers that
// share one client, against one node of a cluster in processes of its own.
func measureOps(ctx context.Context, o opsOptions) (figures []figure, err error) {
	scheme, known := map[string]string{"auto": "", "tls": "tls://", "quic": "quic://"}[o.transport]
	if !known {
		return nil, fmt.Errorf("transport %q: tls, quic or auto", o.transport)
	}
	_, nodes, stop, err := processes(ctx, o.nodes)
	if err != nil {
		return nil, err
	}
	defer stop()
	kv, err := client.New(client.Config{Addrs: []string{scheme + nodes[0].Client}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()
	if err := fill(ctx, kv, o.keys, o.valueBytes); err != nil {
		return nil, err
	}
	payload := value(0, 0, o.valueBytes)
	for _, callers := range o.callers {
		for _, op := range []struct {
			name string
			call func(context.Context, string) error
		}{
			{"put", func(ctx context.Context, k string) error { return kv.Put(ctx, k, payload) }},
			{"get", func(ctx context.Context, k string) error { _, err := kv.Get(ctx, k); return err }},
		} {
			perSecond, err := throughput(ctx, callers, o, op.call)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", op.name, err)
			}
			figures = append(figures, figure{Workload: "ops", Name: fmt.Sprintf("%s, %d callers, %d nodes", op.name, callers, o.nodes), Value: perSecond, Unit: "/s"})
		}
	}
	return figures, nil
}

// throughput counts the calls that end within the window.
func throughput(ctx context.Context, callers int, o opsOptions, call func(context.Context, string) error) (float64, error) {
	var (
		calls atomic.Uint64
		over  atomic.Bool
	)
	end := time.AfterFunc(o.window, func() { over.Store(true) })
	defer end.Stop()
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for c := range callers {
		group.Go(func() error {
			r := rand.New(rand.NewPCG(uint64(c), 1))
			for !over.Load() {
				if err := call(ctx, key(r.IntN(o.keys))); err != nil {
					return err
				}
				calls.Add(1)
			}
			return nil
		})
	}
	err := group.Wait()
	return float64(calls.Load()) / time.Since(began).Seconds(), err
}
