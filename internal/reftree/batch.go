package reftree

import (
	"bytes"
	"cmp"
	"slices"
)

const (
	// builtFull is how full the leaves and branches of a tree that is built are,
	// about as those that grow at random: what is inserted next finds room.
	builtFull = 56

	// Fewer than a fourth of what the tree holds are inserted one by one.
	buildFrom = 4
)

// InsertAll adds references in any order and sorts them in place, by their keys.
// It panics if two of the keys are equal, or one is there. Many references take a
// fifth of the time that they take one by one.
func (t *Tree) InsertAll(refs []uint32) {
	t.sort(refs)
	if len(refs) < t.size/buildFrom {
		for _, ref := range refs {
			t.Insert(ref)
		}
		return
	}
	t.build(refs)
}

// sort orders references by their keys, which it reads in the order given but where
// heads are equal. It takes 16 bytes a reference meanwhile.
func (t *Tree) sort(refs []uint32) {
	if len(refs) < 2 {
		return
	}
	common := t.key(refs[0])
	for _, ref := range refs[1:] {
		common = common[:inCommon(common, t.key(ref))]
	}
	type headed struct {
		head uint64
		ref  uint32
	}
	by := make([]headed, len(refs))
	for i, ref := range refs {
		by[i] = headed{head(t.key(ref), len(common)), ref}
	}
	slices.SortFunc(by, func(a, b headed) int {
		if c := cmp.Compare(a.head, b.head); c != 0 {
			return c
		}
		return bytes.Compare(t.key(a.ref), t.key(b.ref))
	})
	for i := range by {
		refs[i] = by[i].ref
		if i > 0 && by[i].head == by[i-1].head && bytes.Equal(t.key(refs[i-1]), t.key(refs[i])) {
			t.refuse(refs[i-1], refs[i])
		}
	}
}

// build makes the tree anew from what it holds and from sorted references.
func (t *Tree) build(refs []uint32) {
	is := New(t.key)
	old := t.Seek(nil, true)
	held, more := old.Next()
	l := &leaf{}
	for more || len(refs) > 0 {
		if l.n == builtFull {
			is.push(l)
			l = &leaf{}
		}
		order := 1
		switch {
		case len(refs) == 0:
			order = -1
		case more:
			order = bytes.Compare(t.key(held), t.key(refs[0]))
		}
		switch {
		case order < 0:
			l.insert(int(l.n), held)
			held, more = old.Next()
		case order > 0:
			l.insert(int(l.n), refs[0])
			refs = refs[1:]
		default:
			t.refuse(held, refs[0])
		}
	}
	if l.n > 0 {
		is.push(l)
	}
	is.fenceIn()
	*t = *is
}

// push adds a leaf at the end of a tree whose fences are made when all are there.
func (t *Tree) push(l *leaf) {
	last := len(t.branches) - 1
	if last < 0 || t.branches[last].n == builtFull {
		last++
		t.branches = append(t.branches, &branch{})
	}
	b := t.branches[last]
	b.first[b.n] = l.refs[0]
	b.leaves[b.n] = l
	b.n++
	t.leaves++
	t.size += int(l.n)
}

func (t *Tree) fenceIn() {
	t.first = make([]uint32, len(t.branches))
	t.heads = make([]uint64, len(t.branches))
	for i, b := range t.branches {
		t.first[i] = b.first[0]
		t.renew(b.fence())
	}
	if len(t.branches) > 0 {
		t.renew(t.fence())
	}
}
