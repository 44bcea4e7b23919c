package engine

import (
	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// Scrub looks whether the entries of one range are still what was written: each
// value against its checksum, and the range's digest against one made anew from its
// entries. The range is the lowest one with a digest that holds the position pos,
// some dozen entries; next is where the following one begins, zero after the last.
// What does not agree is counted (Stats.Mismatches), and the number returned.
// Digests that have drifted are made anew, or rounds would go on for ever; a value
// that has changed in memory stays, but is not given to other members.
func (e *Engine) Scrub(pos uint64) (next uint64, wrong int) {
	s := &e.shards[shardOf(pos)]
	s.w.Lock()
	defer s.w.Unlock()
	k := e.keyed.Load()
	r, recorded := s.stripe.Lowest(pos)
	var sum merkle.Node
	s.between(r.First(), r.Last(), func(ref slab.Ref) {
		rec := e.slab.at(ref)
		key := rec.keyView()
		if !r.Contains(k.hasher.Position(key)) {
			return
		}
		ent := rec.entry()
		if ent.Value != nil && Checksum(ent.Value) != ent.Checksum {
			wrong++
		}
		if rec.stage() == stageLive {
			fixed := ent.digestFields()
			sum.Add(merkle.Node{Digest: k.hasher.Entry(key, &fixed), Count: 1})
		}
	})
	if sum != recorded {
		wrong++
		e.rebuildStripe(s, k)
	}
	e.mismatches.Add(uint64(wrong))
	return r.Last() + 1, wrong
}
