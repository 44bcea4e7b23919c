package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/tochemey/gokv/engine"
)

// collectFor is how long gets are measured while Go's collector runs.
const collectFor = 5 * time.Second

// measureCollecting has gets be measured in a process of its own, as many entries
// take 2 GB.
func measureCollecting(keys, valueBytes int) (figure, error) {
	self, err := os.Executable()
	if err != nil {
		return figure{}, err
	}
	out, err := exec.Command(self, "collecting", "--keys", strconv.Itoa(keys), "--value", strconv.Itoa(valueBytes)).Output()
	if err != nil {
		return figure{}, fmt.Errorf("gets while collecting: %w", err)
	}
	f := figure{Workload: "engine", Name: fmt.Sprintf("get while Go collects, %d M entries, 99.9th percentile", keys/1_000_000), Unit: "ms", Target: 5}
	if err := json.Unmarshal(out, &f.Value); err != nil {
		return figure{}, fmt.Errorf("gets while collecting: %w", err)
	}
	return f, nil
}

// getWhileCollecting returns the 99.9th percentile of random gets, in ms, while one
// collection follows another.
func getWhileCollecting(keys, valueBytes int) (float64, error) {
	e := newGokv()
	value := make([]byte, valueBytes)
	for i := range keys {
		if _, err := e.Put(now(), keyAt(i, keys), value, engine.PutOptions{}); err != nil {
			return 0, err
		}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	random := rand.New(rand.NewPCG(1, 2))
	room := make([]byte, 0, valueBytes)
	var samples []time.Duration
	for began := time.Now(); time.Since(began) < collectFor; {
		key := keyAt(random.IntN(keys), keys)
		t := time.Now()
		if _, err := e.Get(now(), key, room); err != nil {
			return 0, err
		}
		samples = append(samples, time.Since(t))
	}
	close(stop)
	<-stopped
	slices.Sort(samples)
	return float64(samples[len(samples)*999/1000].Nanoseconds()) / 1e6, nil
}
