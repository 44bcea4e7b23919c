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
	old   record   // nil: nothing is held of the key
	room  slab.Ref // reserved; zero: nothing is
	stage stage    // of what the room was reserved for
	open  bool     // the shard's mu is held by whoever stores it
}

func (e *Engine) placeOf(s *shard, k *keyed, pos uint64, key string) place {
	p := place{shard: s, keyed: k, pos: pos}
	p.slot, p.ref, p.old = s.find(e.slab, pos, key)
	return p
}

// reserveLocked finds room for ent: the old record's slot if that has the right
// size, or a new one. The error is ErrOverloaded when there is no memory, or no
// more up to the ceiling. What is reserved is used by storeLocked or given back by
// unreserveLocked. The shard's w must be held, here and there.
func (e *Engine) reserveLocked(p *place, ent *Entry, c ceiling) error {
	size := recordSize(ent)
	if p.stage = e.stageOf(ent); p.stage == stageDead {
		size -= len(ent.Value)
	}
	if p.old != nil && size <= inPlace && slab.SlotSize(size) == len(p.old) {
		p.room = p.ref
		return nil
	}
	if size > ownPages && e.budget.limit > 0 {
		e.budget.large.Lock()
		defer e.budget.large.Unlock()
	}
	switch {
	case p.grows(size):
		if err := e.admit(slab.SlotSize(size), c); err != nil {
			return err
		}
	case e.staysPut(p, p.stage):
		p.room = p.ref
		return nil
	}
	if p.room = e.slab.Alloc(size); p.room != 0 {
		return nil
	}
	// A delete needs no more room than what it deletes: it always passes.
	if !p.grows(size) {
		p.room = p.ref
		return nil
	}
	e.budget.refuse(c)
	return ErrOverloaded
}

func (e *Engine) unreserveLocked(p *place) {
	if p.room != 0 && p.room != p.ref {
		e.slab.Free(p.room)
	}
	p.room = 0
}

// storeLocked makes ent what its key holds, in the room that was reserved for
// it. The shard's w must be held.
func (e *Engine) storeLocked(p *place, ent *Entry) {
	s, st := p.shard, p.stage
	if st == stageDead && ent.Kind == KindPut { // it came too late for a value
		late := *ent
		late.Value, late.reaped = nil, true
		ent = &late
	}
	e.noteGone(ent.Version)
	fixed := ent.digestFields()
	digest := p.keyed.hasher.Entry(ent.Key, &fixed)
	if p.old != nil {
		e.detachLocked(p, st)
	}
	e.writeLocked(p, ent, st, digest)
	if st == stageLive {
		if e.watched.Load() {
			e.noteLocked(ent.Version)
		}
		s.stripe.Add(p.pos, digest)
	}
	switch {
	case st == stageDead:
		s.dead.add(e.slab, p.room)
	case ent.ExpiresAt != 0:
		e.dueOf(s).add(p.room)
	}
	if !s.stripe.Fits() { // after deletes too: a stripe that is too deep is not what Check makes
		e.rebuildStripe(s, p.keyed)
	}
	e.settleLocked(s)
	if invariant.Enabled {
		if err := e.checkRecord(s, p.room); err != nil {
			panic(failed("engine: broken invariant after a write of", ent.Key, err))
		}
	}
}

// detachLocked takes the old record out of all that leads to it but the table,
// and out of the digests. If the key stays live its place in the ordered index
// is left to writeLocked. The shard's w must be held.
func (e *Engine) detachLocked(p *place, next stage) {
	s := p.shard
	if p.old.stage() == stageDead {
		s.dead.remove(e.slab, p.old)
	} else {
		s.live--
		s.stripe.Remove(p.pos, p.old.digest())
		e.dueOf(s).remove(p.old)
		if next == stageDead {
			e.unlist(p.old.key())
		}
	}
	s.bytes -= p.old.keyLen() + p.old.valueLen()
}

// writeLocked writes ent's record and has the table and the ordered index lead
// to it. The shard's w must be held.
func (e *Engine) writeLocked(p *place, ent *Entry, st stage, digest merkle.Digest) {
	s := p.shard
	wasLive := p.old != nil && p.old.stage() == stageLive
	stays := p.room == p.ref && p.old != nil
	if !stays {
		e.slab.at(p.room).write(ent, st, digest, true)
	}
	if wasLive && st == stageLive && !stays {
		e.relist(p.room)
	}
	if !p.open {
		s.mu.Lock()
	}
	switch {
	case stays:
		p.old.write(ent, st, digest, false)
	case p.old != nil:
		s.table.point(p.slot, p.room)
	default:
		s.table.add(tagOf(p.pos), p.room)
	}
	if !p.open {
		s.mu.Unlock()
	}
	if p.old != nil && !stays {
		e.slab.Free(p.ref)
	}
	if st == stageLive {
		s.live++
		if !wasLive {
			e.list(p.room)
		}
	}
	s.bytes += len(ent.Key) + len(ent.Value)
}

// removeLocked forgets a key whole: neither a value nor a tombstone stays. The
// shard's w must be held.
func (e *Engine) removeLocked(p *place) {
	s := p.shard
	e.detachLocked(p, stageDead)
	s.mu.Lock()
	s.table.remove(p.slot)
	s.mu.Unlock()
	e.slab.Free(p.ref)
	if !s.stripe.Fits() {
		e.rebuildStripe(s, p.keyed)
	}
	e.settleLocked(s)
}

// letGoLocked forgets a key whole, and hides what it held. The shard's w must be held.
func (e *Engine) letGoLocked(p *place) {
	e.hide(p.old.version())
	e.removeLocked(p)
}

// settleLocked notes when the shard is next to be swept, and what its index takes.
// s.w must be held.
func (e *Engine) settleLocked(s *shard) {
	s.nextCut.Store(e.dueOf(s).next())
	if is := s.indexBytes(); is != s.counted {
		e.budget.index.Add(int64(is - s.counted))
		s.counted = is
	}
}

// rebuildStripe makes a shard's stripe anew, as deep as its entries want it.
// s.w must be held.
func (e *Engine) rebuildStripe(s *shard, k *keyed) {
	s.stripe.Rebuild(uint64(s.table.used-len(s.dead.refs)), func(add func(uint64, merkle.Digest)) {
		for _, slot := range s.table.slots {
			ref := slot.ref()
			if ref == 0 {
				continue
			}
			if r := e.slab.at(ref); r.stage() == stageLive {
				add(k.hasher.Position(r.keyView()), r.digest())
			}
		}
	})
}

// stageOf is where an entry that is stored now begins.
func (e *Engine) stageOf(ent *Entry) stage {
	if ent.Kind == KindTombstone || ent.reaped || ent.ExpiresAt != 0 && cutOf(ent.ExpiresAt) <= e.cut.Load() {
		return stageDead
	}
	return stageLive
}
