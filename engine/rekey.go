package engine

import (
	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// Key is the key of the digests.
func (e *Engine) Key() merkle.Key { return e.keyed.Load().key }

// Hasher is what positions and digests are made with.
func (e *Engine) Hasher() merkle.Hasher { return e.keyed.Load().hasher }

// Root is the digest of all entries, tombstones and expired ones included, and
// how many there are, at one instant: writes wait for it, some microseconds.
// Engines of one key hold the same entries exactly if their roots are equal.
func (e *Engine) Root() (merkle.Digest, uint64) {
	var sum merkle.Node
	e.lockAll()
	for i := range e.shards {
		sum.Add(e.shards[i].stripe.Top())
	}
	e.unlockAll()
	return sum.Digest, sum.Count
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
		s.table, s.stripe, s.due = table{}, merkle.Stripe{}, dueHeap{}
		s.live, s.bytes = 0, 0
	}
	for i := range was {
		for _, ref := range was[i].refs {
			if ref != 0 {
				e.rehome(ref, is)
			}
		}
		was[i] = table{}
	}
	for i := range e.shards {
		s := &e.shards[i]
		e.rebuildStripe(s, is)
		s.nextDue.Store(e.dueOf(s).next())
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
	if r.expiresAt() != 0 && r.stage() != stageDead {
		e.dueOf(s).add(ref)
	}
}
