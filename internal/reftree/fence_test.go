package reftree

import (
	"bytes"
	"cmp"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHeadsAreInTheOrderOfTheirKeys(t *testing.T) {
	key := rapid.SliceOfN(rapid.SampledFrom([]byte("\x00a\xff")), 0, 10)
	rapid.Check(t, func(t *rapid.T) {
		shared := key.Draw(t, "shared")
		a := append(bytes.Clone(shared), key.Draw(t, "a")...)
		b := append(bytes.Clone(shared), key.Draw(t, "b")...)
		require.GreaterOrEqual(t, inCommon(a, b), len(shared))
		skip := rapid.IntRange(0, inCommon(a, b)).Draw(t, "skip")
		if order := cmp.Compare(head(a, skip), head(b, skip)); order != 0 {
			require.Equal(t, bytes.Compare(a, b), order)
		}
	})
}

// However the keys came, a search above the leaves need not read the records of
// keys that begin alike.
func TestHeadsTellKeysApartThatBeginAlike(t *testing.T) {
	for name, order := range map[string][]int{
		"ascending": ascending(20_000), "descending": descending(20_000), "random": random(20_000),
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, 40)
			tree := New(s.key)
			for _, i := range order {
				tree.Insert(s.put(fmt.Appendf(nil, "tenant/1234/user:%07d", i)))
			}
			fences := []fence{tree.fence()}
			for _, b := range tree.branches {
				fences = append(fences, b.fence())
			}
			require.Greater(t, len(fences), 3)
			for _, f := range fences {
				for i := range f.heads[1:] {
					require.Less(t, f.heads[i], f.heads[i+1])
				}
			}
		})
	}
}

// The key below all others takes from the topmost fence what it skips. Another
// branch gives it back.
func TestAFenceSkipsMoreOnceAStrayHasGone(t *testing.T) {
	m := newModel(t, 16)
	m.grow(random(20_000), forms[2])
	skips := m.tree.skip
	require.EqualValues(t, len("user:00"), skips)

	m.insert("a")
	require.Zero(t, m.tree.skip)
	m.check()
	m.delete("a")
	for i, branches := 20_000, len(m.tree.branches); len(m.tree.branches) <= branches; i++ {
		m.insert(fmt.Sprintf("user:0001%03dx%03d", i%1000, i/1000%1000))
	}
	m.check()
	require.Equal(t, skips, m.tree.skip)
}
