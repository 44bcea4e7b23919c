package engine

import (
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// Key is the key of the digests.
func (e *Engine) Key() merkle.Key { return e.keyed.Load().key }

// Hasher is what positions and digests are made with.
func (e *Engine) Hasher() merkle.Hasher { return e.keyed.Load().hasher }

// Root is the digest of the live entries, as of the cut of expiry, and how many
// there are, at one instant: writes wait for it, some microseconds. Engines of
// one key and one cut hold the same live entries exactly if their roots are
// equal.
func (e *Engine) Root() (merkle.Digest, uint64) {
	sum := e.Summary()
	return sum.Root, sum.Count
}

// Summary is the contents at one instant.
type Summary struct {
	Root  merkle.Digest // of the live entries, as of the cut
	Count uint64        // of them
	Cut   int64         // ms since 1970, a whole second; -1: it is moving on, the root is between two cuts
}

// Summary sums up the live entries at one instant.
func (e *Engine) Summary() Summary {
	e.lockAll()
	defer e.unlockAll()
	return e.summaryLocked()
}

// summaryLocked needs every w.
func (e *Engine) summaryLocked() Summary {
	var sum merkle.Node
	for i := range e.shards {
		sum.Add(e.shards[i].stripe.Top())
	}
	cut := e.cut.Load()
	if e.cutting.Load() {
		cut = -1
	}
	return Summary{Root: sum.Digest, Count: sum.Count, Cut: cut}
}

// State is a Summary, and what was known at its instant.
type State struct {
	Summary
	Knowledge causal.Knowledge
}

// State says what the engine holds and knows at one instant. In it the engine's
// own instance stands at its clock's reading.
func (e *Engine) State() State {
	e.lockAll()
	defer e.unlockAll()
	e.know.mu.Lock()
	defer e.know.mu.Unlock()
	return e.stateLocked()
}

// stateLocked needs every w and know.mu.
func (e *Engine) stateLocked() State {
	k := e.know.Clone()
	k.Seen.Base.Forget(e.instance)
	k.Seen.Base.Raise(causal.Dot{Time: e.clock.Read(), Instance: e.instance})
	return State{Summary: e.summaryLocked(), Knowledge: k}
}

// Rekey takes over k if it beats the key in use, and otherwise does nothing:
// so rounds with several peers may end in any order. If the secret is another
// one, every digest is computed again, while reads and writes wait.
func (e *Engine) Rekey(k merkle.Key) {
	e.rekeyMu.Lock()
	defer e.rekeyMu.Unlock()
	held := e.keyed.Load()
	if !k.Beats(held.key) {
		return
	}
	if k.Same(held.key) { // only its age was settled
		e.keyed.Store(&keyed{key: k, hasher: held.hasher})
		return
	}
	is := &keyed{key: k, hasher: merkle.NewHasher(k)}
	e.lockAll()
	defer e.unlockAll()
	for i := range e.shards {
		e.shards[i].mu.Lock()
		defer e.shards[i].mu.Unlock()
	}
	var was [shardCount]table
	for i := range e.shards {
		s := &e.shards[i]
		was[i] = s.table
		s.table, s.stripe, s.due, s.dead = table{}, merkle.Stripe{}, dueHeap{}, deadList{}
		s.live, s.bytes = 0, 0
	}
	for i := range was {
		for _, slot := range was[i].slots {
			if slot != 0 {
				e.rehome(slot.ref(), is)
			}
		}
		was[i] = table{}
	}
	for i := range e.shards {
		s := &e.shards[i]
		e.rebuildStripe(s, is)
		e.settleLocked(s)
	}
	e.keyed.Store(is)
}

// rehome puts a record where it belongs by a new key. Every lock must be held.
func (e *Engine) rehome(ref slab.Ref, k *keyed) {
	r := e.slab.at(ref)
	ent := r.entry()
	key := r.keyView()
	fixed := ent.digestFields()
	r.setDigest(k.hasher.Entry(key, &fixed))
	pos := k.hasher.Position(key)
	s := &e.shards[pos>>(64-shardBits)]
	s.table.add(tagOf(pos), ref)
	s.bytes += len(key) + len(ent.Value)
	if r.stage() == stageLive {
		s.live++
	}
	switch {
	case r.stage() == stageDead:
		s.dead.add(e.slab, ref)
	case r.expiresAt() != 0:
		e.dueOf(s).add(ref)
	}
}
