package engine

import (
	"fmt"

	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// Check recomputes every index from the entries and reports the first thing
// that does not agree; nil means that the engine is sound. Writes wait
// meanwhile, for as long as hashing everything takes: it is for tests and for
// an operator in doubt.
func (e *Engine) Check() error {
	e.lockAll()
	defer e.unlockAll()
	e.sortIn()
	total, live := 0, 0
	for i := range e.shards {
		s := &e.shards[i]
		if err := e.checkShard(s); err != nil {
			return fmt.Errorf("check: shard %d: %w", i, err)
		}
		total += s.table.used
		live += s.live
	}
	listed := 0
	for i := range e.orders {
		if err := e.orders[i].tree.Check(); err != nil {
			return fmt.Errorf("check: part %d of the ordered index: %w", i, err)
		}
		listed += e.orders[i].tree.Len()
	}
	// Each live one was found in the index, so there is nothing else in it.
	if listed != live {
		return fmt.Errorf("check: the ordered index holds %d keys, %d are live", listed, live)
	}
	if slots := e.slab.Stats().Slots; slots != total {
		return fmt.Errorf("check: the slab holds %d records, the shards %d", slots, total)
	}
	for i := range e.orders {
		if is := e.orders[i].bytes(); is != e.orders[i].counted {
			return fmt.Errorf("check: part %d of the ordered index takes %d bytes, %d are counted", i, is, e.orders[i].counted)
		}
	}
	return nil
}

func (e *Engine) checkShard(s *shard) error {
	live, withDue, dead, bytes, used := 0, 0, 0, 0, 0
	for _, slot := range s.table.slots {
		ref := slot.ref()
		if ref == 0 {
			continue
		}
		used++
		r := e.slab.at(ref)
		if err := e.checkRecord(s, ref); err != nil {
			return fmt.Errorf("%s: %w", quoteKey(string(r.key())), err)
		}
		switch {
		case r.stage() == stageDead:
			dead++
			if r.version().Time < s.dead.oldest {
				return fmt.Errorf("%s is older than the oldest dead entry", quoteKey(string(r.key())))
			}
		case r.place() >= 0:
			withDue++
			fallthrough
		default:
			live++
		}
		bytes += r.keyLen() + r.valueLen()
	}
	due := e.dueOf(s)
	switch {
	case used != s.table.used:
		return fmt.Errorf("%d records are counted, the table has %d", s.table.used, used)
	case s.live != live:
		return fmt.Errorf("%d live records are counted, %d are", s.live, live)
	case len(due.refs) != withDue:
		return fmt.Errorf("%d entries are due some time, %d know of it", len(due.refs), withDue)
	case len(s.dead.refs) != dead:
		return fmt.Errorf("%d dead entries are listed, %d are", len(s.dead.refs), dead)
	case s.bytes != bytes:
		return fmt.Errorf("%d bytes are counted, %d are held", s.bytes, bytes)
	case s.counted != s.indexBytes():
		return fmt.Errorf("the index takes %d bytes, %d are counted", s.indexBytes(), s.counted)
	case s.nextCut.Load() != due.next():
		return fmt.Errorf("next sweep is at cut %d, it is due at %d", s.nextCut.Load(), due.next())
	}
	for i := 1; i < len(due.refs); i++ {
		if parent := (i - 1) / 2; due.at(due.refs[parent]) > due.at(due.refs[i]) {
			return fmt.Errorf("place %d in the heap is due at %d, %d above it at %d",
				i, due.at(due.refs[i]), parent, due.at(due.refs[parent]))
		}
	}
	return e.checkStripe(s)
}

func (e *Engine) checkStripe(s *shard) error {
	anew := s.stripe
	h := e.Hasher()
	anew.Rebuild(s.stripe.Top().Count, func(add func(uint64, merkle.Digest)) {
		for _, slot := range s.table.slots {
			ref := slot.ref()
			if ref == 0 {
				continue
			}
			if r := e.slab.at(ref); r.stage() == stageLive {
				add(h.Position(r.keyView()), r.digest())
			}
		}
	})
	if err := s.stripe.Equal(&anew); err != nil {
		return fmt.Errorf("digests, kept and made anew: %w", err)
	}
	return nil
}

func (e *Engine) checkRecord(s *shard, ref slab.Ref) error {
	r := e.slab.at(ref)
	ent := r.entry()
	ent.Key = string(r.key())
	if err := ent.validate(); err != nil {
		return err
	}
	h := e.Hasher()
	pos := h.Position(ent.Key)
	_, found, _ := s.find(e.slab, pos, ent.Key)
	o := e.orderOf(r.key())
	o.mu.Lock()
	listed := o.holds(r, ref)
	o.mu.Unlock()
	fixed := ent.digestFields()
	due := e.dueOf(s)
	hasValue := ent.Kind == KindPut && !ent.reaped
	waits := ent.ExpiresAt != 0 || !hasValue
	places := due.refs
	if r.stage() == stageDead {
		places = s.dead.refs
	}
	switch {
	case &e.shards[shardOf(pos)] != s:
		return fmt.Errorf("belongs to another shard")
	case found != ref:
		return fmt.Errorf("the table leads to another record, or none")
	case r.digest() != h.Entry(ent.Key, &fixed):
		return fmt.Errorf("digest %v does not follow from the entry", r.digest())
	case hasValue && Checksum(ent.Value) != ent.Checksum:
		return fmt.Errorf("the value does not match its checksum")
	case hasValue == (r.stage() == stageDead):
		return fmt.Errorf("stage %d with kind %d, reaped %t", r.stage(), ent.Kind, ent.reaped)
	case listed != (r.stage() == stageLive):
		return fmt.Errorf("in the ordered index: %t, stage %d", listed, r.stage())
	case waits != (r.place() >= 0):
		return fmt.Errorf("waits for a sweep or a purge: %t, place %d", waits, r.place())
	case waits && (r.place() >= len(places) || places[r.place()] != ref):
		return fmt.Errorf("is not at its place %d in stage %d", r.place(), r.stage())
	case ent.Version.Time > e.clock.Read():
		return fmt.Errorf("version %v is above the clock %016x", ent.Version, e.clock.Read())
	}
	return nil
}
