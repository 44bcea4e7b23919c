package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tochemey/gokv/client"
)

// served is what an open loop got: requests are due at fixed times, whether those
// before them have been answered or not, and their latency counts from when they
// were due. So a node that stands still is charged for all that would have come.
type served struct {
	took    time.Duration
	samples []time.Duration
}

func (s *served) add(o *served) {
	s.took += o.took
	s.samples = append(s.samples, o.samples...)
}

func (s *served) perSecond() float64 { return float64(len(s.samples)) / s.took.Seconds() }

const (
	loopTick    = time.Millisecond // how often requests become due
	loopWorkers = 256              // requests in flight at most; those beyond wait, and their time counts
)

// openLoop asks for random keys, half gets and half puts, of each of the clients in
// turn, rate a second altogether, until during has returned.
func openLoop(ctx context.Context, kvs []*client.Client, rate float64, o joinOptions, during func(context.Context) error) (*served, error) {
	type request struct {
		due time.Time
		n   int
	}
	var (
		mu    sync.Mutex
		out   served
		due   = make(chan request, 1<<20)
		began = time.Now()
		over  = make(chan struct{})
	)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(over)
		return during(ctx)
	})
	group.Go(func() error {
		defer close(due)
		tick := time.NewTicker(loopTick)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-over:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			case now := <-tick.C:
				for ; float64(n) < rate*now.Sub(began).Seconds(); n++ {
					due <- request{began.Add(time.Duration(float64(n) / rate * float64(time.Second))), n}
				}
			}
		}
	})
	payload := value(0, 1, o.valueBytes)
	for w := range loopWorkers {
		group.Go(func() error {
			var mine []time.Duration
			r := rand.New(rand.NewPCG(uint64(w), 2))
			for q := range due {
				kv, k := kvs[q.n%len(kvs)], key(r.IntN(o.keys))
				var err error
				if q.n/len(kvs)%2 == 0 {
					_, err = kv.Get(ctx, k)
				} else {
					err = kv.Put(ctx, k, payload)
				}
				if err != nil {
					return err
				}
				mine = append(mine, time.Since(q.due))
			}
			mu.Lock()
			defer mu.Unlock()
			out.samples = append(out.samples, mine...)
			return nil
		})
	}
	err := group.Wait()
	out.took = time.Since(began)
	return &out, err
}

// capacityOf is how many of such requests the members manage a second.
func capacityOf(ctx context.Context, kvs []*client.Client, o joinOptions) (float64, error) {
	payload := value(0, 1, o.valueBytes)
	load := opsOptions{keys: o.keys, window: 3 * time.Second}
	sum := make([]float64, len(kvs))
	group, ctx := errgroup.WithContext(ctx)
	for i, kv := range kvs {
		group.Go(func() (err error) {
			sum[i], err = throughput(ctx, 64, load, func(ctx context.Context, k string) error {
				if len(k) > 0 && k[len(k)-1]%2 == 0 {
					_, err := kv.Get(ctx, k)
					return err
				}
				return kv.Put(ctx, k, payload)
			})
			return err
		})
	}
	err := group.Wait()
	total := 0.0
	for _, s := range sum {
		total += s
	}
	return total, err
}

// slowed compares the two: percentiles while a node joins beside those before, and
// requests answered a second.
func slowed(calm, during *served) []figure {
	figures := append(percentiles("join", "request of another node's client, no join", calm.samples),
		percentiles("join", "request of another node's client, during a join", during.samples)...)
	n := len(figures)
	return append(figures,
		figure{Workload: "join", Name: "median during a join, of that without", Value: figures[n-2].Value / figures[n-4].Value, Target: slowTarget},
		figure{Workload: "join", Name: "99th percentile during a join, of that without", Value: figures[n-1].Value / figures[n-3].Value, Target: slowTarget},
		figure{Workload: "join", Name: "requests answered a second during a join, of those without", Value: during.perSecond() / calm.perSecond(), Target: 1 / slowTarget, AtLeast: true})
}

// medianOf is the median of what of says of each.
func medianOf[T any](runs []T, of func(T) float64) float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
