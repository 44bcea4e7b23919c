package engine

import (
	"bytes"
	"unsafe"

	"github.com/tochemey/gokv/internal/reftree"
	"github.com/tochemey/gokv/internal/slab"
)

// Writers wait for a scan while it takes down so many entries or so many bytes,
// whichever comes first, but for one entry at least.
const (
	viewEntries = 4096
	viewBytes   = 1 << 20
)

// ListOptions say what List lists.
type ListOptions struct {
	Prefix   string // keys that begin with it
	After    string // keys that come after it: the last one of the page before
	Limit    int    // entries in the page; 0: no limit
	MaxBytes int    // of keys and values in the page, the first entry aside; 0: no limit
	KeysOnly bool   // entries without their values
}

// List returns the entries that are live at now, whose key begins with the
// prefix and comes after After, in the order of the keys' bytes: a page within
// the limits, and whether there are more. To go on, pass the page's last key as
// After.
//
// A page of up to 4,096 entries and 1 MiB shows the store as it was at one
// instant; a larger one consists of several such views. A key that is there
// from the first page to the last is listed once; one that comes or goes
// meanwhile may be listed or not. Writers wait while a view is taken, readers
// never.
func (e *Engine) List(now int64, o ListOptions) (page []Entry, more bool) {
	left := o.MaxBytes
	e.sortIn() // with no shard locked; a view does it again, of little
	for {
		v := view{e: e, now: now, o: o, entries: viewEntries, bytes: viewBytes}
		if o.Limit > 0 {
			v.entries = min(v.entries, o.Limit-len(page))
		}
		if o.MaxBytes > 0 {
			v.bytes = min(v.bytes, left)
		}
		part, size, more := v.take(len(page) == 0 || o.MaxBytes <= 0)
		page = append(page, part...)
		left -= size
		full := o.Limit > 0 && len(page) == o.Limit || o.MaxBytes > 0 && (left <= 0 || len(part) == 0)
		if !more || full {
			return page, more
		}
		if len(part) > 0 {
			o.After = part[len(part)-1].Key
		}
	}
}

// view is what a scan takes down at one instant.
type view struct {
	e       *Engine
	now     int64
	o       ListOptions
	entries int // at most
	bytes   int // at most, the first entry aside

	heads [orderCount]head
	heap  []*head // of the parts of the ordered index, the lowest key first
}

// head is what comes next in one part of the ordered index. Some keys are fetched
// at once: each is somewhere in memory, and the processor waits for several at the
// price of one.
type head struct {
	key    []byte // of the next
	ref    slab.Ref
	cursor reftree.Cursor

	next, n int // of those that were fetched
	keys    [ahead][]byte
	refs    [ahead]slab.Ref
}

const ahead = 8

// take returns the view's entries, the bytes of their keys and values, and
// whether others follow. The first entry may be larger than the limit in bytes
// if atLeastOne says so.
func (v *view) take(atLeastOne bool) (part []Entry, size int, more bool) {
	e := v.e
	e.lockAll()
	defer e.unlockAll()
	e.sortIn()
	v.open()
	var room [256]slab.Ref
	refs := room[:0]
	for ; len(v.heap) > 0; v.next() {
		r := e.slab.at(v.heap[0].ref)
		if !r.liveAt(v.now) {
			continue
		}
		n := r.keyLen()
		if !v.o.KeysOnly {
			n += r.valueLen()
		}
		if len(refs) == v.entries || size+n > v.bytes && (len(refs) > 0 || !atLeastOne) {
			more = true
			break
		}
		refs = append(refs, v.heap[0].ref)
		size += n
	}
	return v.copy(refs, size), size, more
}

// copy takes the entries down. They share one piece of memory.
func (v *view) copy(refs []slab.Ref, size int) []Entry {
	if len(refs) == 0 {
		return nil
	}
	part, arena := make([]Entry, len(refs)), make([]byte, 0, size)
	for i, ref := range refs {
		r := v.e.slab.at(ref)
		ent := r.entry()
		at := len(arena)
		arena = append(arena, r.key()...)
		// Nobody writes to the arena any more once a key is in it.
		ent.Key = unsafe.String(&arena[at], len(arena)-at)
		if v.o.KeysOnly {
			ent.Value = nil
		} else {
			at = len(arena)
			arena = append(arena, ent.Value...)
			ent.Value = arena[at:len(arena):len(arena)]
		}
		part[i] = ent
	}
	return part
}

// open finds where the view begins in each part of the index. Every shard must
// be locked.
func (v *view) open() {
	from, inclusive := []byte(v.o.Prefix), true
	if v.o.After >= v.o.Prefix {
		from, inclusive = []byte(v.o.After), v.o.After == ""
	}
	v.heap = make([]*head, 0, orderCount)
	for i := range v.e.orders {
		h := &v.heads[i]
		h.cursor = v.e.orders[i].tree.Seek(from, inclusive)
		if v.advance(h) {
			v.heap = append(v.heap, h)
		}
	}
	for i := len(v.heap)/2 - 1; i >= 0; i-- {
		v.down(i)
	}
}

// next goes on to the next key.
func (v *view) next() {
	if !v.advance(v.heap[0]) {
		last := len(v.heap) - 1
		v.heap[0] = v.heap[last]
		v.heap = v.heap[:last]
	}
	v.down(0)
}

// advance moves a head on, and reports whether there is still something.
func (v *view) advance(h *head) bool {
	if h.next == h.n && !v.fetch(h) {
		return false
	}
	h.key, h.ref = h.keys[h.next], h.refs[h.next]
	h.next++
	return len(h.key) >= len(v.o.Prefix) && string(h.key[:len(v.o.Prefix)]) == v.o.Prefix
}

// fetch gets the next keys of a part, if there are any.
func (v *view) fetch(h *head) bool {
	h.next, h.n = 0, 0
	for h.n < ahead {
		ref, ok := h.cursor.Next()
		if !ok {
			break
		}
		h.refs[h.n] = slab.Ref(ref)
		h.n++
	}
	for i := range h.n {
		h.keys[i] = v.e.slab.at(h.refs[i]).key()
	}
	return h.n > 0
}

// down lets the i-th head sink to where it belongs.
func (v *view) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(v.heap) {
			return
		}
		if right := least + 1; right < len(v.heap) && bytes.Compare(v.heap[right].key, v.heap[least].key) < 0 {
			least = right
		}
		if bytes.Compare(v.heap[i].key, v.heap[least].key) <= 0 {
			return
		}
		v.heap[i], v.heap[least] = v.heap[least], v.heap[i]
		i = least
	}
}
