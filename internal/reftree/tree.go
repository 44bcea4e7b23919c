package reftree

import (
	"fmt"
	"slices"
	"unsafe"
)

// A Tree is a set of references, ordered by their keys. Make it with [New].
type Tree struct {
	key func(ref uint32) []byte

	skip     uint32
	first    []uint32 // first[i] == branches[i].first[0]
	heads    []uint64
	branches []*branch

	size, leaves int
}

// New returns an empty tree. The function gives the key that a reference stands
// for: the same bytes as long as the tree holds it. The tree reads them during the
// call that asked, several keys side by side, and neither keeps nor changes them.
func New(key func(ref uint32) []byte) *Tree {
	return &Tree{key: key}
}

// Len returns how many references the tree holds.
func (t *Tree) Len() int { return t.size }

// Bytes returns the memory that the tree takes.
func (t *Tree) Bytes() int {
	top := 4*cap(t.first) + 8*cap(t.heads) + int(unsafe.Sizeof(uintptr(0)))*cap(t.branches)
	return int(unsafe.Sizeof(*t)) + top + len(t.branches)*branchBytes + t.leaves*leafBytes
}

// Insert adds a reference. It panics if one of the same key is there.
func (t *Tree) Insert(ref uint32) {
	key := t.key(ref)
	if t.size == 0 {
		t.addBranch(0, &branch{})
		t.addLeaf(place{}, &leaf{})
	}
	at, found := t.find(key)
	if found {
		t.refuse(t.at(at), ref)
	}
	if t.leafAt(at).full() {
		at = t.makeRoom(at, key)
	}
	t.leafAt(at).insert(at.ref, ref)
	t.size++
	t.firstChanged(at)
}

func (t *Tree) refuse(held, ref uint32) {
	panic(fmt.Sprintf("reftree: references %d and %d are both of the key %q", held, ref, t.key(ref)))
}

// Delete removes the reference of a key and reports whether there was one. After
// it the tree does not ask for the reference's key any more.
func (t *Tree) Delete(key []byte) bool {
	at, found := t.find(key)
	if !found {
		return false
	}
	t.leafAt(at).remove(at.ref)
	t.size--
	t.shrink(at)
	return true
}

// Replace puts another reference in the place of the key's and reports whether
// there was one. The new reference's key is the same.
func (t *Tree) Replace(key []byte, ref uint32) bool {
	at, found := t.find(key)
	if !found {
		return false
	}
	t.leafAt(at).refs[at.ref] = ref
	t.firstChanged(at)
	return true
}

func (t *Tree) fence() fence { return fence{&t.skip, t.first, t.heads} }

// firstChanged brings what stands above a leaf up to date if the place is its
// first.
func (t *Tree) firstChanged(at place) {
	if at.ref > 0 {
		return
	}
	b := t.branches[at.branch]
	b.first[at.leaf] = b.leaves[at.leaf].refs[0]
	t.follow(b.fence(), at.leaf)
	if at.leaf == 0 {
		t.branchBegins(at.branch)
	}
}

// branchBegins brings what stands above a branch up to date.
func (t *Tree) branchBegins(at int) {
	t.first[at] = t.branches[at].first[0]
	t.follow(t.fence(), at)
}

func (t *Tree) addLeaf(at place, l *leaf) {
	t.branches[at.branch].insert(at.leaf, l)
	t.leaves++
}

// removeLeaf leaves the branch without any if it was the last.
func (t *Tree) removeLeaf(at place) {
	b := t.branches[at.branch]
	b.remove(at.leaf)
	t.leaves--
	if at.leaf == 0 && b.n > 0 {
		t.branchBegins(at.branch)
	}
}

// addBranch leaves the fence at the branch to whoever fills it.
func (t *Tree) addBranch(at int, b *branch) {
	t.first = slices.Insert(t.first, at, 0)
	t.heads = slices.Insert(t.heads, at, 0)
	t.branches = slices.Insert(t.branches, at, b)
}

// removeBranch gives memory back when three quarters of the topmost level are
// unused.
func (t *Tree) removeBranch(at int) {
	t.first = shortened(t.first, at)
	t.heads = shortened(t.heads, at)
	t.branches = shortened(t.branches, at)
	if len(t.branches) > 0 {
		t.tighten(t.fence())
	}
}

func shortened[E any](s []E, without int) []E {
	s = slices.Delete(s, without, without+1)
	switch {
	case len(s) == 0:
		return nil
	case len(s) < cap(s)/4:
		return append(make([]E, 0, 2*len(s)), s...)
	}
	return s
}
