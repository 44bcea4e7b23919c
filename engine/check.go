package engine

import (
	"fmt"

	"github.com/tochemey/gokv/merkle"
)

// Check recomputes every index from the entries and reports the first thing
// that does not agree; nil means that the engine is sound. Writes wait
// meanwhile, for as long as hashing everything takes: it is for tests and for
// an operator in doubt.
func (e *Engine) Check() error {
	// Held for writing, treeMu keeps rekeys and rounds out; the shards' locks
	// keep writes out.
	e.treeMu.Lock()
	defer e.treeMu.Unlock()
	for i := range e.shards {
		e.shards[i].mu.RLock()
		defer e.shards[i].mu.RUnlock()
	}
	if err := e.tree.Check(); err != nil {
		return fmt.Errorf("check: tree: %w", err)
	}
	inTree := make(map[*record]bool)
	e.tree.Walk(merkle.Range{}, 0, func(pos uint64, r *record) bool {
		inTree[r] = r.pos == pos
		return true
	})
	total := 0
	for i := range e.shards {
		s := &e.shards[i]
		if err := e.checkShard(s, inTree); err != nil {
			return fmt.Errorf("check: shard %d: %w", i, err)
		}
		total += len(s.records)
	}
	if len(inTree) != total {
		return fmt.Errorf("check: the tree holds %d entries, the shards %d", len(inTree), total)
	}
	return nil
}

func (e *Engine) checkShard(s *shard, inTree map[*record]bool) error {
	live, withDue, bytes := 0, 0, 0
	for key, r := range s.records {
		if err := e.checkRecord(s, key, r); err != nil {
			return fmt.Errorf("%s: %w", quoteKey(key), err)
		}
		if !inTree[r] {
			return fmt.Errorf("%s: not in the tree at its position", quoteKey(key))
		}
		if r.stage == stageLive {
			live++
		}
		if r.heapIndex >= 0 {
			withDue++
		}
		bytes += r.size()
	}
	switch {
	case s.index.Len() != live:
		return fmt.Errorf("the index holds %d keys, %d are live", s.index.Len(), live)
	case len(s.due.records) != withDue:
		return fmt.Errorf("%d entries are due some time, %d know of it", len(s.due.records), withDue)
	case s.bytes != bytes:
		return fmt.Errorf("%d bytes are counted, %d are held", s.bytes, bytes)
	case s.nextDue.Load() != s.due.next():
		return fmt.Errorf("next sweep is at %d, it is due at %d", s.nextDue.Load(), s.due.next())
	}
	for i, r := range s.due.records[min(1, len(s.due.records)):] {
		if parent := s.due.records[i/2]; s.due.at(parent) > s.due.at(r) {
			return fmt.Errorf("%s is due at %d, above it %s at %d", quoteKey(r.Key), s.due.at(r), quoteKey(parent.Key), s.due.at(parent))
		}
	}
	return nil
}

func (e *Engine) checkRecord(s *shard, key string, r *record) error {
	if err := r.validate(); err != nil {
		return err
	}
	fixed := r.digestFields()
	hasValue := r.Kind == KindPut && !r.reaped
	waits := r.ExpiresAt != 0 && hasValue
	switch {
	case r.Key != key:
		return fmt.Errorf("the entry is of %s", quoteKey(r.Key))
	case e.shardOf(key) != s:
		return fmt.Errorf("belongs to another shard")
	case r.pos != e.hasher.Position(key):
		return fmt.Errorf("position %016x does not follow from the key", r.pos)
	case r.digest != e.hasher.Entry(key, &fixed):
		return fmt.Errorf("digest %v does not follow from the entry", r.digest)
	case hasValue != (r.Value != nil):
		return fmt.Errorf("a value of %d bytes with kind %d, reaped %t", len(r.Value), r.Kind, r.reaped)
	case hasValue && Checksum(r.Value) != r.Checksum:
		return fmt.Errorf("the value does not match its checksum")
	case hasValue == (r.stage == stageDead):
		return fmt.Errorf("stage %d with kind %d, reaped %t", r.stage, r.Kind, r.reaped)
	case r.stage == stageExpired && r.ExpiresAt == 0:
		return fmt.Errorf("expired without an expiry")
	case s.index.Contains(key) != (r.stage == stageLive):
		return fmt.Errorf("in the index: %t, stage %d", s.index.Contains(key), r.stage)
	case waits != (r.heapIndex >= 0):
		return fmt.Errorf("waits for a sweep: %t, place in the heap %d", waits, r.heapIndex)
	case waits && (int(r.heapIndex) >= len(s.due.records) || s.due.records[r.heapIndex] != r):
		return fmt.Errorf("is not at its place %d in the heap", r.heapIndex)
	case r.Version.Time > e.clock.Read():
		return fmt.Errorf("version %v is above the clock %016x", r.Version, e.clock.Read())
	}
	return nil
}
