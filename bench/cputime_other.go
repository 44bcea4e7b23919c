//go:build !linux

package main

import "time"

var began = time.Now()

// cpuTime is wall time where a thread's own is not to be had.
func cpuTime() time.Duration { return time.Since(began) }
