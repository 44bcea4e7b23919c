package reftree

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// A store keeps records as a slab does: a length and a key, at an offset that is
// the reference. What is freed is poisoned and used again at once.
type store struct {
	t     require.TestingT
	arena []byte
	free  []uint32
	max   int // of a key's bytes
}

func newStore(t require.TestingT, maxKey int) *store { return &store{t: t, max: maxKey} }

const poison = 0xff // no key is so long

func (s *store) put(key []byte) uint32 {
	require.LessOrEqual(s.t, len(key), s.max)
	size := s.max + 1
	var at uint32
	if n := len(s.free); n > 0 {
		at, s.free = s.free[n-1], s.free[:n-1]
	} else {
		at = uint32(len(s.arena))
		s.arena = append(s.arena, make([]byte, size)...)
	}
	s.arena[at] = byte(len(key))
	copy(s.arena[at+1:], key)
	return at
}

func (s *store) drop(ref uint32) {
	s.arena[ref] = poison
	s.free = append(s.free, ref)
}

func (s *store) key(ref uint32) []byte {
	n := s.arena[ref]
	if n == poison {
		require.FailNow(s.t, "the tree asks for the key of a record that is gone", "reference %d", ref)
	}
	return s.arena[ref+1 : ref+1+uint32(n)]
}

// number returns a key of ten bytes; the keys are in the order of the numbers.
func number(n int) []byte {
	return binary.BigEndian.AppendUint64([]byte("k:"), uint64(n))
}

// filled returns a tree of n keys, inserted in the order given, and their store.
func filled(t require.TestingT, order []int) (*Tree, *store) {
	s := newStore(t, 10)
	tree := New(s.key)
	for _, i := range order {
		tree.Insert(s.put(number(i)))
	}
	return tree, s
}

func ascending(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func descending(n int) []int {
	all := ascending(n)
	for i := range all {
		all[i] = n - 1 - i
	}
	return all
}

func random(n int) []int { return rand.New(rand.NewPCG(1, 2)).Perm(n) }

// keysFrom returns the keys that a cursor comes across, at most limit.
func keysFrom(tree *Tree, c Cursor, limit int) []string {
	var all []string
	for len(all) < limit {
		ref, ok := c.Next()
		if !ok {
			break
		}
		all = append(all, string(tree.key(ref)))
	}
	return all
}

func check(t testing.TB, tree *Tree) {
	t.Helper()
	require.NoError(t, tree.Check())
}
