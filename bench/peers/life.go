package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tochemey/gokv/engine"
)

// As in the root package's node.go.
const (
	sweepBudget = 4096
	sweepPause  = 250 * time.Millisecond
)

// measureLife measures what no map does: the ordered list, and a second in which
// everything expires.
func measureLife(keys, valueBytes int) ([]figure, error) {
	e := newGokv()
	list := keyList(keys)
	value := make([]byte, valueBytes)
	for _, k := range list {
		if _, err := e.Put(now(), k, value, engine.PutOptions{}); err != nil {
			return nil, err
		}
	}
	began, listed, after := time.Now(), 0, ""
	for {
		page, more := e.List(now(), engine.ListOptions{After: after, Limit: 1000})
		listed += len(page)
		if !more {
			break
		}
		after = page[len(page)-1].Key
	}
	rate := float64(listed) / time.Since(began).Seconds()
	if listed != keys {
		return nil, fmt.Errorf("%d of %d keys were listed", listed, keys)
	}
	slowest, err := expireAll(e, list, value)
	if err != nil {
		return nil, err
	}
	return []figure{
		{Workload: "engine", Name: "ordered list, pages of 1,000", Value: rate / 1e6, Unit: "M/s", Target: 2, AtLeast: true},
		{Workload: "engine", Name: "get while all expire, 99.9th percentile", Value: slowest, Unit: "ms", Target: 10},
	}, nil
}

// expireAll lets every key expire in one second and sweeps as a node does, while
// one caller reads; it returns the 99.9th percentile of the reads, in ms.
func expireAll(e *engine.Engine, keys []string, value []byte) (float64, error) {
	began := now()
	const lifetime = 2 * time.Second
	for i, k := range keys {
		at := began + lifetime.Milliseconds() + int64(i)*1000/int64(len(keys))
		if at <= now() {
			break // a slow machine: what is late stays without expiry
		}
		if _, err := e.Put(now(), k, value, engine.PutOptions{ExpiresAt: at}); err != nil {
			return 0, err
		}
	}
	stop := make(chan struct{})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		for {
			select {
			case <-stop:
				return
			default:
				for e.Sweep(now(), sweepBudget) == sweepBudget {
				}
				time.Sleep(sweepPause)
			}
		}
	}()
	random := rand.New(rand.NewPCG(1, 2))
	room := make([]byte, 0, len(value))
	var samples []time.Duration
	for now() < began+lifetime.Milliseconds()+2000 {
		key := keys[random.IntN(len(keys))]
		t := time.Now()
		_, _ = e.Get(now(), key, room)
		samples = append(samples, time.Since(t))
	}
	close(stop)
	<-swept
	slices.Sort(samples)
	return float64(samples[len(samples)*999/1000].Nanoseconds()) / 1e6, nil
}
