package engine

import (
	"github.com/tochemey/gokv/internal/invariant"
	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// inPlace is the largest record that is overwritten where it stands: readers
// of its shard wait meanwhile. A larger one is written beside the old one, and
// then takes its place.
const inPlace = 4 << 10

// place is where a key is, or would be, found while its shard's w is held.
type place struct {
	shard *shard
	keyed *keyed
	pos   uint64
	slot  int
	ref   slab.Ref
	old   record // nil: nobody ever wrote the key
}

func (e *Engine) placeOf(s *shard, k *keyed, pos uint64, key string) place {
	p := place{shard: s, keyed: k, pos: pos}
	p.slot, p.ref, p.old = s.find(e.slab, pos, key)
	return p
}

// storeLocked makes ent what its key holds. The shard's w must be held. The
// error is ErrOverloaded, and nothing has changed, when there is no memory.
func (e *Engine) storeLocked(p *place, ent *Entry, now int64) error {
	s := p.shard
	st := initialStage(ent, now)
	fixed := ent.digestFields()
	digest := p.keyed.hasher.Entry(ent.Key, &fixed)

	var was merkle.Digest
	wasLive := false
	if p.old != nil {
		was = p.old.digest()
		wasLive = p.old.stage() == stageLive
	}
	ref, err := e.putLocked(p, ent, st, digest)
	if err != nil {
		return err
	}
	if p.old == nil {
		s.stripe.Add(p.pos, digest)
		if !s.stripe.Fits() {
			e.rebuildStripe(s, p.keyed)
		}
	} else {
		s.stripe.Replace(p.pos, was, digest)
	}
	due := e.dueOf(s)
	if ent.ExpiresAt != 0 && st != stageDead {
		due.add(ref)
	}
	s.nextDue.Store(due.next())
	switch isLive := st == stageLive; {
	case isLive && !wasLive:
		s.live++
		e.list(ref)
	case wasLive && !isLive:
		s.live--
	}
	if invariant.Enabled {
		if err := e.checkRecord(s, ref); err != nil {
			panic(failed("engine: broken invariant after a write of", ent.Key, err))
		}
	}
	return nil
}

// putLocked writes ent's record, in the old one's slot if that has the right
// size, and keeps the table and the ordered index on it: a key that is live no
// more leaves the index, one that becomes live is not added yet.
func (e *Engine) putLocked(p *place, ent *Entry, st stage, digest merkle.Digest) (slab.Ref, error) {
	s := p.shard
	size := recordSize(ent)
	stays := p.old != nil && size <= inPlace && slab.SlotSize(size) == len(p.old)
	var ref slab.Ref
	if stays {
		ref = p.ref
	} else if ref = e.slab.store(ent, st, digest); ref == 0 {
		// A delete needs less room than what it deletes: it always passes.
		if p.old == nil || size > len(p.old) {
			return 0, ErrOverloaded
		}
		ref, stays = p.ref, true
	}
	if p.old == nil {
		s.bytes += len(ent.Key) + len(ent.Value)
		s.mu.Lock()
		s.table.add(tagOf(p.pos), ref)
		s.mu.Unlock()
		return ref, nil
	}
	s.bytes += len(ent.Value) - p.old.valueLen()
	e.dueOf(s).remove(p.old)
	if p.old.stage() == stageLive {
		switch {
		case st != stageLive:
			e.unlist(p.old.key())
		case !stays:
			e.relist(ref)
		}
	}
	s.mu.Lock()
	if stays {
		p.old.write(ent, st, digest, false)
	} else {
		s.table.refs[p.slot] = ref
	}
	s.mu.Unlock()
	if !stays {
		e.slab.Free(p.ref)
	}
	return ref, nil
}

// list, unlist and relist keep the ordered index.

func (e *Engine) list(ref slab.Ref) {
	o := e.orderOf(e.slab.at(ref).key())
	o.mu.Lock()
	o.tree.Insert(uint32(ref))
	o.mu.Unlock()
}

func (e *Engine) unlist(key []byte) {
	o := e.orderOf(key)
	o.mu.Lock()
	o.tree.Delete(key)
	o.mu.Unlock()
}

func (e *Engine) relist(ref slab.Ref) {
	key := e.slab.at(ref).key()
	o := e.orderOf(key)
	o.mu.Lock()
	o.tree.Replace(key, uint32(ref))
	o.mu.Unlock()
}

// rebuildStripe makes a shard's stripe anew, as deep as its entries want it.
// s.w must be held.
func (e *Engine) rebuildStripe(s *shard, k *keyed) {
	s.stripe.Rebuild(uint64(s.table.used), func(add func(uint64, merkle.Digest)) {
		for _, ref := range s.table.refs {
			if ref != 0 {
				r := e.slab.at(ref)
				add(k.hasher.Position(r.keyView()), r.digest())
			}
		}
	})
}

func initialStage(ent *Entry, now int64) stage {
	switch {
	case ent.Kind == KindTombstone || ent.reaped:
		return stageDead
	case !ent.LiveAt(now):
		return stageExpired
	}
	return stageLive
}
