//go:build plantedbug_retire

package replica

// plantedBugRetire makes a node retire an instance as soon as it holds nothing of it
// itself, whatever the others hold or have seen.
const plantedBugRetire = true
