package engine

// Stats are the engine's figures. Those of the contents count what was swept:
// an entry counts as live until the sweep after its expiry.
type Stats struct {
	Entries    uint64 // live
	Tombstones uint64 // deleted and expired: keys that are kept without a value for anybody
	EntryBytes uint64 // keys and values held

	Refused       uint64 // entries that Apply refused
	Conflicts     uint64 // arriving entries of one version and other content; must stay zero
	Mismatches    uint64 // records found whose bytes are not what was written; must stay zero
	ClockReadings uint64 // readings too far ahead to be taken in, those of refused entries included
}

// Stats looks at each shard in turn.
func (e *Engine) Stats() Stats {
	st := Stats{
		Refused:       e.refused.Load(),
		Conflicts:     e.conflicts.Load(),
		Mismatches:    e.mismatches.Load(),
		ClockReadings: e.clock.Refused(),
	}
	for i := range e.shards {
		s := &e.shards[i]
		s.w.Lock()
		st.Entries += uint64(s.live)
		st.Tombstones += uint64(s.table.used - s.live)
		st.EntryBytes += uint64(s.bytes)
		s.w.Unlock()
	}
	return st
}

// Memory is what an engine's contents take, in bytes.
type Memory struct {
	Records uint64 // the slab's pages, their free slots included
	Index   uint64 // tables, ordered index, digests, heaps
}

// Total is all of it.
func (m Memory) Total() uint64 { return m.Records + m.Index }

// Memory looks at each shard in turn.
func (e *Engine) Memory() Memory {
	m := Memory{Records: uint64(e.slab.Stats().Mapped)}
	for i := range e.shards {
		s := &e.shards[i]
		s.w.Lock()
		m.Index += uint64(s.table.bytes() + s.stripe.Bytes() + 4*cap(s.due.refs))
		s.w.Unlock()
	}
	for i := range e.orders {
		o := &e.orders[i]
		o.mu.Lock()
		m.Index += uint64(o.tree.Bytes())
		o.mu.Unlock()
	}
	return m
}
