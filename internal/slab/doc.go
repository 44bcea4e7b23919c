// Package slab keeps small records of any size outside of Go's heap and names them
// by references of four bytes.
//
// A million records on Go's heap are a million objects that each collection marks,
// and each costs a pointer, a size class of the runtime and up to as much again
// until the next collection. Here they cost the collector nothing, and little more
// than their bytes: [Allocator.Stats] says how much. It is not for what holds Go
// pointers, which the collector would not see, and not a store: nothing is counted,
// compared or expired here.
//
//	a := slab.New()
//	defer a.Close()
//	r := a.Alloc(len(record)) // 0: no memory
//	copy(a.Bytes(r), record)
//	...
//	a.Free(r)
//
// # Layout
//
// Memory is handed out in pages of 256 KiB, each cut into slots of one size:
//
//	 31                    13 12           0
//	┌────────────────────────┬──────────────┐
//	│ page number, from 1    │ slot         │  a [Ref]
//	└───────────┬────────────┴──────┬───────┘
//	            │ table             │ × slot size
//	            ▼                   ▼
//	     base, slot size ──► ▒▒▒▒│▒▒▒▒│    │▒▒▒▒│ … never touched yet
//
// [SlotSize] gives the slot size of a record: steps of 4 bytes from 32 to 256, then
// 16 steps a doubling up to 64 KiB, so that above 32 bytes a slot exceeds its record
// by 3 bytes or by 6 % of the slot, whichever is more. A larger record has a page to itself,
// rounded up to 4 KiB. What is left of a page behind its last slot is address space
// alone, but for the rest of its last 4 KiB: less than 2 % of the page.
//
// The free slots of a page are a list inside of these slots. Slots that were never
// allocated are in no list but behind an index, so that a page takes memory from
// the system as it fills. Records go to the page that last ceased to be full, and
// to one that is half empty only when there is no other, so that sparse pages
// empty. An empty page goes back to the system at once, except for one in each
// class, which stays as long as the class has another page.
//
// # Memory
//
// On Linux, pages are cut from regions of 64 MiB (4 MiB where addresses have 32
// bits), because a process may have no more than 65,530 mappings; a page goes back
// by madvise, a region by munmap. Transparent huge pages are off for them: one
// record would keep 2 MiB resident. On macOS and the BSDs each page is a mapping.
// Elsewhere, and under the race detector, which does not watch mapped memory, pages
// are on Go's heap, a byte slice each.
//
// # Concurrency
//
// [Allocator.Alloc] and [Allocator.Free] take the lock of the record's size class;
// system calls that give memory back are made without it. [Allocator.Bytes] takes
// none; its comment says why it needs none. Two goroutines that use the
// same reference, one of them writing or freeing, need a lock of their own. Close
// is for when nobody else uses the allocator any more.
//
// # Limits
//
// 524,287 pages, which is 128 GiB of small records or that many of more than 64 KiB
// each; a record of 1 GiB. No alignment is promised. Memory is not cleared. A
// reference that is used after it was freed reads what happens to be there, or
// faults; with internal/invariant's checks a freed slot is overwritten, and freeing
// it again always panics.
package slab
