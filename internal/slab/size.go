package slab

import "math/bits"

const (
	minSlot  = 32       // 8,192 slots a page, as many as a Ref can name
	fineSlot = 256      // up to here in steps of fineStep
	maxSlot  = 64 << 10 // four slots a page; what is larger has a page to itself

	fineStep     = 4
	doublingBits = 4 // from fineSlot on, 1<<doublingBits steps a doubling

	fineClasses = (fineSlot-minSlot)/fineStep + 1
	classes     = fineClasses + 8<<doublingBits // 8 doublings from fineSlot to maxSlot

	systemPage = 4 << 10
)

// SlotSize returns the size of the slot that a record of that size gets. A slot may
// be overwritten in place with any record whose SlotSize is the slot's.
func SlotSize(size int) int {
	switch {
	case size <= minSlot:
		return minSlot
	case size <= fineSlot:
		return roundUp(size, fineStep)
	case size <= maxSlot:
		return roundUp(size, 1<<stepBits(size))
	}
	return roundUp(size, systemPage)
}

// classOf numbers the sizes that SlotSize returns up to maxSlot, from 0 without gaps.
func classOf(size int) int {
	if size <= fineSlot {
		return (max(size, minSlot) - minSlot + fineStep - 1) / fineStep
	}
	shift := stepBits(size)
	// The steps of a doubling count from 1<<doublingBits; the first is class 57.
	doubling := shift - stepBits(fineSlot+1)
	return fineClasses + doubling<<doublingBits + (size-1)>>shift - 1<<doublingBits
}

// stepBits is the logarithm of the step between the sizes of size's doubling.
func stepBits(size int) int { return bits.Len(uint(size-1)) - 1 - doublingBits }

func roundUp(n, multiple int) int { return (n + multiple - 1) &^ (multiple - 1) }

// classSize is the slot size of a class: the inverse of classOf.
func classSize(class int) int {
	if class < fineClasses {
		return minSlot + class*fineStep
	}
	class -= fineClasses
	doubling, step := class>>doublingBits, class&(1<<doublingBits-1)
	return fineSlot<<doubling + (step+1)*(fineSlot<<doubling>>doublingBits)
}
