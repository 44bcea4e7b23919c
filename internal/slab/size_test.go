package slab

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASlotExceedsItsRecordByThreeBytesOrSixPercent(t *testing.T) {
	for size := minSlot; size <= maxSlot; size++ {
		slot := SlotSize(size)
		if slot < size || slot-size > max(3, slot*6/100) {
			require.Failf(t, "waste", "a slot of %d bytes for %d", slot, size)
		}
		if SlotSize(slot) != slot {
			require.Failf(t, "not its own size", "%d", slot)
		}
	}
	require.Equal(t, minSlot, SlotSize(1))
	require.Equal(t, maxSlot+systemPage, SlotSize(maxSlot+1))
	require.Equal(t, pageSize, SlotSize(pageSize))
}

func TestClassesNumberTheSlotSizesWithoutGaps(t *testing.T) {
	require.Equal(t, 0, classOf(1))
	last := 0
	for size := 1; size <= maxSlot; size++ {
		c := classOf(size)
		if c != last {
			require.Equal(t, last+1, c, "size %d", size)
			last = c
		}
		if classSize(c) != SlotSize(size) {
			require.Equal(t, SlotSize(size), classSize(c), "size %d", size)
		}
	}
	require.Equal(t, classes-1, last)
	require.LessOrEqual(t, pageSize/minSlot, 1<<slotBits)
}

func TestAPageLosesLessThanTwoPercentBehindItsLastSlot(t *testing.T) {
	for c := range classes {
		used := pageSize / classSize(c) * classSize(c)
		mapped := roundUp(used, systemPage)
		require.LessOrEqual(t, mapped, pageSize)
		require.Less(t, float64(mapped-used)/float64(mapped), 0.02)
		require.Zero(t, classSize(c)%fineStep)
	}
}
