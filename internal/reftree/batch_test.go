package reftree

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestInsertingAllAtOnceIsInsertingOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore(t, 32)
		form := rapid.SampledFrom(forms).Draw(t, "form")
		order := random(rapid.IntRange(0, 20_000).Draw(t, "keys"))
		var refs []uint32
		for _, i := range order {
			refs = append(refs, s.put([]byte(form(i))))
		}
		before := rapid.IntRange(0, len(refs)).Draw(t, "inserted before")
		one, all := New(s.key), New(s.key)
		for _, ref := range refs {
			one.Insert(ref)
		}
		for _, ref := range refs[:before] {
			all.Insert(ref)
		}
		all.InsertAll(slices.Clone(refs[before:]))

		require.NoError(t, all.Check())
		require.Equal(t, one.Len(), all.Len())
		require.Equal(t, keysFrom(one, one.Seek(nil, true), len(refs)), keysFrom(all, all.Seek(nil, true), len(refs)))
	})
}

func TestOfTwoEqualKeysNeitherIsInsertedAtOnce(t *testing.T) {
	for _, held := range []int{0, 1, 100, 1_000} { // both ways of inserting
		tree, s := filled(t, ascending(held))
		if held > 0 {
			require.Panics(t, func() { tree.InsertAll([]uint32{s.put(number(held - 1)), s.put(number(held))}) })
		}
		require.Panics(t, func() { tree.InsertAll([]uint32{s.put(number(held)), s.put(number(held))}) })
		check(t, tree)
		require.Equal(t, held, tree.Len())
	}
}

func TestWhatIsBuiltTakesAFewBytesAndHasRoom(t *testing.T) {
	const n = 50_000
	s := newStore(t, 10)
	var refs []uint32
	for _, i := range random(n) {
		refs = append(refs, s.put(number(2*i)))
	}
	tree := New(s.key)
	tree.InsertAll(refs)
	check(t, tree)
	built := tree.Bytes()
	t.Logf("%.2f bytes an entry", float64(built)/n)
	require.LessOrEqual(t, float64(built)/n, 5.2)
	for _, i := range random(n)[:n/20] {
		tree.Insert(s.put(number(2*i + 1)))
	}
	check(t, tree)
	require.LessOrEqual(t, float64(tree.Bytes()), 1.05*float64(built))
}
