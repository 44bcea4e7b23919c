package reftree

// A full leaf gives no more than this to a neighbour: it keeps so many that it is
// not to be merged with the other one, however small that is.
const maxGift = fanout - mergeAt

// makeRoom sees to it that the leaf where a key belongs has room, and returns the
// key's place afterwards.
func (t *Tree) makeRoom(at place, key []byte) place {
	b := t.branches[at.branch]
	l := b.leaves[at.leaf]

	if at.ref == fanout && at.leaf == int(b.n)-1 && at.branch == len(t.branches)-1 {
		return t.extend(at)
	}
	before, behind := 0, 0 // room in the neighbours
	if at.leaf > 0 {
		before = fanout - int(b.leaves[at.leaf-1].n)
	}
	if at.leaf+1 < int(b.n) {
		behind = fanout - int(b.leaves[at.leaf+1].n)
	}
	switch {
	case before > 0 && before >= behind:
		n := min((before+1)/2, maxGift)
		to := b.leaves[at.leaf-1]
		to.take(n, l)
		t.firstChanged(place{at.branch, at.leaf, 0})
		if at.ref < n {
			return place{at.branch, at.leaf - 1, int(to.n) - n + at.ref}
		}
		at.ref -= n
		return at
	case behind > 0 && at.ref == fanout:
		return place{at.branch, at.leaf + 1, 0}
	case behind > 0:
		return t.giveBehind(at, min((behind+1)/2, maxGift))
	case b.full():
		t.splitBranch(at.branch)
		at, _ = t.find(key) // rare enough not to reckon it out
		return t.makeRoom(at, key)
	}
	t.addLeaf(place{at.branch, at.leaf + 1, 0}, &leaf{})
	return t.giveBehind(at, fanout/2)
}

// giveBehind moves the last n references of a leaf into the next one of its branch.
func (t *Tree) giveBehind(at place, n int) place {
	b := t.branches[at.branch]
	l := b.leaves[at.leaf]
	l.give(n, b.leaves[at.leaf+1])
	t.firstChanged(place{at.branch, at.leaf + 1, 0})
	if over := at.ref - int(l.n); over > 0 {
		return place{at.branch, at.leaf + 1, over}
	}
	return at
}

// extend adds an empty leaf at the end of the tree. What is inserted in ascending
// order leaves full leaves behind, in full branches.
func (t *Tree) extend(at place) place {
	if t.branches[at.branch].full() {
		t.addBranch(at.branch+1, &branch{})
		at = place{at.branch + 1, 0, 0}
	} else {
		at = place{at.branch, at.leaf + 1, 0}
	}
	t.addLeaf(at, &leaf{})
	return at
}

func (t *Tree) splitBranch(at int) {
	b, behind := t.branches[at], &branch{}
	b.give(fanout/2, behind)
	t.renew(b.fence())
	t.renew(behind.fence())
	t.addBranch(at+1, behind)
	t.branchBegins(at + 1)
	t.tighten(t.fence())
	t.joinBranches(at + 1)
	if at > 0 {
		t.joinBranches(at - 1)
	}
}
