package slab

import "fmt"

const (
	slotBits = 13
	pageBits = 32 - slotBits

	pageSize = 256 << 10
	maxPages = 1 << pageBits // page 0, which is never used, among them

	// maxSize bounds a record, so that sizes fit 32 bits wherever they are added up.
	maxSize = 1 << 30
)

// Ref names an allocated record; 0 names none.
type Ref uint32

func makeRef(page, slot uint32) Ref { return Ref(page<<slotBits | slot) }

func (r Ref) page() uint32 { return uint32(r >> slotBits) }
func (r Ref) slot() uint32 { return uint32(r & (1<<slotBits - 1)) }

func (r Ref) String() string { return fmt.Sprintf("page %d slot %d", r.page(), r.slot()) }
