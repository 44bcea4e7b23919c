//go:build plantedbug_delete

package engine

// plantedBugDelete makes a deleted or expired key accept any arriving put, as
// if nothing were held: a late or repeated push brings the key back.
const plantedBugDelete = true
