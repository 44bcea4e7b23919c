package reftree

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/invariant"
)

func TestAnEntryTakesAFewBytes(t *testing.T) {
	n := 200_000
	if testing.Short() || invariant.Enabled { // as under the race detector
		n = 50_000
	}
	for _, c := range []struct {
		name   string
		order  []int
		budget float64
	}{
		{"ascending", ascending(n), 4.8},
		{"descending", descending(n), 4.8},
		{"random", random(n), 6.2},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, s := filled(t, c.order)
			check(t, tree)
			each := float64(tree.Bytes()) / float64(n)
			t.Logf("%.2f bytes an entry", each)
			require.LessOrEqual(t, each, c.budget)

			for _, i := range random(n) {
				at, _ := tree.find(number(i))
				ref := tree.at(at)
				if !tree.Delete(number(i)) {
					require.FailNow(t, "a key is gone", "%d", i)
				}
				s.drop(ref)
				if tree.Len() == n/100 {
					check(t, tree)
					each := float64(tree.Bytes()) / float64(tree.Len())
					t.Logf("%.2f bytes an entry, of one in a hundred", each)
					require.LessOrEqual(t, each, 14.0)
				}
			}
			check(t, tree)
			require.Equal(t, New(nil).Bytes(), tree.Bytes())
		})
	}
}

func TestBytesIsWhatTheRuntimeTakes(t *testing.T) {
	order := random(200_000)
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	tree, s := filled(t, order)
	with := heap()
	said := tree.Bytes()
	runtime.KeepAlive(tree)
	tree = nil
	without := heap()
	runtime.KeepAlive(s)
	runtime.KeepAlive(order)
	require.InEpsilon(t, said, with-without, 0.02)
}
