//go:build (darwin || dragonfly || freebsd || netbsd || openbsd) && !race

package slab

import "syscall"

// memory makes each page a mapping: these systems set no limit to their number
// that matters, and syscall has no madvise for them.
type memory struct{}

// take returns that much memory, or nil if the system has none.
func (memory) take(size int) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return b
}

// give returns what take gave to the system.
func (memory) give(b []byte) {
	if err := syscall.Munmap(b); err != nil {
		panic("slab: munmap of a mapping of our own: " + err.Error())
	}
}
