package engine

import "github.com/tochemey/gokv/internal/slab"

// table finds a shard's records by their positions. It is a hash table with
// linear probing whose slots are in the order of positions, more or less: a
// record's home slot grows with its position, and the record stands there or in
// the slots that follow, up to the first empty one. So the table also answers
// which records a range of positions holds, and needs no second index for it.
//
// Home slots follow from tags alone, so growing looks at no record. The table
// holds between 64 % and 80 % of its slots once it has grown.
type table struct {
	slots []slot
	used  int
	// spill is how many slots follow the last home, for records that found
	// theirs taken.
	spill int
}

// slot is a tag, the 32 bits of the position that follow those which choose the
// shard, above a reference to the record; zero if there is none. One lookup of a
// key reads one cache line here, as a rule.
type slot uint64

func makeSlot(tag uint32, ref slab.Ref) slot { return slot(tag)<<32 | slot(ref) }

func (s slot) tag() uint32   { return uint32(s >> 32) }
func (s slot) ref() slab.Ref { return slab.Ref(s) }

const (
	tagBits = 32

	minSlots = 8
	minSpill = 8
)

// tagOf is the bits of a position that follow the shard's.
func tagOf(pos uint64) uint32 { return uint32(pos >> (64 - shardBits - tagBits)) }

// homes is how many slots are some record's home.
func (t *table) homes() int { return len(t.slots) - t.spill }

func (t *table) home(tag uint32) int { return int(uint64(tag) * uint64(t.homes()) >> tagBits) }

// expect makes a table that holds little as large as n records want it. Records that
// come in the order of their positions crowd the first slots of a table that grows as
// they come.
func (t *table) expect(n int) {
	if t.used <= n/4 && n > t.homes()*4/5 {
		t.resize(n*25/16, minSpill)
	}
}

// add puts in a record that the table does not hold.
func (t *table) add(tag uint32, ref slab.Ref) {
	if t.used+1 > t.homes()*4/5 {
		t.resize((t.used+1)*25/16, minSpill)
	}
	for !t.place(makeSlot(tag, ref)) {
		t.resize(t.homes(), 2*t.spill)
	}
	t.used++
}

// point has slot i lead to another record of the same position.
func (t *table) point(i int, ref slab.Ref) { t.slots[i] = makeSlot(t.slots[i].tag(), ref) }

// place stores a record in the first free slot from its home on, if there is
// one.
func (t *table) place(s slot) bool {
	if len(t.slots) == 0 {
		return false
	}
	for i := t.home(s.tag()); i < len(t.slots); i++ {
		if t.slots[i] == 0 {
			t.slots[i] = s
			return true
		}
	}
	return false
}

// resize moves everything to a table of n homes, and so many slots behind them or
// more.
func (t *table) resize(n, spill int) {
	n = max(n, minSlots)
	for {
		is := table{slots: make([]slot, n+spill), used: t.used, spill: spill}
		fits := true
		for _, s := range t.slots {
			if s != 0 && !is.place(s) {
				fits = false
				break
			}
		}
		if fits {
			*t = is
			return
		}
		spill *= 2
	}
}

// remove empties slot i, and moves up those behind it that are not at home.
func (t *table) remove(i int) {
	t.slots[i] = 0
	t.used--
	free := i
	for j := i + 1; j < len(t.slots) && t.slots[j] != 0; j++ {
		if t.home(t.slots[j].tag()) <= free {
			t.slots[free] = t.slots[j]
			t.slots[j] = 0
			free = j
		}
	}
	switch {
	case t.used == 0:
		*t = table{}
	case t.homes() > 4*minSlots && t.used < t.homes()/3:
		t.resize(t.used*25/16, minSpill)
	}
}

// bytes is the memory that the table takes.
func (t *table) bytes() int { return 8 * len(t.slots) }
