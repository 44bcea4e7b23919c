package merkle

import "fmt"

// Check recomputes every digest and count from the entries and verifies the
// tree's invariants: entries stand in order in the range of their position, no
// leaf holds too much, no range is split that holds too little. It locks a
// stripe at a time.
func (t *Tree[E]) Check() error {
	for i := range t.stripes {
		s := &t.stripes[i]
		s.mu.Lock()
		r := Range{Prefix: uint64(i) << (64 - stripeDepth*nibbleBits), Depth: stripeDepth}
		_, err := t.checkNode(&s.root, r)
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("check merkle tree: %w", err)
		}
	}
	return nil
}

func (t *Tree[E]) checkNode(n *node[E], r Range) (Node, error) {
	var sum Node
	var err error
	if n.kids == nil {
		sum, err = t.checkLeaf(n, r)
	} else {
		sum, err = t.checkParts(n, r)
	}
	if err != nil {
		return sum, err
	}
	if sum.Count != n.count {
		return sum, fmt.Errorf("range %s: %d entries counted, %d recorded", r, sum.Count, n.count)
	}
	if sum.Digest != n.digest {
		return sum, fmt.Errorf("range %s: digest %s recomputed, %s recorded", r, sum.Digest, n.digest)
	}
	return sum, nil
}

func (t *Tree[E]) checkParts(n *node[E], r Range) (Node, error) {
	var sum Node
	if len(n.leaf) != 0 {
		return sum, fmt.Errorf("range %s: %d entries beside its parts", r, len(n.leaf))
	}
	if n.count <= joinAt {
		return sum, fmt.Errorf("range %s: split with %d entries, joined at %d", r, n.count, joinAt)
	}
	for i, kid := range n.kids {
		if kid == nil {
			continue
		}
		if kid.count == 0 {
			return sum, fmt.Errorf("range %s: an empty part is kept", r.Child(i))
		}
		part, err := t.checkNode(kid, r.Child(i))
		if err != nil {
			return sum, err
		}
		sum.add(part.Digest, part.Count)
	}
	return sum, nil
}

func (t *Tree[E]) checkLeaf(n *node[E], r Range) (Node, error) {
	var sum Node
	if len(n.leaf) > splitAbove && r.Depth < MaxDepth {
		return sum, fmt.Errorf("range %s: %d entries in a leaf, split above %d", r, len(n.leaf), splitAbove)
	}
	for i, slot := range n.leaf {
		it := t.itemOf(slot.e)
		switch {
		case it.Pos != slot.pos:
			return sum, fmt.Errorf("range %s: an entry of position %016x stands at %016x", r, it.Pos, slot.pos)
		case !r.Contains(slot.pos):
			return sum, fmt.Errorf("range %s: holds an entry at %016x", r, slot.pos)
		case i > 0 && n.leaf[i-1].pos > slot.pos:
			return sum, fmt.Errorf("range %s: entry at %016x is out of order", r, slot.pos)
		}
		sum.add(it.Digest, 1)
	}
	return sum, nil
}
