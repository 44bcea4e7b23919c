//go:build linux && !race

package slab

import (
	"cmp"
	"math/bits"
	"slices"
	"sync"
	"syscall"
	"unsafe"
)

const (
	// 256, or 16 where address space is scarce.
	regionPages = 16 << (4 * (bits.UintSize / 64))
	regionSize  = regionPages * pageSize
)

// memory cuts regions of address space into runs of pages.
type memory struct {
	mu      sync.Mutex
	regions []*region // by address
}

// region is one mapping.
type region struct {
	memory []byte
	free   int // pages
	taken  [regionPages]bool
}

// take returns that much memory, or nil if the system has none: a run of whole
// pages, of which what is behind size stays untouched.
func (m *memory) take(size int) []byte {
	if size > regionSize {
		return reserve(size)
	}
	pages := (size + pageSize - 1) / pageSize
	m.mu.Lock()
	defer m.mu.Unlock()
	// Low addresses first, so that the regions at high ones empty.
	for _, r := range m.regions {
		if r.free < pages {
			continue
		}
		if b := r.take(pages, size); b != nil {
			return b
		}
	}
	b := reserve(regionSize)
	if b == nil {
		return nil
	}
	r := &region{memory: b, free: regionPages}
	at, _ := slices.BinarySearchFunc(m.regions, address(b), byAddress)
	m.regions = slices.Insert(m.regions, at, r)
	return r.take(pages, size)
}

func (r *region) take(pages, size int) []byte {
	run := 0
	for i, taken := range r.taken {
		if run++; taken {
			run = 0
		}
		if run == pages {
			first := i + 1 - pages
			r.mark(first, pages, true)
			return r.memory[first*pageSize:][:size:size]
		}
	}
	return nil
}

func (r *region) mark(first, pages int, taken bool) {
	for i := first; i < first+pages; i++ {
		r.taken[i] = taken
	}
	if taken {
		r.free -= pages
	} else {
		r.free += pages
	}
}

// give returns what take gave to the system.
func (m *memory) give(b []byte) {
	if len(b) > regionSize {
		unmap(b)
		return
	}
	// Before it can be taken again, and under no lock. Where it fails, as with
	// locked memory, the page stays resident until it is taken again.
	_ = syscall.Madvise(b, syscall.MADV_DONTNEED)
	if empty := m.untake(b); empty != nil {
		unmap(empty)
	}
}

// untake returns the region that has no more pages taken, if this was the last.
func (m *memory) untake(b []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, found := slices.BinarySearchFunc(m.regions, address(b), byAddress)
	if !found {
		at-- // the region begins below
	}
	r := m.regions[at]
	r.mark(int(address(b)-address(r.memory))/pageSize, (len(b)+pageSize-1)/pageSize, false)
	if r.free < regionPages {
		return nil
	}
	m.regions = slices.Delete(m.regions, at, at+1)
	return r.memory
}

func byAddress(r *region, at uintptr) int { return cmp.Compare(address(r.memory), at) }

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func reserve(size int) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	// A kernel built without huge pages does not know this; it needs nothing then.
	_ = syscall.Madvise(b, syscall.MADV_NOHUGEPAGE)
	return b
}

func unmap(b []byte) {
	if err := syscall.Munmap(b); err != nil {
		panic("slab: munmap of a mapping of our own: " + err.Error())
	}
}
