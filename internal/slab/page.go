package slab

import (
	"encoding/binary"

	"github.com/tochemey/gokv/internal/invariant"
)

// noSlot ends a page's list of free slots.
const noSlot = 1<<16 - 1

// page is what the allocator knows about a page besides its span: guarded by its
// class's mu, or owned by whoever opened or closes the page.
type page struct {
	memory []byte // keeps it alive where it is on Go's heap
	size   uint32 // of a slot
	slots  uint16
	used   uint16
	bump   uint16 // slots from here on were never allocated
	free   uint16 // head of the list of slots below bump that are free

	// Neighbours in the class's list of pages with free slots, by number; next also
	// links the numbers that the table may give again.
	prev, next uint32

	allocated []uint64 // a bit a slot; nil unless invariant.Enabled
}

// init cuts memory into slots.
func (p *page) init(memory []byte, size, slots int) {
	*p = page{memory: memory, size: uint32(size), slots: uint16(slots), free: noSlot}
	if invariant.Enabled {
		p.allocated = make([]uint64, (slots+63)/64)
	}
}

func (p *page) full() bool { return p.used == p.slots }

// forget makes an empty page as good as new: its slots are taken from the start
// again, without a look at what is in them.
func (p *page) forget() { p.bump, p.free = 0, noSlot }

func (p *page) bytes(slot uint32) []byte {
	return p.memory[slot*p.size:][:p.size:p.size]
}

// take allocates a slot of a page that is not full.
func (p *page) take() uint32 {
	slot := p.free
	if slot != noSlot {
		p.free = binary.NativeEndian.Uint16(p.memory[uint32(slot)*p.size:])
	} else {
		slot = p.bump
		p.bump++
	}
	p.used++
	if invariant.Enabled {
		p.allocated[slot/64] |= 1 << (slot % 64)
	}
	return uint32(slot)
}

// holds reports that a slot is allocated, as far as this is cheap to know: of the
// free slots below bump it knows the last one alone, unless invariant.Enabled.
func (p *page) holds(slot uint32) bool {
	if slot >= uint32(p.bump) || slot == uint32(p.free) {
		return false
	}
	return !invariant.Enabled || p.allocated[slot/64]&(1<<(slot%64)) != 0
}

// give frees a slot that the page holds.
func (p *page) give(slot uint32) {
	if invariant.Enabled {
		p.allocated[slot/64] &^= 1 << (slot % 64)
		// Whoever still reads it shall notice, and the race detector too.
		spoil(p.bytes(slot))
	}
	binary.NativeEndian.PutUint16(p.memory[slot*p.size:], p.free)
	p.free = uint16(slot)
	p.used--
}

func spoil(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
