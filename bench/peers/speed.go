package main

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// speedOptions are the sizes of the comparison of speed.
type speedOptions struct {
	keys, valueBytes, rounds int
	turn                     time.Duration // how long each contender runs at a time
}

// measureSpeed compares random gets and overwriting puts, from as many goroutines
// as there are cores.
func measureSpeed(o speedOptions) []figure {
	keys := keyList(o.keys)
	value := make([]byte, o.valueBytes)
	stores := make([]store, len(contenders))
	for i, c := range contenders {
		stores[i] = c.make()
		for _, k := range keys {
			stores[i].put(k, value)
		}
	}
	gets, puts := make([][]float64, len(stores)), make([][]float64, len(stores))
	for range o.rounds {
		for i, s := range stores {
			runtime.GC() // each pays for its own garbage
			gets[i] = append(gets[i], perOperation(o.turn, keys, func(key string, room []byte) {
				// Whoever gets a value looks at it, wherever it is.
				if v, ok := s.get(key, room); !ok || v[0] != v[len(v)-1] {
					panic("a value is missing or torn")
				}
			}))
		}
		for i, s := range stores {
			runtime.GC()
			puts[i] = append(puts[i], perOperation(o.turn, keys, func(key string, _ []byte) { s.put(key, value) }))
		}
	}
	var figures []figure
	get, put := make([]float64, len(stores)), make([]float64, len(stores))
	for i, c := range contenders {
		get[i], put[i] = median(gets[i]), median(puts[i])
		figures = append(figures,
			figure{Workload: "engine", Name: "random get, " + c.name, Value: get[i], Unit: "ns"},
			figure{Workload: "engine", Name: "overwriting put, " + c.name, Value: put[i], Unit: "ns"})
	}
	return append(figures,
		figure{Workload: "engine", Name: "random get, to the faster map", Value: get[0] / min(get[1], get[2]), Unit: "×", Target: 1.3},
		figure{Workload: "engine", Name: "overwriting put, to xsync.Map", Value: put[0] / put[2], Unit: "×", Target: 1.5})
}

// perOperation is how long one operation takes on one core, in ns, when all cores
// do nothing else for about a turn.
func perOperation(turn time.Duration, keys []string, do func(key string, room []byte)) float64 {
	const batch = 1024
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	done := make([]int, workers)
	began := time.Now()
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), uint64(began.UnixNano())))
			room := make([]byte, 0, 1<<10)
			for time.Since(began) < turn {
				for range batch {
					do(keys[random.IntN(len(keys))], room)
				}
				done[w] += batch
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	total := 0
	for _, n := range done {
		total += n
	}
	return float64(took.Nanoseconds()) * float64(workers) / float64(total)
}
