package merkle

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func benchTree(n int) (*Tree[*mark], []*mark) {
	rng := rand.New(rand.NewPCG(1, 1))
	tree := NewTree(markItem)
	marks := make([]*mark, n)
	for i := range marks {
		marks[i] = newMark(rng.Uint64(), uint64(i))
		tree.Insert(marks[i].pos, marks[i], marks[i].d)
	}
	return tree, marks
}

func BenchmarkTree(b *testing.B) {
	for _, size := range []int{1_000, 100_000, 1_000_000} {
		tree, marks := benchTree(size)
		name := func(op string) string { return fmt.Sprintf("%s/size=%d", op, size) }
		b.Run(name("replace"), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m := marks[i*7919%size]
				tree.Replace(m.pos, m, m, m.d, m.d)
			}
		})
		b.Run(name("remove+insert"), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m := marks[i*7919%size]
				tree.Remove(m.pos, m, m.d)
				tree.Insert(m.pos, m, m.d)
			}
		})
		b.Run(name("root"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tree.Root()
			}
		})
		b.Run(name("children-virtual"), func(b *testing.B) {
			b.ReportAllocs()
			var parts [Fanout]Node
			for i := 0; b.Loop(); i++ {
				tree.Children(RangeOf(marks[i*7919%size].pos, 4), &parts)
			}
		})
		b.Run(name("replace/parallel"), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
				for pb.Next() {
					m := marks[rng.IntN(size)]
					tree.Replace(m.pos, m, m, m.d, m.d)
				}
			})
		})
	}
}

func BenchmarkRebuild(b *testing.B) {
	_, marks := benchTree(100_000)
	b.ReportAllocs()
	for b.Loop() {
		tree := NewTree(markItem)
		for _, m := range marks {
			tree.Insert(m.pos, m, m.d)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(marks)), "ns/entry")
}

func BenchmarkRound(b *testing.B) {
	const n = 100_000
	for _, d := range []int{0, 10, 1000} {
		b.Run(fmt.Sprintf("size=%d/differing=%d", n, d), func(b *testing.B) {
			x, y := newStore(1, sharedKey), newStore(2, sharedKey)
			fill(n, x, y)
			b.ReportAllocs()
			bytes, salt := 0, uint64(0)
			for b.Loop() {
				b.StopTimer()
				for i := range d {
					x.put(fmt.Sprintf("key-%07d", (int(salt)*d+i)*31%n), "v")
				}
				salt++
				b.StartTimer()
				k := newTalk(b, x, y, salt, RoundConfig{})
				k.run()
				bytes += k.digestBytes()
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "wire-B/op")
		})
	}
	b.Run(fmt.Sprintf("size=%d/empty", n), func(b *testing.B) {
		x := newStore(1, sharedKey)
		fill(n, x)
		b.ReportAllocs()
		for b.Loop() {
			newTalk(b, x, newStore(2, sharedKey), 1, RoundConfig{}).run()
		}
	})
}
