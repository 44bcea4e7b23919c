package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// footprint is what a store of some entries takes, in a process of its own.
type footprint struct {
	Heap        int // bytes of the heap's live objects, after a collection, and what is held outside of it
	Resident    int // bytes of the process
	Overwritten int // resident after each key has been overwritten ten times
	Deleted     int // heap after all have been deleted
	Empty       int // heap before
}

// measureFootprint fills a store in this process, overwrites it and empties it.
func measureFootprint(name string, keys, valueBytes int) (footprint, error) {
	s, err := contender(name)
	if err != nil {
		return footprint{}, err
	}
	f := footprint{Empty: heap() + s.offHeap()}
	value := make([]byte, valueBytes)
	// No list of keys: it would count.
	for i := range keys {
		s.put(keyAt(i, keys), value)
	}
	f.Heap = heap() + s.offHeap()
	if f.Resident, err = resident(); err != nil {
		return f, err
	}
	for range 10 {
		for i := range keys {
			s.put(keyAt(i, keys), value)
		}
	}
	if f.Overwritten, err = resident(); err != nil {
		return f, err
	}
	for i := range keys {
		s.remove(keyAt(i, keys))
	}
	if p, ok := s.(interface{ purge() }); ok {
		p.purge()
	}
	f.Deleted = heap() + s.offHeap()
	runtime.KeepAlive(s)
	return f, nil
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	debug.FreeOSMemory()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// resident is this process's resident set, in bytes.
func resident() (int, error) {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("the resident set is read from /proc: %w", err)
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS in /proc/self/status")
}

// measureMemory has each contender measured in a process of its own.
func measureMemory(keys, valueBytes int) ([]figure, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, c := range contenders {
		out, err := exec.Command(self, "footprint", "--store", c.name, "--keys", strconv.Itoa(keys), "--value", strconv.Itoa(valueBytes)).Output()
		if err != nil {
			return nil, fmt.Errorf("footprint of %s: %w", c.name, err)
		}
		var f footprint
		if err := json.Unmarshal(out, &f); err != nil {
			return nil, fmt.Errorf("footprint of %s: %w", c.name, err)
		}
		each := figure{Workload: "engine", Name: "memory an entry, " + c.name, Value: float64(f.Heap-f.Empty) / float64(keys), Unit: "B"}
		process := figure{Workload: "engine", Name: "resident an entry, " + c.name, Value: float64(f.Resident) / float64(keys), Unit: "B"}
		grown := figure{Workload: "engine", Name: "growth when overwritten ten times, " + c.name, Value: 100 * float64(f.Overwritten-f.Resident) / float64(f.Resident), Unit: "%"}
		left := figure{Workload: "engine", Name: "memory a deleted entry, " + c.name, Value: float64(f.Deleted-f.Empty) / float64(keys), Unit: "B"}
		if c.name == "gokv" {
			each.Target, process.Target, grown.Target, left.Target = 185, 240, 15, 1
		}
		figures = append(figures, each, process, grown, left)
	}
	return figures, nil
}
