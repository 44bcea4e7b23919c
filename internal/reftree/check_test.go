package reftree

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckFindsWhatIsBroken(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(*Tree)
		want string
	}{
		{"two references swapped", func(t *Tree) {
			refs := &t.branches[1].leaves[2].refs
			refs[5], refs[6] = refs[6], refs[5]
		}, "follows"},
		{"a reference twice", func(t *Tree) {
			refs := &t.branches[1].leaves[2].refs
			refs[6] = refs[5]
		}, "follows"},
		{"a count", func(t *Tree) { t.size++ }, "counted are 10001"},
		{"a count of leaves", func(t *Tree) { t.leaves-- }, "counted are 10000 in"},
		{"a reference lost", func(t *Tree) { t.branches[0].leaves[0].n-- }, "9999 references"},
		{"a leaf's first reference", func(t *Tree) { t.branches[1].first[3]++ }, "stands above"},
		{"a branch's first reference", func(t *Tree) { t.first[1] = t.first[0] }, "stands above"},
		{"a leaf's head", func(t *Tree) { t.branches[1].heads[3]++ }, "its head is"},
		{"a branch's head", func(t *Tree) { t.heads[1]++ }, "its head is"},
		{"a head too few", func(t *Tree) { t.heads = t.heads[1:] }, "heads of"},
		{"too much skipped", func(t *Tree) { t.skip = 10 }, "in common"},
		{"an empty leaf", func(t *Tree) { t.branches[1].leaves[2].n = 0 }, "0 references"},
		{"an empty branch", func(t *Tree) { t.branches[1].n = 0 }, "0 leaves"},
		{"small leaves", func(t *Tree) {
			t.branches[1].leaves[2].n, t.branches[1].leaves[3].n = 20, 20
		}, "leaves 2 and 3 were to be merged"},
		{"small branches", func(t *Tree) {
			for _, b := range t.branches[:2] {
				clear(b.leaves[10:])
				b.n = 10
			}
		}, "branches 0 and 1 were to be merged"},
		{"a leaf kept alive", func(t *Tree) {
			b := t.branches[len(t.branches)-1]
			b.leaves[fanout-1] = b.leaves[0]
		}, "a leaf behind the last"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, _ := filled(t, ascending(10_000))
			require.Greater(t, len(tree.branches), 2)
			check(t, tree)
			c.harm(tree)
			require.ErrorContains(t, tree.Check(), c.want)
		})
	}
}
