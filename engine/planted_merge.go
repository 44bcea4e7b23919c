//go:build plantedbug_merge

package engine

// plantedBugMerge breaks the tie-break of two writes in one instant: the later
// arrival wins, so nodes that hear of them in different orders disagree.
const plantedBugMerge = true
