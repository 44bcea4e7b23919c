package engine

import "github.com/tochemey/gokv/internal/slab"

// table finds a shard's records by their positions. It is a hash table with
// linear probing whose slots are in the order of positions, more or less: a
// record's home slot grows with its position, and the record stands there or in
// the slots that follow, up to the first empty one. So the table also answers
// which records a range of positions holds, and needs no second index for it.
//
// A slot is a tag, the sixteen bits of the position that follow those which
// choose the shard, and a reference to the record: six bytes. Home slots follow
// from tags alone, so growing looks at no record. The table holds between
// 64 % and 80 % of its slots once it has grown; past 65,536 slots a home is
// shared by several of them, which costs longer probes from some twenty million
// entries on.
type table struct {
	tags []uint16
	refs []slab.Ref // zero: the slot is empty
	used int
}

const (
	minSlots = 8
	// spill is how many slots follow the last home, for records that found
	// theirs taken. If they are not enough the table grows.
	spill = 8
)

// tagOf is the bits of a position that follow the shard's.
func tagOf(pos uint64) uint16 { return uint16(pos >> (64 - shardBits - 16)) }

// homes is how many slots are some record's home.
func (t *table) homes() int { return len(t.refs) - spill }

func (t *table) home(tag uint16) int { return int(uint64(tag) * uint64(t.homes()) >> 16) }

// add puts in a record that the table does not hold.
func (t *table) add(tag uint16, ref slab.Ref) {
	if t.used+1 > t.homes()*4/5 {
		t.resize((t.used + 1) * 25 / 16)
	}
	for !t.place(tag, ref) {
		t.resize(t.homes()*5/4 + minSlots)
	}
	t.used++
}

// place stores a record in the first free slot from its home on, if there is
// one.
func (t *table) place(tag uint16, ref slab.Ref) bool {
	if len(t.refs) == 0 {
		return false
	}
	for i := t.home(tag); i < len(t.refs); i++ {
		if t.refs[i] == 0 {
			t.tags[i], t.refs[i] = tag, ref
			return true
		}
	}
	return false
}

// resize moves everything to a table of n homes.
func (t *table) resize(n int) {
	n = max(n, minSlots)
	for {
		is := table{tags: make([]uint16, n+spill), refs: make([]slab.Ref, n+spill), used: t.used}
		fits := true
		for i, ref := range t.refs {
			if ref != 0 && !is.place(t.tags[i], ref) {
				fits = false
				break
			}
		}
		if fits {
			*t = is
			return
		}
		n += n/4 + minSlots
	}
}

// remove empties slot i, and moves up those behind it that are not at home.
func (t *table) remove(i int) {
	t.refs[i] = 0
	t.used--
	free := i
	for j := i + 1; j < len(t.refs) && t.refs[j] != 0; j++ {
		if t.home(t.tags[j]) <= free {
			t.tags[free], t.refs[free] = t.tags[j], t.refs[j]
			t.refs[j] = 0
			free = j
		}
	}
	switch {
	case t.used == 0:
		*t = table{}
	case t.homes() > 4*minSlots && t.used < t.homes()/3:
		t.resize(t.used * 25 / 16)
	}
}

// bytes is the memory that the table takes.
func (t *table) bytes() int { return 6 * len(t.refs) }
