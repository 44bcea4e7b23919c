package reftree

import (
	"bytes"
	"errors"
	"fmt"
)

// Check reports whether the tree is as it has to be. It asks for every key.
func (t *Tree) Check() error {
	if len(t.first) != len(t.branches) || len(t.heads) != len(t.branches) {
		return fmt.Errorf("%d first references and %d heads of %d branches", len(t.first), len(t.heads), len(t.branches))
	}
	size, leaves := 0, 0
	var last []byte
	for i, b := range t.branches {
		if err := b.check(); err != nil {
			return fmt.Errorf("branch %d: %w", i, err)
		}
		if err := t.checkFence(b.fence()); err != nil {
			return fmt.Errorf("branch %d: %w", i, err)
		}
		if t.first[i] != b.first[0] {
			return fmt.Errorf("branch %d begins with %d: %d stands above", i, b.first[0], t.first[i])
		}
		if i > 0 && t.branches[i-1].n+b.n <= mergeAt {
			return fmt.Errorf("branches %d and %d were to be merged", i-1, i)
		}
		for j, l := range b.leaves[:b.n] {
			for k, ref := range l.held() {
				key := t.key(ref)
				if size > 0 && bytes.Compare(last, key) >= 0 {
					return fmt.Errorf("branch %d, leaf %d, reference %d: the key %q follows %q", i, j, k, key, last)
				}
				last = append(last[:0], key...)
				size++
			}
			leaves++
		}
	}
	if err := t.checkFence(t.fence()); err != nil {
		return err
	}
	if size != t.size || leaves != t.leaves {
		return fmt.Errorf("%d references in %d leaves: counted are %d in %d", size, leaves, t.size, t.leaves)
	}
	return nil
}

// check reports whether the branch is as it has to be, keys apart.
func (b *branch) check() error {
	if b.n == 0 || b.n > fanout {
		return fmt.Errorf("%d leaves", b.n)
	}
	for i, l := range b.leaves[:b.n] {
		switch {
		case l.n == 0 || l.n > fanout:
			return fmt.Errorf("leaf %d: %d references", i, l.n)
		case b.first[i] != l.refs[0]:
			return fmt.Errorf("leaf %d begins with %d: %d stands above", i, l.refs[0], b.first[i])
		case i > 0 && b.leaves[i-1].n+l.n <= mergeAt:
			return fmt.Errorf("leaves %d and %d were to be merged", i-1, i)
		}
	}
	for _, l := range b.leaves[b.n:] {
		if l != nil {
			return errors.New("a leaf behind the last")
		}
	}
	return nil
}

// checkFence reports whether the heads are those of the first references.
func (t *Tree) checkFence(f fence) error {
	if len(f.first) == 0 {
		return nil
	}
	if n := t.spanned(f); n < int(*f.skip) {
		return fmt.Errorf("a fence skips %d bytes of keys that have %d in common", *f.skip, n)
	}
	for i, ref := range f.first {
		if h := head(t.key(ref), int(*f.skip)); h != f.heads[i] {
			return fmt.Errorf("subtree %d begins with the key %q: its head is %x instead of %x", i, t.key(ref), f.heads[i], h)
		}
	}
	return nil
}
