package slab

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tochemey/gokv/internal/invariant"
)

// rig is an allocator and a model of it: what was written to each record.
type rig struct {
	a       *Allocator
	records map[Ref]content
	order   []Ref
}

// content is a record's size and the four bytes that fill its slot, over and over.
type content struct {
	size int
	seed uint32
}

func newRig() *rig { return &rig{a: New(), records: map[Ref]content{}} }

func (c content) write(b []byte) {
	binary.LittleEndian.PutUint32(b, c.seed)
	for n := 4; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// fills says that a slot holds what write wrote, and is all there.
func (c content) fills(b []byte) bool {
	return len(b) == SlotSize(c.size) && cap(b) == len(b) &&
		binary.LittleEndian.Uint32(b) == c.seed && bytes.Equal(b[4:], b[:len(b)-4])
}

func (c content) want(t require.TestingT, b []byte) {
	if !c.fills(b) {
		require.Failf(t, "contents changed", "a record of %d bytes, in a slot of %d", c.size, len(b))
	}
}

func (r *rig) alloc(t require.TestingT, size int) Ref {
	ref := r.a.Alloc(size)
	require.NotZero(t, ref)
	if _, twice := r.records[ref]; twice {
		require.Failf(t, "allocated twice", "%v", ref)
	}
	c := content{size, uint32(len(r.order))*2654435761 + uint32(size)}
	c.write(r.a.Bytes(ref))
	r.records[ref] = c
	r.order = append(r.order, ref)
	return ref
}

// free frees the i-th record, after a look at it.
func (r *rig) free(t require.TestingT, i int) {
	ref := r.order[i]
	r.records[ref].want(t, r.a.Bytes(ref))
	r.a.Free(ref)
	delete(r.records, ref)
	last := len(r.order) - 1
	r.order[i] = r.order[last]
	r.order = r.order[:last]
}

func (r *rig) freeAll(t require.TestingT) {
	for len(r.order) > 0 {
		r.free(t, len(r.order)-1)
	}
	require.Zero(t, r.a.Stats())
}

// wantSound looks at every record.
func (r *rig) wantSound(t require.TestingT) {
	for ref, c := range r.records {
		c.want(t, r.a.Bytes(ref))
	}
	r.wantCounted(t)
}

// wantCounted compares what is counted with what is there, and walks the lists.
func (r *rig) wantCounted(t require.TestingT) {
	var used int64
	for _, c := range r.records {
		used += int64(SlotSize(c.size))
	}
	s := r.a.Stats()
	require.Equal(t, len(r.records), s.Slots)
	require.Equal(t, used, s.Used)
	require.GreaterOrEqual(t, s.Mapped, s.Used)

	pages, mapped, inClass := 0, int64(0), make([]int, classes)
	for n := uint32(1); n <= r.a.table.opened; n++ {
		if p := r.a.table.page(n); p.memory != nil {
			pages++
			mapped += int64(len(p.memory))
			if p.size <= maxSlot {
				inClass[classOf(int(p.size))]++
			}
		}
	}
	require.Equal(t, pages, s.Pages)
	require.Equal(t, mapped, s.Mapped)
	for i := range r.a.classes {
		c := &r.a.classes[i]
		if c.pages != inClass[i] || c.pages == 1 && c.empty != 0 {
			require.Failf(t, "pages of a class", "class %d counts %d of %d, page %d of them empty", i, c.pages, inClass[i], c.empty)
		}
		before := uint32(0)
		for n := c.first; n != 0; n = r.a.table.page(n).next {
			p := r.a.table.page(n)
			require.Equal(t, before, p.prev)
			require.EqualValues(t, classSize(i), p.size)
			require.NotZero(t, p.used)
			require.Less(t, p.used, p.slots)
			before = n
		}
		require.Equal(t, before, c.last)
	}
}

var anySize = rapid.OneOf(
	rapid.IntRange(1, 300),
	rapid.IntRange(1, maxSlot),
	rapid.IntRange(maxSlot+1, 3*pageSize),
	rapid.SampledFrom([]int{1, 31, 32, 33, 256, 257, maxSlot - 1, maxSlot, maxSlot + 1, pageSize, pageSize + 1}),
)

func TestRecordsKeepTheirContentsAndLeaveNothingBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig()
		defer r.a.Close()
		some := rapid.SliceOfN(anySize, 1, 4).Draw(t, "sizes")
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) { r.alloc(t, anySize.Draw(t, "size")) },
			"alloc many": func(t *rapid.T) {
				size := rapid.SampledFrom(some).Draw(t, "size")
				for range min(300, 1+1<<20/size) {
					r.alloc(t, size)
				}
			},
			"free": func(t *rapid.T) {
				if len(r.order) > 0 {
					r.free(t, rapid.IntRange(0, len(r.order)-1).Draw(t, "which"))
				}
			},
			"free many": func(t *rapid.T) {
				first := rapid.IntRange(0, len(r.order)).Draw(t, "first")
				for n := rapid.IntRange(0, 300).Draw(t, "number"); n > 0 && first < len(r.order); n-- {
					r.free(t, first)
				}
			},
			"overwrite": func(t *rapid.T) {
				if len(r.order) == 0 {
					return
				}
				ref := rapid.SampledFrom(r.order).Draw(t, "which")
				c := r.records[ref]
				c.seed++
				c.write(r.a.Bytes(ref))
				r.records[ref] = c
			},
			"look": func(t *rapid.T) { r.wantSound(t) },
			"":     func(t *rapid.T) { r.wantCounted(t) },
		})
		r.freeAll(t)
		r.wantSound(t)
	})
}

