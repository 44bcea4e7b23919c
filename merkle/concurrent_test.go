package merkle

import (
	"fmt"
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

// Rounds of one node with several others run side by side, in any order and
// with keys that change under them. Each ends well or with ErrKeyChanged, and
// repeating them ends in one root under the oldest key.
func TestRoundsSideBySideConverge(t *testing.T) {
	changed := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 8))
		var stores []*store
		for i := range 3 {
			s := newStore(uint64(i+1), Key{Created: rng.Uint64N(3), Secret: [16]byte{byte(rng.Uint32())}})
			fill(rng.IntN(300), s)
			for j := range 50 {
				s.put(fmt.Sprint("own-", rng.IntN(100)), fmt.Sprint(i, j))
			}
			stores = append(stores, s)
		}
		want := union(stores...)
		equal := false
		for attempt := 0; !equal; attempt++ {
			require.Less(t, attempt, 8, "seed %d", seed)
			var talks []*talk
			for a := range stores {
				for b := range stores {
					if a != b {
						c := RoundConfig{MaxFrame: 300, Window: 20}
						talks = append(talks, newTalk(t, stores[a], stores[b], rng.Uint64(), c))
					}
				}
			}
			for len(talks) > 0 {
				i := rng.IntN(len(talks))
				over, err := talks[i].once()
				if err != nil {
					require.ErrorIs(t, err, ErrKeyChanged)
					changed++
				}
				if over || err != nil {
					talks = append(talks[:i], talks[i+1:]...)
				}
			}
			root, _ := stores[0].Root()
			equal = true
			for _, s := range stores[1:] {
				r, _ := s.Root()
				equal = equal && r == root && s.key == stores[0].key
			}
		}
		for _, s := range stores {
			s.want(t, want)
		}
	}
	require.Positive(t, changed, "the fault struck")
}

// once passes one frame in either direction.
func (k *talk) once() (over bool, err error) {
	for _, way := range [][2]*side{{k.a, k.b}, {k.b, k.a}} {
		if frame, ok := way[0].Next(nil); ok {
			return false, way[1].Receive(frame)
		}
	}
	if !k.a.Done() || !k.b.Done() {
		k.t.Errorf("both sides wait")
	}
	return true, nil
}
