package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Memory is what an engine's contents take, in bytes.
type Memory struct {
	Records uint64 // the slab's pages, their free slots included
	Index   uint64 // tables, ordered index, digests, heaps
}

// Total is all of it.
func (m Memory) Total() uint64 { return m.Records + m.Index }

// Memory is what the engine's counters say.
func (e *Engine) Memory() Memory {
	return Memory{Records: uint64(e.slab.Mapped()), Index: uint64(e.budget.index.Load())}
}

// memory looks at each shard in turn, and has to come to the same.
func (e *Engine) memory() Memory {
	m := Memory{Records: uint64(e.slab.Stats().Mapped)}
	for i := range e.shards {
		s := &e.shards[i]
		s.w.Lock()
		m.Index += uint64(s.indexBytes())
		s.w.Unlock()
	}
	for i := range e.orders {
		o := &e.orders[i]
		o.mu.Lock()
		m.Index += uint64(o.bytes())
		o.mu.Unlock()
	}
	return m
}

// indexBytes is what a shard takes beside its records. Its w must be held.
func (s *shard) indexBytes() int {
	return s.table.bytes() + s.stripe.Bytes() + 4*(cap(s.due.refs)+cap(s.dead.refs))
}

// putPercent is how full the memory may be for a put that makes the store grow.
// The rest is for what other members have taken in already, for tombstones, and
// for what Go's collector has not come to yet.
const putPercent = 85

// budget is how much the contents may take.
type budget struct {
	// Fixed after construction.
	limit  int64        // bytes; 0: none
	beside func() int64 // bytes outside of the engine that count too

	index  atomic.Int64 // Memory.Index, kept up to date
	closed atomic.Pointer[string]

	puts, entries atomic.Uint64 // refused

	// large is held while room is found for a record with pages of its own, so
	// that several of them do not pass the limit together.
	large sync.Mutex
}

// ownPages is the size from which on a record has pages of its own in the slab,
// which go back to the system with it.
const ownPages = 64 << 10

// ceiling is how far up the memory may be filled by a write.
type ceiling uint8

const (
	ceilingPut   ceiling = iota // a client's put: putPercent, and not while a member is full
	ceilingEntry                // a write of another member, and a change of an expiry: all of it
	ceilingNone                 // a delete
)

// ceilingOf is the ceiling of an entry that another member wrote.
func ceilingOf(st stage) ceiling {
	if st == stageDead {
		return ceilingNone
	}
	return ceilingEntry
}

// Used is the memory that counts against Config.MaxMemory, in bytes: what Memory
// says, kept up to date, and Config.Beside.
func (e *Engine) Used() int64 {
	n := int64(e.Memory().Total())
	if e.budget.beside != nil {
		n += e.budget.beside()
	}
	return n
}

// MaxMemory is the limit, 0 for none.
func (e *Engine) MaxMemory() int64 { return e.budget.limit }

// Full reports whether puts that make the store grow are refused because of this
// engine's own memory: it is over 85 % of the limit.
func (e *Engine) Full() bool {
	return e.budget.limit > 0 && e.Used() > e.budget.forPuts()
}

// RefuseGrowth refuses puts that make the store grow, with that reason, until it
// is called with none: another member is full.
func (e *Engine) RefuseGrowth(reason string) {
	if reason == "" {
		e.budget.closed.Store(nil)
		return
	}
	e.budget.closed.Store(&reason)
}

// refuse counts a refusal.
func (b *budget) refuse(c ceiling) {
	if c == ceilingPut {
		b.puts.Add(1)
	} else {
		b.entries.Add(1)
	}
}

func (b *budget) forPuts() int64 { return MemoryForPuts(b.limit) }

// MemoryForPuts is the part of a limit above which puts that make the store grow are
// refused: 85 %.
func MemoryForPuts(limit int64) int64 { return limit / 100 * putPercent }

// grows reports whether storing a record of that size takes more than what its
// key holds.
func (p *place) grows(size int) bool { return p.old == nil || size > len(p.old) }

// admit says why a record of that size, which makes the store grow, is not taken.
func (e *Engine) admit(size int, c ceiling) error {
	b := &e.budget
	if c == ceilingNone {
		return nil
	}
	if why := b.closed.Load(); why != nil && c == ceilingPut {
		b.refuse(c)
		return fmt.Errorf("%s, and what grows is refused until it is not: %w", *why, ErrOverloaded)
	}
	if b.limit == 0 {
		return nil
	}
	most := b.limit
	if c == ceilingPut {
		most = b.forPuts()
	}
	if used := e.Used(); used+int64(size) > most {
		b.refuse(c)
		return fmt.Errorf("%s of %s are in use, what grows is refused above %s: %w",
			roundBytes(int(used)), roundBytes(int(b.limit)), roundBytes(int(most)), ErrOverloaded)
	}
	return nil
}

// staysPut reports whether a record that does not grow is to be written over the
// old one, whatever the difference of their slots, because there is no memory to
// be had beside it. A delete of a large one is not: its pages are free after it.
func (e *Engine) staysPut(p *place, st stage) bool {
	b := &e.budget
	return b.limit > 0 && (st != stageDead || len(p.old) <= ownPages) && e.Used() >= b.limit
}
