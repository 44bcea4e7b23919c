package engine

// Stats are the engine's figures. Those of the contents count what was swept:
// an entry counts as live until the cut passes its expiry.
type Stats struct {
	Entries    uint64 // live
	Tombstones uint64 // deleted and expired: keys that are kept without a value for anybody
	EntryBytes uint64 // keys and values held

	Refused       uint64 // entries that Apply refused, but for want of memory
	Parked        uint64 // entries that wait until their versions are due
	Conflicts     uint64 // arriving entries of one version and other content; must stay zero
	Mismatches    uint64 // records found whose bytes are not what was written; must stay zero
	ClockReadings uint64 // readings too far ahead to be taken in, those of refused entries included

	OverloadedPuts    uint64 // local writes refused for want of memory, here or at another member
	OverloadedEntries uint64 // other members' entries refused for want of memory here
}

// Stats looks at each shard in turn.
func (e *Engine) Stats() Stats {
	st := Stats{
		Refused:       e.refused.Load(),
		Parked:        uint64(e.parking.count()),
		Conflicts:     e.conflicts.Load(),
		Mismatches:    e.mismatches.Load(),
		ClockReadings: e.clock.Refused(),

		OverloadedPuts:    e.budget.puts.Load(),
		OverloadedEntries: e.budget.entries.Load(),
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
