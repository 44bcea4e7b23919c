//go:build !plantedbug_delete

package engine

// plantedBugDelete is off: tombstones and expired entries take part in the
// merge as any entry does.
const plantedBugDelete = false
