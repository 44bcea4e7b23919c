package slab

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/tochemey/gokv/internal/invariant"
)

// Allocator is a set of records. Its methods may be called concurrently, for
// different references; Close may not.
type Allocator struct {
	table   table
	classes [classes]class
	memory  memory

	mapped     atomic.Int64 // bytes
	pages      atomic.Int64
	large      atomic.Int64 // records with a page to themselves
	largeBytes atomic.Int64
}

// New returns an allocator without records. It takes memory from the system with
// the first one.
func New() *Allocator { return new(Allocator) }

// Alloc returns a new record of at least size bytes, whose contents are undefined:
// [SlotSize] of them. It returns 0 if there is no reference left, if the system has
// no memory, or if size exceeds 1 GiB. Size is at least 1.
func (a *Allocator) Alloc(size int) Ref {
	if size < 1 {
		panic(fmt.Sprintf("slab: a record of %d bytes", size))
	}
	if size > maxSlot {
		return a.allocLarge(size)
	}
	c := &a.classes[classOf(size)]
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.currentLocked(&a.table) == 0 {
		slot := SlotSize(size)
		n := a.acquire(slot, pageSize/slot)
		if n == 0 {
			return 0
		}
		c.addLocked(&a.table, n)
	}
	return c.takeLocked(&a.table)
}

func (a *Allocator) allocLarge(size int) Ref {
	if size > maxSize {
		return 0
	}
	slot := SlotSize(size)
	n := a.acquire(slot, 1)
	if n == 0 {
		return 0
	}
	a.large.Add(1)
	a.largeBytes.Add(int64(slot))
	return makeRef(n, a.table.page(n).take())
}

// Bytes returns the whole slot of a record, whose length and capacity are its
// [SlotSize]. They are valid until the record is freed.
//
// It takes no lock. A page's span is written when the page is opened, before the
// first of its references exists, and again after the last of them was freed. Every
// later Alloc from that page comes after the first by the class's lock, and every
// Free before the last. What lies between a reference's Alloc and another
// goroutine's Bytes, and between that and its Free, is the lock or the channel by
// which the caller hands the reference over. So there is always an order between
// this read and those writes, and plain reads will do. The pointer to the chunk is
// read atomically because chunks come while others are in use.
func (a *Allocator) Bytes(r Ref) []byte {
	s := &a.table.chunks[r>>slotBits/chunkPages].Load().spans[r>>slotBits%chunkPages]
	return unsafe.Slice((*byte)(unsafe.Add(s.base, uintptr(r%(1<<slotBits))*uintptr(s.size))), s.size)
}

// Free gives a record's slot back. It panics if there is none, as far as it can tell
// without a search; always, if invariants are checked.
func (a *Allocator) Free(r Ref) {
	n := r.page()
	chunk := a.table.chunks[n/chunkPages].Load()
	if chunk == nil || chunk.spans[n%chunkPages].base == nil {
		panic(notAllocated(r))
	}
	size := int(chunk.spans[n%chunkPages].size)
	if size > maxSlot {
		a.freeLarge(r, size)
		return
	}
	c := &a.classes[classOf(size)]
	c.mu.Lock()
	if !chunk.pages[n%chunkPages].holds(r.slot()) {
		c.mu.Unlock()
		panic(notAllocated(r))
	}
	x, y := c.giveLocked(&a.table, n, r.slot())
	c.mu.Unlock()
	if x != 0 {
		a.release(x)
	}
	if y != 0 {
		a.release(y)
	}
}

func (a *Allocator) freeLarge(r Ref, size int) {
	if r.slot() != 0 {
		panic(notAllocated(r))
	}
	if invariant.Enabled {
		spoil(a.Bytes(r))
	}
	if !a.release(r.page()) {
		panic(notAllocated(r))
	}
	a.large.Add(-1)
	a.largeBytes.Add(-int64(size))
}

func notAllocated(r Ref) string { return fmt.Sprintf("slab: free of %v, which is not allocated", r) }

// acquire returns a page of that many slots, or 0.
func (a *Allocator) acquire(size, slots int) uint32 {
	memory := a.memory.take(roundUp(size*slots, systemPage))
	if memory == nil {
		return 0
	}
	n := a.table.open()
	if n == 0 {
		a.memory.give(memory)
		return 0
	}
	a.table.use(n, memory, size, slots)
	a.mapped.Add(int64(len(memory)))
	a.pages.Add(1)
	return n
}

// release gives back a page without allocated slots, and reports that there was one.
func (a *Allocator) release(n uint32) bool {
	memory := a.table.close(n)
	if memory == nil {
		return false
	}
	a.mapped.Add(-int64(len(memory)))
	a.pages.Add(-1)
	a.memory.give(memory)
	return true
}

// Close frees all records and gives everything back to the system. The allocator
// is as new then, and what Bytes returned must not be touched any more.
func (a *Allocator) Close() {
	for n := uint32(1); n <= a.table.opened; n++ {
		if p := a.table.page(n); p.memory != nil {
			a.memory.give(p.memory)
		}
	}
	*a = Allocator{}
}
