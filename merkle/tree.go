package merkle

import (
	"fmt"
	"slices"
	"sync"
)

const (
	// splitAbove is how many entries a leaf may hold, joinAt at how many a
	// range's parts become one leaf again. The gap keeps a range at the border
	// from splitting and joining with each write.
	splitAbove = 64
	joinAt     = 32

	stripeDepth = 2 // nibbles of a position that choose its stripe
	stripeCount = 256
)

// Tree is the digest of every range of a set of entries E, each a cheap,
// comparable handle such as a pointer to something immutable. The tests of this
// package have their entries in one; the engine has Stripes. It is a radix
// tree over positions, sixteen ways, in which a range is split only while it
// holds many entries; its shape never shows, because what lies below a leaf is
// computed from the leaf's entries.
//
// All methods may be called from many goroutines. Writes to different stripes
// (the first byte of the position) do not wait for each other.
type Tree[E comparable] struct {
	itemOf  func(E) Item
	stripes [stripeCount]stripe[E]
}

type stripe[E comparable] struct {
	mu   sync.Mutex
	root node[E]
	_    [64]byte // a cache line of its own for each lock
}

// node is a range that holds something. It is a leaf unless kids is set.
type node[E comparable] struct {
	digest Digest
	count  uint64
	kids   *[Fanout]*node[E] // nil where a part is empty
	leaf   []slot[E]         // by ascending position
}

type slot[E comparable] struct {
	pos uint64
	e   E
}

// NewTree is an empty tree. itemOf gives an entry's position and digest, the
// same ones at each call; it runs under a stripe's lock and must not call the
// tree.
func NewTree[E comparable](itemOf func(E) Item) *Tree[E] {
	return &Tree[E]{itemOf: itemOf}
}

// Insert adds an entry that the tree does not hold.
func (t *Tree[E]) Insert(pos uint64, e E, d Digest) {
	s := t.stripe(pos)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, r := &s.root, RangeOf(pos, stripeDepth)
	for {
		n.digest = n.digest.Add(d)
		n.count++
		if n.kids == nil {
			break
		}
		kid := &n.kids[r.Index(pos)]
		if *kid == nil {
			*kid = &node[E]{}
		}
		n, r = *kid, r.Child(r.Index(pos))
	}
	i, held := n.find(pos, e)
	if held {
		panic(fmt.Sprintf("merkle: insert at %016x: the tree holds this entry already", pos))
	}
	n.leaf = insertSlot(n.leaf, i, slot[E]{pos, e})
	t.split(n, r)
}

// Replace puts a new entry in the place of an old one that the tree holds.
func (t *Tree[E]) Replace(pos uint64, was, is E, dWas, dIs Digest) {
	s := t.stripe(pos)
	s.mu.Lock()
	defer s.mu.Unlock()
	change := dIs.Sub(dWas)
	n, r := &s.root, RangeOf(pos, stripeDepth)
	for {
		n.digest = n.digest.Add(change)
		if n.kids == nil {
			break
		}
		i := r.Index(pos)
		if n.kids[i] == nil {
			panic(missing("replace", pos))
		}
		n, r = n.kids[i], r.Child(i)
	}
	i, held := n.find(pos, was)
	if !held {
		panic(missing("replace", pos))
	}
	n.leaf[i].e = is
}

// Remove takes an entry away that the tree holds.
func (t *Tree[E]) Remove(pos uint64, e E, d Digest) {
	s := t.stripe(pos)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, r := &s.root, RangeOf(pos, stripeDepth)
	for {
		n.digest = n.digest.Sub(d)
		n.count--
		if n.kids != nil && n.count <= joinAt {
			n.join()
		}
		if n.kids == nil {
			break
		}
		i := r.Index(pos)
		kid := n.kids[i]
		if kid == nil {
			panic(missing("remove", pos))
		}
		if kid.count == 1 {
			if _, held := kid.find(pos, e); !held {
				panic(missing("remove", pos))
			}
			n.kids[i] = nil
			return
		}
		n, r = kid, r.Child(i)
	}
	i, held := n.find(pos, e)
	if !held {
		panic(missing("remove", pos))
	}
	n.leaf = slices.Delete(n.leaf, i, i+1)
	if len(n.leaf) == 0 {
		n.leaf = nil
	} else if cap(n.leaf) > 8 && len(n.leaf) <= cap(n.leaf)/2 {
		n.leaf = slices.Clone(n.leaf)
	}
}

// missing is the panic of a caller that lost track of what the tree holds:
// going on would leave a digest that no set of entries has, and the node could
// never again agree with another one.
func missing(op string, pos uint64) string {
	return fmt.Sprintf("merkle: %s at %016x: the tree does not hold this entry", op, pos)
}

func (t *Tree[E]) stripe(pos uint64) *stripe[E] {
	return &t.stripes[pos>>(64-stripeDepth*nibbleBits)]
}

// find is where e stands in the leaf or, failing that, where it belongs.
// Different entries may share a position.
func (n *node[E]) find(pos uint64, e E) (int, bool) {
	i, _ := slices.BinarySearchFunc(n.leaf, pos, func(s slot[E], pos uint64) int {
		if s.pos < pos {
			return -1
		}
		return 1 // the first of equal positions
	})
	for ; i < len(n.leaf) && n.leaf[i].pos == pos; i++ {
		if n.leaf[i].e == e {
			return i, true
		}
	}
	return i, false
}

// split turns a leaf that holds too much into a range of parts.
func (t *Tree[E]) split(n *node[E], r Range) {
	if len(n.leaf) <= splitAbove || r.Depth == MaxDepth {
		return
	}
	n.kids = new([Fanout]*node[E])
	for start := 0; start < len(n.leaf); {
		i := r.Index(n.leaf[start].pos)
		end := start + 1
		for end < len(n.leaf) && r.Index(n.leaf[end].pos) == i {
			end++
		}
		kid := &node[E]{count: uint64(end - start), leaf: slices.Clone(n.leaf[start:end])}
		for _, s := range kid.leaf {
			kid.digest = kid.digest.Add(t.itemOf(s.e).Digest)
		}
		n.kids[i] = kid
		t.split(kid, r.Child(i))
		start = end
	}
	n.leaf = nil
}

// join makes a leaf of a range of parts.
func (n *node[E]) join() {
	n.leaf = n.gather(make([]slot[E], 0, joinAt+1))
	n.kids = nil
}

func (n *node[E]) gather(dst []slot[E]) []slot[E] {
	dst = append(dst, n.leaf...)
	if n.kids != nil {
		for _, kid := range n.kids {
			if kid != nil {
				dst = kid.gather(dst)
			}
		}
	}
	return dst
}

// insertSlot is slices.Insert with slower growth: a leaf's unused room is
// memory that every entry of the store pays for.
func insertSlot[E comparable](leaf []slot[E], i int, s slot[E]) []slot[E] {
	if len(leaf) == cap(leaf) {
		grown := make([]slot[E], len(leaf), len(leaf)+len(leaf)/4+2)
		copy(grown, leaf)
		leaf = grown
	}
	leaf = leaf[:len(leaf)+1]
	copy(leaf[i+1:], leaf[i:])
	leaf[i] = s
	return leaf
}
