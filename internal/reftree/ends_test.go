package reftree

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATreeIsEmptiedFromEitherEnd(t *testing.T) {
	const n = 10_000
	for name, order := range map[string][]int{"ascending": ascending(n), "descending": descending(n)} {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, 10)
			m.grow(ascending(n), forms[0])
			for i, k := range order {
				m.delete(forms[0](k))
				if i%97 == 0 {
					m.check()
					m.seek("", true, 5)
				}
			}
			require.Equal(t, New(nil).Bytes(), m.tree.Bytes())
		})
	}
}

func TestAQueueDoesNotGrow(t *testing.T) {
	const n = 10_000
	m := newModel(t, 12)
	m.grow(ascending(n), forms[2])
	budget := m.tree.Bytes() + 2*branchBytes
	for i := range 3 * n {
		m.insert(forms[2](n + i))
		m.delete(forms[2](i))
		if i%997 == 0 {
			m.check()
			require.LessOrEqual(t, m.tree.Bytes(), budget)
		}
	}
}

// What is inserted in order between other keys leaves leaves that are nearly full,
// too, though they are not at the end.
func TestAscendingBetweenOthersFillsLeaves(t *testing.T) {
	const n = 100_000
	s := newStore(t, 10)
	tree := New(s.key)
	tree.Insert(s.put([]byte("z")))
	for _, i := range ascending(n) {
		tree.Insert(s.put(number(i)))
	}
	check(t, tree)
	require.LessOrEqual(t, float64(tree.Bytes())/n, 5.0)
}

func TestACursorStandsAtTheEnd(t *testing.T) {
	var zero Cursor
	empty := New(nil).Seek([]byte("k"), true)
	tree, _ := filled(t, ascending(100))
	past := tree.Seek([]byte("l"), true)
	last := tree.Seek(number(99), false)
	for _, c := range []Cursor{zero, empty, past, last} {
		for range 2 {
			_, ok := c.Next()
			require.False(t, ok)
		}
	}
	at := tree.Seek(number(98), true)
	other := at
	require.Equal(t, []string{string(number(98)), string(number(99))}, keysFrom(tree, at, 5))
	require.Equal(t, []string{string(number(98))}, keysFrom(tree, other, 1))
}

func TestSeekingAllocatesNothing(t *testing.T) {
	tree, _ := filled(t, random(10_000))
	key := number(5_000)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c := tree.Seek(key, true)
		for range 200 {
			c.Next()
		}
	}))
}
