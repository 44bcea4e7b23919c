package engine

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/slab"
	"pgregory.net/rapid"
)

// slotOf is where a table has a record, by looking everywhere.
func (t *table) slotOf(ref slab.Ref) int {
	return slices.IndexFunc(t.slots, func(s slot) bool { return s.ref() == ref })
}

// within are the references that between visits, in ascending order.
func (s *shard) within(first, last uint64) (refs []slab.Ref) {
	s.between(first, last, func(ref slab.Ref) { refs = append(refs, ref) })
	slices.Sort(refs)
	return refs
}

// A table holds references under tags, many of them equal. Whatever was added
// and removed, each range of tags yields what the model has in it, and every
// record stands between its home and the first empty slot.
func TestATableListsWhatARangeOfPositionsHolds(t *testing.T) {
	const low = 64 - shardBits - tagBits // bits of a position below its tag
	rapid.Check(t, func(t *rapid.T) {
		var s shard
		model := map[slab.Ref]uint32{}
		tag := rapid.Custom(func(t *rapid.T) uint32 {
			if rapid.Bool().Draw(t, "at an end") {
				return rapid.SampledFrom([]uint32{0, 1, 7, 1<<32 - 2, 1<<32 - 1}).Draw(t, "end")
			}
			return rapid.Uint32().Draw(t, "tag")
		})
		var held []slab.Ref
		next := slab.Ref(1)
		t.Repeat(map[string]func(*rapid.T){
			"add many": func(t *rapid.T) {
				for range rapid.IntRange(1, 12).Draw(t, "how many") {
					at := tag.Draw(t, "tag")
					s.table.add(at, next)
					model[next] = at
					held = append(held, next)
					next++
				}
			},
			"remove many": func(t *rapid.T) {
				for range rapid.IntRange(1, 12).Draw(t, "how many") {
					if len(held) == 0 {
						return
					}
					i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
					s.table.remove(s.table.slotOf(held[i]))
					delete(model, held[i])
					held[i] = held[len(held)-1]
					held = held[:len(held)-1]
				}
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), s.table.used)
				if len(model) == 0 {
					require.Nil(t, s.table.slots)
					return
				}
				first, last := tag.Draw(t, "first"), tag.Draw(t, "last")
				if first > last {
					first, last = last, first
				}
				var want []slab.Ref
				for ref, at := range model {
					if first <= at && at <= last {
						want = append(want, ref)
					}
				}
				slices.Sort(want)
				require.Equal(t, want, s.within(uint64(first)<<low, uint64(last)<<low|(1<<low-1)))
				for i, is := range s.table.slots {
					if is == 0 {
						continue
					}
					if home := s.table.home(is.tag()); model[is.ref()] != is.tag() || slices.Contains(s.table.slots[home:i], 0) {
						t.Fatalf("reference %d stands at %d with tag %d, its home is %d", is.ref(), i, is.tag(), home)
					}
				}
			},
		})
	})
}

func TestATableGrowsAndShrinksWithWhatItHolds(t *testing.T) {
	var tab table
	const most = 20_000
	for i := range most {
		tab.add(uint32(i*2654435769), slab.Ref(i+1))
		require.LessOrEqual(t, tab.bytes(), (i+1)*13+8*(minSlots+minSpill), "%d records", i+1)
	}
	for tab.used > 0 {
		last := len(tab.slots) - 1
		for tab.slots[last] == 0 {
			last--
		}
		tab.remove(last)
		require.LessOrEqual(t, tab.bytes(), tab.used*25+8*(4*minSlots+minSpill), "%d records", tab.used)
	}
	require.Zero(t, tab.bytes())
}