func TestGoroutinesThatHandRecordsOnSeeThemUnchanged(t *testing.T) {
	a := New()
	defer a.Close()
	const goroutines, each = 8, 3000
	type record struct {
		ref Ref
		content
	}
	// Each allocates for the next, which frees.
	var handed [goroutines]chan record
	for i := range handed {
		handed[i] = make(chan record, 256)
	}
	var all sync.WaitGroup
	for i := range goroutines {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			defer close(handed[i])
			for n := range each {
				size := 1 + rng.IntN(600)
				if n%100 == 0 {
					size = 1 + rng.IntN(2*maxSlot)
				}
				r := record{a.Alloc(size), content{size, rng.Uint32()}}
				if r.ref == 0 {
					t.Error("no memory")
					return
				}
				r.write(a.Bytes(r.ref))
				handed[i] <- r
			}
		})
		all.Go(func() {
			var kept []record
			free := func(r record) {
				if !r.fills(a.Bytes(r.ref)) {
					t.Errorf("contents of %v changed", r.ref)
				}
				a.Free(r.ref)
			}
			for r := range handed[i] {
				if kept = append(kept, r); len(kept) == 500 {
					for _, r := range kept[100:] {
						free(r)
					}
					kept = kept[:100]
				}
			}
			for _, r := range kept {
				free(r)
			}
		})
	}
	all.Wait()
	require.Zero(t, a.Stats())
}

func TestFreeingWhatIsNotAllocatedPanics(t *testing.T) {
	r := newRig()
	defer r.a.Close()
	for _, size := range []int{1, 157, maxSlot, maxSlot + 1} {
		r.alloc(t, size) // so that the page stays
		ref := r.a.Alloc(size)
		r.a.Free(ref)
		require.Panics(t, func() { r.a.Free(ref) }, "freed last, size %d", size)
	}
	alone := r.a.Alloc(1000)
	r.a.Free(alone)
	require.Panics(t, func() { r.a.Free(alone) }, "its page is gone")
	require.Panics(t, func() { r.a.Free(0) })
	require.Panics(t, func() { r.a.Free(makeRef(maxPages-1, 0)) }, "a page that never was")
	require.Panics(t, func() { r.a.Free(makeRef(r.order[0].page(), 1<<slotBits-1)) }, "a slot that never was")
	require.Panics(t, func() { r.a.Free(makeRef(r.order[3].page(), 1)) }, "a second slot of a large record")
	r.wantSound(t)

	if invariant.Enabled {
		first, second := r.a.Alloc(157), r.a.Alloc(157)
		r.a.Free(first)
		r.a.Free(second)
		require.Panics(t, func() { r.a.Free(first) }, "freed before another")
	}
}

