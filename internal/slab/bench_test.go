package slab

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkAllocFree(b *testing.B) {
	for _, size := range []int{32, 157, 4000, 100_000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			a := New()
			defer a.Close()
			a.Alloc(size) // a page that stays
			b.ReportAllocs()
			for b.Loop() {
				a.Free(a.Alloc(size))
			}
		})
	}
}

// Replaces records of random ages and sizes, as a full cache does.
func BenchmarkChurn(b *testing.B) {
	for _, records := range []int{1 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			a := New()
			defer a.Close()
			rng := rand.New(rand.NewPCG(1, 2))
			refs := make([]Ref, records)
			for i := range refs {
				refs[i] = a.Alloc(100 + rng.IntN(100))
			}
			b.ReportAllocs()
			for b.Loop() {
				i := rng.IntN(records)
				a.Free(refs[i])
				refs[i] = a.Alloc(100 + rng.IntN(100))
			}
			s := a.Stats()
			b.ReportMetric(float64(s.Mapped)/float64(s.Used), "mapped/used")
		})
	}
}

func BenchmarkAllocFreeInParallel(b *testing.B) {
	a := New()
	defer a.Close()
	a.Alloc(157)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			a.Free(a.Alloc(157))
		}
	})
}

var sink byte

// The smallest set is in the cache, so that its figure is the code's own; with the
// largest it is the memory's. It takes some two nanoseconds, of which b.Loop would
// be a good part.
func BenchmarkBytes(b *testing.B) {
	for _, records := range []int{64, 1 << 14, 1 << 20} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			a := New()
			defer a.Close()
			refs := make([]Ref, records)
			for i := range refs {
				refs[i] = a.Alloc(157)
				clear(a.Bytes(refs[i]))
			}
			rand.New(rand.NewPCG(1, 2)).Shuffle(records, func(i, j int) { refs[i], refs[j] = refs[j], refs[i] })
			b.ResetTimer()
			sum := byte(0)
			for i := 0; i < b.N; {
				for _, r := range refs[:min(records, b.N-i)] {
					sum += a.Bytes(r)[156]
				}
				i += records
			}
			sink = sum
		})
	}
}
