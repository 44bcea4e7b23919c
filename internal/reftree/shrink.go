package reftree

// shrink does what is due after a reference has gone from a place.
func (t *Tree) shrink(at place) {
	b := t.branches[at.branch]
	switch {
	case b.leaves[at.leaf].n == 0:
		t.removeLeaf(at)
	case t.joinLeaves(at.branch, at.leaf), at.leaf > 0 && t.joinLeaves(at.branch, at.leaf-1):
	default:
		t.firstChanged(at)
		return
	}
	if b.n == 0 {
		t.removeBranch(at.branch)
		return
	}
	t.joinAround(at.branch)
}

// joinAround merges a branch with its neighbours as long as that is due.
func (t *Tree) joinAround(at int) {
	for {
		switch {
		case t.joinBranches(at):
		case at > 0 && t.joinBranches(at-1):
			at--
		default:
			return
		}
	}
}

// joinBranches merges a branch with the one behind it, if there is one and they
// are small, and the leaves that become neighbours thereby.
func (t *Tree) joinBranches(at int) bool {
	if at+1 >= len(t.branches) || t.branches[at].n+t.branches[at+1].n > mergeAt {
		return false
	}
	b := t.branches[at]
	seam := int(b.n) - 1
	b.takeAll(t.branches[at+1])
	t.renew(b.fence())
	t.removeBranch(at + 1)
	t.joinLeaves(at, seam)
	return true
}

// joinLeaves merges a leaf with the one behind it in its branch, if there is one
// and they are small.
func (t *Tree) joinLeaves(inBranch, at int) bool {
	b := t.branches[inBranch]
	if at+1 >= int(b.n) || b.leaves[at].n+b.leaves[at+1].n > mergeAt {
		return false
	}
	behind := b.leaves[at+1]
	b.leaves[at].take(int(behind.n), behind)
	t.removeLeaf(place{inBranch, at + 1, 0})
	t.firstChanged(place{inBranch, at, 0})
	return true
}
