package engine

import (
	"slices"

	"github.com/tochemey/gokv/internal/causal"
)

// mostWatched is how many writes a Watch notes before it gives up.
const mostWatched = 1024

// Watch notes which live entries an engine has stored since a State, local writes
// included. One that is let go of without Unwatch ends by itself after so many.
type Watch struct {
	stored []Version
	ended  bool
}

// Watch is a State, and a Watch from its instant on.
func (e *Engine) Watch() (State, *Watch) {
	e.lockAll()
	defer e.unlockAll()
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	w := new(Watch)
	e.know.watches = append(e.know.watches, w)
	e.watched.Store(true)
	return e.stateLocked(), w
}

// Unwatch ends a Watch, if it has not ended.
func (e *Engine) Unwatch(w *Watch) {
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	e.unwatchLocked(w)
}

// unwatchLocked needs know.mu.
func (e *Engine) unwatchLocked(w *Watch) {
	if w == nil || w.ended {
		return
	}
	*w = Watch{ended: true}
	e.know.watches = slices.DeleteFunc(e.know.watches, func(o *Watch) bool { return o == w })
	e.watched.Store(len(e.know.watches) > 0)
}

// noteLocked tells the watches of a live entry. The shard's w must be held.
func (e *Engine) noteLocked(v Version) {
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	for i := len(e.know.watches) - 1; i >= 0; i-- {
		w := e.know.watches[i]
		if w.stored = append(w.stored, v); len(w.stored) > mostWatched {
			e.unwatchLocked(w)
		}
	}
}

// Accept takes in what a peer knew at the instant of its State, after a round in
// which its dead entries of that instant have come, if the two held the same live
// entries by that State and by this engine's, from which on since has watched. It
// refuses if anything has come since that the peer had seen: the peer had let it
// go, and nobody would drop it here. The Watch ends.
func (e *Engine) Accept(theirs *causal.Knowledge, since *Watch) bool {
	e.lockAll()
	defer e.unlockAll()
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	came := since.ended || slices.ContainsFunc(since.stored, func(v Version) bool { return theirs.Seen.Covers(dot(v)) })
	e.unwatchLocked(since)
	if came || !e.know.Knowledge.Accept(theirs) {
		return false
	}
	return true
}
