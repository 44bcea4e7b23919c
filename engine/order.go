package engine

import (
	"slices"
	"sync"

	"github.com/tochemey/gokv/internal/reftree"
	"github.com/tochemey/gokv/internal/slab"
)

// order is a part of the ordered index: the live keys whose unkeyed hash ends
// in the part's number. It does not follow from positions, so that another
// digest key leaves it alone. Its lock is taken with a shard's w held, or by
// whoever only sorts in what is late. A scan holds every shard's w: once it has
// sorted in what is late, nobody changes the tree.
type order struct {
	mu       sync.Mutex
	tree     *reftree.Tree
	late     []uint32 // of live keys, not in the tree yet; empty unless deferred
	deferred int      // how many want it so
	counted  int      // what budget.index has of the part

	_ [64]byte
}

// DeferIndex lets new keys out of the ordered index until the function that it
// returns is called, once: then they are sorted in together, which takes a fifth of
// the time. It is for a node that takes in very many and serves no List yet. A List
// meanwhile, or a delete of a new key, sorts in what has come by then.
func (e *Engine) DeferIndex() (end func()) {
	for i := range e.orders {
		o := &e.orders[i]
		o.mu.Lock()
		o.deferred++
		o.mu.Unlock()
	}
	return func() {
		for i := range e.orders {
			o := &e.orders[i]
			o.mu.Lock()
			if o.deferred--; o.deferred == 0 {
				o.sortIn(&e.budget)
			}
			o.mu.Unlock()
		}
	}
}

// IndexNow sorts in what is late, and lets nobody defer any more: the node serves.
func (e *Engine) IndexNow() {
	e.indexNow.Store(true)
	e.sortIn()
}

// sortIn brings the whole ordered index up to date, a part at a time.
func (e *Engine) sortIn() {
	for i := range e.orders {
		o := &e.orders[i]
		o.mu.Lock()
		o.sortIn(&e.budget)
		o.mu.Unlock()
	}
}

// list, unlist and relist keep the ordered index.

func (e *Engine) list(ref slab.Ref) {
	o := e.orderOf(e.slab.at(ref).key())
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.deferred > 0 && !e.indexNow.Load() {
		o.late = append(o.late, uint32(ref))
	} else {
		o.tree.Insert(uint32(ref))
	}
	o.settle(&e.budget)
}

func (e *Engine) unlist(key []byte) {
	o := e.orderOf(key)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.tree.Delete(key) {
		o.sortIn(&e.budget)
		o.tree.Delete(key)
	}
	o.settle(&e.budget)
}

func (e *Engine) relist(ref slab.Ref) {
	key := e.slab.at(ref).key()
	o := e.orderOf(key)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.tree.Replace(key, uint32(ref)) {
		o.sortIn(&e.budget)
		o.tree.Replace(key, uint32(ref))
	}
}

// sortIn puts in the tree what is late. mu must be held, here and below.
func (o *order) sortIn(b *budget) {
	if len(o.late) == 0 {
		return
	}
	o.tree.InsertAll(o.late)
	o.late = nil
	o.settle(b)
}

// holds reports whether a record is in the part.
func (o *order) holds(r record, ref slab.Ref) bool {
	cursor := o.tree.Seek(r.key(), true)
	next, ok := cursor.Next()
	return ok && slab.Ref(next) == ref || slices.Contains(o.late, uint32(ref))
}

// settle notes what the part takes.
func (o *order) settle(b *budget) {
	if is := o.bytes(); is != o.counted {
		b.index.Add(int64(is - o.counted))
		o.counted = is
	}
}

func (o *order) bytes() int { return o.tree.Bytes() + 4*cap(o.late) }
