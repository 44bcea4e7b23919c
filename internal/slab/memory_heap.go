//go:build race || !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package slab

// memory is Go's heap, for systems without mmap in syscall, and for the race
// detector, which does not watch mapped memory. The page keeps it alive.
type memory struct{}

// take returns that much memory. It does not return if the system has none.
func (memory) take(size int) []byte { return make([]byte, size) }

// give returns what take gave: the collector finds out by itself.
func (memory) give([]byte) {}
