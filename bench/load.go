package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tochemey/gokv/client"
)

// loaders bounds how many puts are in flight while a cluster is filled.
const loaders = 16

func key(i int) string { return fmt.Sprintf("key/%07d", i) }

// value returns bytes that depend on the key and on a generation, and that do not
// compress to nothing.
func value(i, generation, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(generation)})
	_, _ = r.Read(b) // a ChaCha8's Read returns no error
	return b
}

// fill puts keys 0 to keys-1.
func fill(ctx context.Context, kv *client.Client, keys, size int) error {
	group, ctx := errgroup.WithContext(ctx)
	for w := range loaders {
		group.Go(func() error {
			for i := w; i < keys; i += loaders {
				if err := kv.Put(ctx, key(i), value(i, 0, size)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// batchPuts is how many puts go together where a store is filled fast.
const batchPuts = 500

// fillBatches is fill, several puts to a request.
func fillBatches(ctx context.Context, kv *client.Client, keys, size int) error {
	group, ctx := errgroup.WithContext(ctx)
	for w := range loaders {
		group.Go(func() error {
			ops := make([]client.BatchOp, 0, batchPuts)
			for i := w * batchPuts; i < keys; i += loaders * batchPuts {
				ops = ops[:0]
				for k := i; k < min(i+batchPuts, keys); k++ {
					ops = append(ops, client.PutOp(key(k), value(k, 0, size)))
				}
				if _, err := kv.Batch(ctx, ops...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// pause waits for d of the workload's own time, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
