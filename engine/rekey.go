package engine

import "github.com/tochemey/gokv/merkle"

// Key is the key of the digests.
func (e *Engine) Key() merkle.Key {
	e.treeMu.RLock()
	defer e.treeMu.RUnlock()
	return e.key
}

// Hasher is what positions and digests are made with.
func (e *Engine) Hasher() merkle.Hasher {
	e.treeMu.RLock()
	defer e.treeMu.RUnlock()
	return e.hasher
}

// Root is the digest of all entries, tombstones and expired ones included, and
// how many there are. Engines of one key hold the same entries exactly if
// their roots are equal.
func (e *Engine) Root() (merkle.Digest, uint64) {
	e.treeMu.RLock()
	defer e.treeMu.RUnlock()
	return e.tree.Root()
}

// Rekey takes over k if it beats the key in use, and otherwise does nothing:
// so rounds with several peers may end in any order. If the secret is another
// one, every digest is computed again, while reads and writes wait.
func (e *Engine) Rekey(k merkle.Key) {
	e.treeMu.Lock()
	defer e.treeMu.Unlock()
	if !k.Beats(e.key) {
		return
	}
	if k.Same(e.key) { // only its age was settled
		e.key = k
		return
	}
	for i := range e.shards {
		e.shards[i].mu.Lock()
		defer e.shards[i].mu.Unlock()
	}
	e.key, e.hasher, e.tree = k, merkle.NewHasher(k), merkle.NewTree((*record).item)
	// Twice over the shards: the tree may look at any record that it holds.
	for i := range e.shards {
		for _, r := range e.shards[i].records {
			fixed := r.digestFields()
			r.pos, r.digest = e.hasher.Position(r.Key), e.hasher.Entry(r.Key, &fixed)
		}
	}
	for i := range e.shards {
		for _, r := range e.shards[i].records {
			e.tree.Insert(r.pos, r, r.digest)
		}
	}
}
