package slab

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

const chunkPages = 256 // of 2,048 chunks: a small store has one

// table finds a page by its number.
type table struct {
	chunks [maxPages / chunkPages]atomic.Pointer[chunk] // a chunk once there stays

	mu     sync.Mutex
	opened uint32 // numbers up to here have been given
	closed uint32 // head of the list of those that may be given again
}

// chunk keeps spans and pages apart: those are read by everyone, these are written
// at every Alloc and Free, and would take the others' cache lines with them.
type chunk struct {
	spans [chunkPages]span
	pages [chunkPages]page
}

// span is what it takes to find a slot's bytes. It changes only while no slot of
// the page is allocated: see [Allocator.Bytes].
type span struct {
	base unsafe.Pointer // nil while the number is not in use
	size uint32         // of a slot
}

func (t *table) page(n uint32) *page {
	return &t.chunks[n/chunkPages].Load().pages[n%chunkPages]
}

// open returns a number that is not in use, or 0.
func (t *table) open() uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.closed; n != 0 {
		t.closed = t.page(n).next
		return n
	}
	if t.opened == maxPages-1 {
		return 0
	}
	t.opened++
	if at := &t.chunks[t.opened/chunkPages]; at.Load() == nil {
		at.Store(new(chunk))
	}
	return t.opened
}

// use gives an open number its page.
func (t *table) use(n uint32, memory []byte, size, slots int) {
	c := t.chunks[n/chunkPages].Load()
	c.pages[n%chunkPages].init(memory, size, slots)
	c.spans[n%chunkPages] = span{base: unsafe.Pointer(unsafe.SliceData(memory)), size: uint32(size)}
}

// close takes a number out of use and returns its page's memory, nil if it was not
// in use.
func (t *table) close(n uint32) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.chunks[n/chunkPages].Load()
	p := &c.pages[n%chunkPages]
	memory := p.memory
	if memory == nil {
		return nil
	}
	*p = page{next: t.closed}
	c.spans[n%chunkPages] = span{}
	t.closed = n
	return memory
}
