package merkle

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLosingTrackOfTheTreeIsAMistakeOfOurs(t *testing.T) {
	for _, n := range []uint64{0, 1, 200} {
		tree := NewTree(markItem)
		for i := range n {
			m := newMark(i<<40, i)
			tree.Insert(m.pos, m, m.d)
		}
		stray := newMark(1<<40, 1)
		require.Panics(t, func() { tree.Remove(stray.pos, stray, stray.d) }, "%d held", n)
		require.Panics(t, func() { tree.Replace(stray.pos, stray, stray, stray.d, stray.d) }, "%d held", n)
	}
	tree := NewTree(markItem)
	m := newMark(7, 7)
	tree.Insert(m.pos, m, m.d)
	require.Panics(t, func() { tree.Insert(m.pos, m, m.d) })
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	build := func(n uint64) *Tree[*mark] {
		tree := NewTree(markItem)
		for i := range n {
			m := newMark(i<<48, i)
			tree.Insert(m.pos, m, m.d)
		}
		require.NoError(t, tree.Check())
		return tree
	}
	for name, tc := range map[string]struct {
		n     uint64
		spoil func(root *node[*mark])
		want  string
	}{
		"an entry that changed":   {10, func(n *node[*mark]) { n.leaf[3].e.d = Digest{1, 1} }, "recomputed"},
		"a digest that drifted":   {10, func(n *node[*mark]) { n.digest.Lo++ }, "recomputed"},
		"a count that drifted":    {10, func(n *node[*mark]) { n.count++ }, "10 entries counted, 11 recorded"},
		"an entry that moved":     {10, func(n *node[*mark]) { n.leaf[3].pos++ }, "stands at"},
		"a foreign entry":         {10, func(n *node[*mark]) { n.leaf[3].pos |= 1 << 63; n.leaf[3].e.pos |= 1 << 63 }, "holds an entry at"},
		"entries out of order":    {10, func(n *node[*mark]) { n.leaf[3], n.leaf[4] = n.leaf[4], n.leaf[3] }, "out of order"},
		"a part that drifted":     {100, func(n *node[*mark]) { n.kids[1].digest.Hi++ }, "range 001: digest"},
		"an empty part":           {100, func(n *node[*mark]) { n.kids[15] = &node[*mark]{} }, "empty part"},
		"entries beside parts":    {100, func(n *node[*mark]) { n.leaf = n.kids[1].leaf }, "beside its parts"},
		"a leaf that is too full": {100, func(n *node[*mark]) { n.leaf, n.kids = n.gather(nil), nil }, "split above"},
		"a split for too little":  {100, func(n *node[*mark]) { n.count = joinAt }, "split with 32"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := build(tc.n)
			tc.spoil(&tree.stripes[0].root)
			require.ErrorContains(t, tree.Check(), tc.want)
		})
	}
}
