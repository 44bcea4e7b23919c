package merkle

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestManyWriteAndReadAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	tree := NewTree(markItem)
	const writers, perWriter = 4, 2000
	left := make([]flat, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			var own flat
			for i := range perWriter {
				// Half of them crowd one stripe, so that it splits and joins.
				pos := rng.Uint64()
				if i%2 == 0 {
					pos = pos>>16 | 0xab<<56
				}
				switch {
				case len(own) > 0 && rng.IntN(5) < 2:
					j := rng.IntN(len(own))
					tree.Remove(own[j].pos, own[j], own[j].d)
					own[j] = own[len(own)-1]
					own = own[:len(own)-1]
				case len(own) > 0 && rng.IntN(5) == 0:
					j := rng.IntN(len(own))
					was, is := own[j], newMark(own[j].pos, rng.Uint64())
					tree.Replace(was.pos, was, is, was.d, is.d)
					own[j] = is
				default:
					m := newMark(pos, rng.Uint64())
					tree.Insert(pos, m, m.d)
					own = append(own, m)
				}
			}
			left[w] = own
		})
	}
	for w := range 2 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 2))
			for range 300 {
				r := RangeOf(0xab<<56|rng.Uint64()>>8, uint8(rng.IntN(6)))
				var parts [Fanout]Node
				tree.Children(r, &parts)
				tree.Range(r)
				tree.Root()
				var last uint64
				tree.Walk(r, 0, func(pos uint64, m *mark) bool {
					if pos < last || pos != m.pos || !r.Contains(pos) {
						t.Errorf("walk of %s: %x after %x", r, pos, last)
					}
					last = pos
					return true
				})
			}
		})
	}
	wg.Wait()
	require.NoError(t, tree.Check())
	var model flat
	for _, own := range left {
		model = append(model, own...)
	}
	d, n := tree.Root()
	require.Equal(t, model.sum(Range{}), Node{Digest: d, Count: n})
}

// Whoever compares roots must never see one of a set that was never there.
func TestARootIsOfOneInstant(t *testing.T) {
	defer goleak.VerifyNone(t)
	tree := NewTree(markItem)
	rng := rand.New(rand.NewPCG(4, 2))
	marks := make([]*mark, 20_000)
	known := map[Digest]uint64{{}: 0}
	var sum Digest
	for i := range marks {
		marks[i] = newMark(rng.Uint64(), uint64(i))
		sum = sum.Add(marks[i].d)
		known[sum] = uint64(i + 1)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, m := range marks {
			tree.Insert(m.pos, m, m.d)
		}
	})
	for seen := uint64(0); seen < uint64(len(marks)); {
		d, n := tree.Root()
		at, ok := known[d]
		require.True(t, ok, "a root of no instant")
		require.Equal(t, at, n)
		require.GreaterOrEqual(t, n, seen)
		seen = n
	}
	wg.Wait()
}

func TestAWalkMayBeCutShortAndMayWrite(t *testing.T) {
	tree := NewTree(markItem)
	for i := range uint64(500) {
		m := newMark(i<<52, i)
		tree.Insert(m.pos, m, m.d)
	}
	seen := 0
	tree.Walk(Range{}, 0, func(_ uint64, m *mark) bool {
		tree.Remove(m.pos, m, m.d) // no lock is held
		seen++
		return seen < 100
	})
	require.Equal(t, 100, seen)
	require.NoError(t, tree.Check())
	_, n := tree.Root()
	require.Equal(t, uint64(400), n)
}

func TestATreeCostsLittleBesidesItsEntries(t *testing.T) {
	const n = 200_000
	rng := rand.New(rand.NewPCG(1, 1))
	marks := make([]mark, n)
	for i := range marks {
		marks[i] = mark{pos: rng.Uint64()}
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	tree := NewTree(markItem)
	for i := range marks {
		tree.Insert(marks[i].pos, &marks[i], marks[i].d)
	}
	perEntry := float64(heap()-before) / n
	t.Logf("%.1f bytes an entry", perEntry)
	require.Less(t, perEntry, 32.0)
	runtime.KeepAlive(tree)

	a := &mark{pos: marks[5].pos}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		tree.Replace(a.pos, &marks[5], a, Digest{}, Digest{})
		tree.Replace(a.pos, a, &marks[5], Digest{}, Digest{})
	}))
}