func TestAllocReturnsZeroWhenNoReferenceIsLeft(t *testing.T) {
	r := newRig()
	defer r.a.Close()
	r.alloc(t, 1)
	r.a.table.opened = maxPages - 3
	for i := maxPages - 2; i < maxPages; i++ {
		// Their chunk is not there: the numbers between were never given.
		if at := &r.a.table.chunks[i/chunkPages]; at.Load() == nil {
			at.Store(new(chunk))
		}
		require.EqualValues(t, i, r.alloc(t, maxSlot+1).page())
	}
	for _, size := range []int{1000, maxSlot + 1} {
		require.Zero(t, r.a.Alloc(size))
	}
	r.free(t, 1)
	require.NotZero(t, r.alloc(t, 1000), "the number serves again")
	require.Equal(t, 3, r.a.Stats().Pages)
	for len(r.order) > 0 {
		r.free(t, 0)
	}
	require.Zero(t, r.a.Stats())
	r.a.table.opened = 1 // Close walks them
}

func TestAllocRefusesWhatIsTooLarge(t *testing.T) {
	a := New()
	require.Zero(t, a.Alloc(maxSize+1))
	require.Panics(t, func() { a.Alloc(0) })
	require.Zero(t, a.Stats())
}

func TestCloseGivesEverythingBackAndStartsAnew(t *testing.T) {
	r := newRig()
	for _, size := range []int{1, 157, 5000, maxSlot + 1, 3 * pageSize, 65 << 20} {
		r.alloc(t, size)
	}
	r.a.Close()
	require.Zero(t, r.a.Stats())
	require.Panics(t, func() { _ = r.a.Bytes(r.order[0]) })

	again := &rig{a: r.a, records: map[Ref]content{}}
	again.alloc(t, 157)
	again.wantSound(t)
	again.freeAll(t)
}

func TestAMillionRecordsOf157BytesTake162BytesEach(t *testing.T) {
	const records, budget = 1_000_000, 162
	a := New()
	defer a.Close()
	for range records {
		if a.Alloc(157) == 0 {
			require.Fail(t, "no memory")
		}
	}
	s := a.Stats()
	require.Equal(t, records, s.Slots)
	require.EqualValues(t, records*160, s.Used)
	require.LessOrEqual(t, s.Mapped, int64(records*budget))
}

func TestAllocAndFreeUseNoHeap(t *testing.T) {
	if invariant.Enabled {
		t.Skip("checks have a heap of their own")
	}
	a := New()
	defer a.Close()
	a.Alloc(157)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		r := a.Alloc(157)
		a.Bytes(r)[0] = 1
		a.Free(r)
	}))
}

// Records that go at random leave pages half empty; what comes then fills them
// before it takes new ones, and pages that are sparse anyway empty.
func TestSparsePagesAreFilledBeforeNewOnesAreTaken(t *testing.T) {
	r := newRig()
	defer r.a.Close()
	const size, records = 4096, 64 * 40 // 40 full pages
	for range records {
		r.alloc(t, size)
	}
	before := r.a.Stats().Pages
	rng := rand.New(rand.NewPCG(1, 2))
	for range records / 2 {
		r.free(t, rng.IntN(len(r.order)))
	}
	for range records / 2 {
		r.alloc(t, size)
	}
	require.Equal(t, before, r.a.Stats().Pages)
	r.wantSound(t)
}

func TestAnEmptyPageStaysAsLongAsItsClassHasAnother(t *testing.T) {
	r := newRig()
	defer r.a.Close()
	const size, slots = 4096, 64
	for range 3 * slots {
		r.alloc(t, size)
	}
	pages := func() int { return r.a.Stats().Pages }
	freeLast := func(n int) {
		for range n {
			r.free(t, len(r.order)-1)
		}
	}
	require.Equal(t, 3, pages())
	freeLast(slots)
	require.Equal(t, 3, pages(), "the first that emptied stays")
	freeLast(slots)
	require.Equal(t, 2, pages(), "the second does not")
	for range slots {
		r.alloc(t, size)
	}
	require.Equal(t, 2, pages(), "what stayed is used again")
	freeLast(2 * slots)
	require.Zero(t, pages())
}
