package reftree

import "bytes"

// A place is where a reference is, or would be inserted: the ref-th of a leaf.
type place struct{ branch, leaf, ref int }

func (t *Tree) leafAt(at place) *leaf { return t.branches[at.branch].leaves[at.leaf] }
func (t *Tree) at(at place) uint32    { return t.leafAt(at).refs[at.ref] }

// find returns the place of a key in a tree that is not empty, or the place where
// it belongs. In an empty tree nothing is found.
func (t *Tree) find(key []byte) (at place, found bool) {
	if len(t.branches) == 0 {
		return place{}, false
	}
	at.branch = t.below(t.fence(), key)
	b := t.branches[at.branch]
	at.leaf = t.below(b.fence(), key)
	at.ref, found = t.search(b.leaves[at.leaf].held(), key)
	return at, found
}

// search returns the index of the first reference whose key is not below the given
// one, and whether it is equal.
func (t *Tree) search(refs []uint32, key []byte) (int, bool) {
	lo, hi := 0, len(refs)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch c := bytes.Compare(t.key(refs[mid]), key); {
		case c < 0:
			lo = mid + 1
		case c > 0:
			hi = mid
		default:
			return mid, true
		}
	}
	return lo, false
}
