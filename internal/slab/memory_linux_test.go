//go:build linux && !race

package slab

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func resident(t *testing.T) int { return statm(t, 1) }

// statm is a field of /proc/self/statm, in bytes: 0 is the address space, 1 what of
// it is resident.
func statm(t *testing.T, field int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.Atoi(string(bytes.Fields(text)[field]))
	require.NoError(t, err)
	return pages * os.Getpagesize()
}

func TestFreedMemoryIsNoLongerResident(t *testing.T) {
	const total, size = 100 << 20, 157
	a := New()
	defer a.Close()
	refs := make([]Ref, total/160)
	clear(refs) // resident before the first look
	before := resident(t)
	for i := range refs {
		refs[i] = a.Alloc(size)
		clear(a.Bytes(refs[i]))
	}
	full := resident(t)
	require.Greater(t, full-before, total*9/10)

	for _, r := range refs[1:] {
		a.Free(r)
	}
	require.Less(t, resident(t), full-total*9/10)
	require.Len(t, a.memory.regions, 1)
	require.LessOrEqual(t, a.Stats().Pages, 2)

	a.Free(refs[0])
	require.Empty(t, a.memory.regions)
}

func TestAPageIsResidentAsFarAsItWasUsed(t *testing.T) {
	a := New()
	defer a.Close()
	before := resident(t)
	for size := 1; size <= 4096; size++ {
		a.Alloc(size)
	}
	// A page and its neighbours' page tables for each of some 120 classes, not 256 KiB.
	require.Less(t, resident(t)-before, 16<<20)
}

func TestRunsOfPagesDoNotOverlapAndRegionsGoWhenEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m memory
		var held [][]byte
		var marks []byte
		give := func(i int) {
			b := held[i]
			require.Equal(t, marks[i], b[0])
			require.Equal(t, marks[i], b[len(b)-1])
			m.give(b)
			held = append(held[:i], held[i+1:]...)
			marks = append(marks[:i], marks[i+1:]...)
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				pages := rapid.SampledFrom([]int{1, 2, 3, regionPages / 2, regionPages, regionPages + 1}).Draw(t, "pages")
				less := rapid.IntRange(0, 63).Draw(t, "less") * systemPage
				b := m.take(pages*pageSize - less)
				require.Len(t, b, pages*pageSize-less)
				mark := byte(len(marks)*31 + 1)
				b[0], b[len(b)-1] = mark, mark
				held, marks = append(held, b), append(marks, mark)
			},
			"give": func(t *rapid.T) {
				if len(held) > 0 {
					give(rapid.IntRange(0, len(held)-1).Draw(t, "which"))
				}
			},
			"": func(t *rapid.T) {
				taken := 0
				for i, r := range m.regions {
					require.Less(t, r.free, regionPages, "an empty region")
					require.True(t, i == 0 || address(m.regions[i-1].memory) < address(r.memory))
					taken += regionPages - r.free
				}
				want := 0
				for _, b := range held {
					if len(b) <= regionSize {
						want += (len(b) + pageSize - 1) / pageSize
					}
				}
				require.Equal(t, want, taken)
			},
		})
		for len(held) > 0 {
			give(len(held) - 1)
		}
		require.Empty(t, m.regions)
	})
}

// The limit is the process's, so the test runs in one of its own.
func TestAllocReturnsZeroWhenTheSystemRefusesMemory(t *testing.T) {
	const inChild = "SLAB_TEST_REFUSED"
	if os.Getenv(inChild) == "" {
		self, err := os.Executable()
		require.NoError(t, err)
		child := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), inChild+"=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	limit := uint64(statm(t, 0) + 4*regionSize - regionSize/2)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}))
	r := newRig()
	for range 4 * regionPages {
		ref := r.a.Alloc(pageSize)
		if ref == 0 {
			break
		}
		r.a.Free(ref)
		r.alloc(t, pageSize)
	}
	require.Less(t, len(r.order), 4*regionPages)
	require.GreaterOrEqual(t, len(r.order), regionPages)
	require.Zero(t, r.a.Alloc(1), "no page for a small one either")
	r.wantSound(t)

	r.free(t, 0)
	r.alloc(t, 157)
	require.Zero(t, r.a.Alloc(pageSize))
	r.freeAll(t)
}

func TestAllocKeepsNoMemoryThatNoReferenceIsLeftFor(t *testing.T) {
	a := New()
	a.table.opened = maxPages - 1
	require.Zero(t, a.Alloc(1))
	require.Zero(t, a.Alloc(maxSlot+1))
	require.Empty(t, a.memory.regions)
}
