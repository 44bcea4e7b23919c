//go:build !plantedbug_retire

package replica

// plantedBugRetire is off: all members that may return are asked.
const plantedBugRetire = false
