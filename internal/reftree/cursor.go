package reftree

// A Cursor reads references in ascending order. It is valid until the tree is
// changed; a copy goes its own way. The zero Cursor is at the end.
type Cursor struct {
	leaf *leaf // nil at the end
	ref  int   // of the leaf, which comes next

	t        *Tree
	branch   int
	leafHere int // of the branch
}

// Seek returns a cursor before the first reference whose key is above the given
// one, or, if inclusive, equal to it or above. A nil key is below all others.
func (t *Tree) Seek(after []byte, inclusive bool) Cursor {
	if t.size == 0 {
		return Cursor{}
	}
	at, found := t.find(after)
	if found && !inclusive {
		at.ref++
	}
	return Cursor{t: t, leaf: t.leafAt(at), ref: at.ref, branch: at.branch, leafHere: at.leaf}
}

// Next returns the next reference; ok is false at the end.
func (c *Cursor) Next() (ref uint32, ok bool) {
	if c.leaf == nil || c.ref >= int(c.leaf.n) {
		return c.nextLeaf()
	}
	ref = c.leaf.refs[c.ref]
	c.ref++
	return ref, true
}

// nextLeaf goes to the next leaf and returns its first reference.
func (c *Cursor) nextLeaf() (ref uint32, ok bool) {
	if c.leaf == nil {
		return 0, false
	}
	c.leafHere++
	if c.leafHere == int(c.t.branches[c.branch].n) {
		c.branch, c.leafHere = c.branch+1, 0
	}
	if c.branch == len(c.t.branches) {
		*c = Cursor{}
		return 0, false
	}
	c.leaf, c.ref = c.t.branches[c.branch].leaves[c.leafHere], 1
	return c.leaf.refs[0], true
}
