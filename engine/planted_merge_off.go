//go:build !plantedbug_merge

package engine

// plantedBugMerge is off: writes of one instant are ordered by instance.
const plantedBugMerge = false
