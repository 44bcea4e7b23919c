package merkle

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// mark is an entry of a tree under test.
type mark struct {
	pos uint64
	id  uint64
	d   Digest
}

func markItem(m *mark) Item { return Item{Pos: m.pos, Digest: m.d, Time: m.id, Ref: m} }

var testHasher = NewHasher(Key{Secret: [16]byte{1, 2, 3}})

func newMark(pos, id uint64) *mark {
	var fixed [FixedSize]byte
	binary.BigEndian.PutUint64(fixed[:], id)
	return &mark{pos: pos, id: id, d: testHasher.Entry("k", &fixed)}
}

// flat is the model: a slice and no structure at all.
type flat []*mark

func (f flat) sum(r Range) (n Node) {
	for _, m := range f {
		if r.Contains(m.pos) {
			n.Digest = n.Digest.Add(m.d)
			n.Count++
		}
	}
	return n
}

func (f flat) walk(r Range, from uint64) (pos []uint64) {
	for _, m := range f {
		if r.Contains(m.pos) && m.pos >= from {
			pos = append(pos, m.pos)
		}
	}
	slices.Sort(pos)
	return pos
}

// positions crowds a few places, so that leaves split, join and hold equal
// positions at the bottom.
func positions() *rapid.Generator[uint64] {
	return rapid.Custom(func(t *rapid.T) uint64 {
		switch rapid.IntRange(0, 4).Draw(t, "crowd") {
		case 0:
			return rapid.Uint64().Draw(t, "anywhere")
		case 1:
			return 0xabcd<<48 | rapid.Uint64Range(0, 1<<20).Draw(t, "deep")
		case 2:
			return 0xabcd<<48 | rapid.Uint64Range(0, 3).Draw(t, "equal")
		case 3:
			return ^uint64(0) - rapid.Uint64Range(0, 20).Draw(t, "end")
		default:
			return rapid.Uint64Range(0, 20).Draw(t, "start")
		}
	})
}

func ranges() *rapid.Generator[Range] {
	return rapid.Custom(func(t *rapid.T) Range {
		return RangeOf(positions().Draw(t, "pos"), uint8(rapid.IntRange(0, MaxDepth).Draw(t, "depth")))
	})
}

func TestTreeAgreesWithAFlatModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := NewTree(markItem)
		var model flat
		var ids uint64
		insert := func(pos uint64) {
			ids++
			m := newMark(pos, ids)
			tree.Insert(pos, m, m.d)
			model = append(model, m)
		}
		remove := func(i int) {
			tree.Remove(model[i].pos, model[i], model[i].d)
			model = slices.Delete(model, i, i+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) { insert(positions().Draw(t, "pos")) },
			"insertMany": func(t *rapid.T) {
				base := positions().Draw(t, "base")
				step := rapid.SampledFrom([]uint64{0, 1, 17, 1 << 40}).Draw(t, "step")
				for i := range rapid.Uint64Range(1, 150).Draw(t, "n") {
					insert(base + i*step)
				}
			},
			"remove": func(t *rapid.T) {
				if len(model) > 0 {
					remove(rapid.IntRange(0, len(model)-1).Draw(t, "i"))
				}
			},
			"removeMany": func(t *rapid.T) {
				for range min(len(model), rapid.IntRange(1, 150).Draw(t, "n")) {
					remove(rapid.IntRange(0, len(model)-1).Draw(t, "i"))
				}
			},
			"replace": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "i")
				ids++
				was, is := model[i], newMark(model[i].pos, ids)
				tree.Replace(was.pos, was, is, was.d, is.d)
				model[i] = is
			},
			"": func(t *rapid.T) {
				require.NoError(t, tree.Check())
				for _, r := range []Range{{}, ranges().Draw(t, "range")} {
					wantRange(t, tree, model, r)
				}
			},
		})
		for len(model) > 0 {
			remove(len(model) - 1)
		}
		require.NoError(t, tree.Check())
		d, n := tree.Root()
		require.True(t, d.IsZero())
		require.Zero(t, n)
	})
}

func wantRange(t *rapid.T, tree *Tree[*mark], model flat, r Range) {
	d, n := tree.Range(r)
	require.Equal(t, model.sum(r), Node{Digest: d, Count: n}, "range %s", r)
	if r.Depth < MaxDepth {
		var kids [Fanout]Node
		tree.Children(r, &kids)
		for i, kid := range kids {
			require.Equal(t, model.sum(r.Child(i)), kid, "child %d of %s", i, r)
		}
	}
	from := positions().Draw(t, "from")
	var got []uint64
	tree.Walk(r, from, func(pos uint64, m *mark) bool {
		require.Equal(t, pos, m.pos)
		got = append(got, pos)
		return true
	})
	require.Equal(t, model.walk(r, from), got, "walk %s from %x", r, from)

	limit := rapid.IntRange(0, 70).Draw(t, "limit")
	var paged []uint64
	for at, more := from, limit > 0; more; {
		page := tree.Items(r, at, nil, limit)
		for i, it := range page {
			require.False(t, i > limit && it.Pos != page[i-1].Pos, "a page past its limit")
			paged = append(paged, it.Pos)
		}
		more = len(page) > 0 && page[len(page)-1].Pos != ^uint64(0)
		if more {
			at = page[len(page)-1].Pos + 1
		}
	}
	if limit > 0 {
		require.Equal(t, got, paged, "pages of %d of %s from %x", limit, r, from)
	}
}
