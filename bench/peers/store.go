package main

import (
	"fmt"
	"slices"
)

// store is a contender. Each copies the value that it is given, as callers reuse
// theirs. All methods are safe for concurrent use.
type store interface {
	// get returns the value: its own, which nobody changes, or a copy in room.
	get(key string, room []byte) ([]byte, bool)
	put(key string, value []byte)
	remove(key string)
	// offHeap is the memory that it holds outside of Go's heap, in bytes.
	offHeap() int
}

// contenders by name, gokv first.
var contenders = []struct {
	name string
	make func() store
}{
	{"gokv", newEngine},
	{"sync.Map", func() store { return &syncMap{} }},
	{"xsync.Map", newXsyncMap},
}

func contender(name string) (store, error) {
	var names []string
	for _, c := range contenders {
		if c.name == name {
			return c.make(), nil
		}
		names = append(names, c.name)
	}
	return nil, fmt.Errorf("store %q: one of %q", name, names)
}

// keyList has keys of ten bytes, in no order.
func keyList(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = keyAt(i, n)
	}
	return keys
}

// keyAt is the i-th of n keys in that order.
func keyAt(i, n int) string { return fmt.Sprintf("k%09d", i*7919%n) }

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
