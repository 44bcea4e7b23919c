package engine

import (
	"fmt"

	"github.com/tochemey/gokv/merkle"
)

// Source is the engine as a Merkle round sees it. Safe for concurrent use by
// several rounds.
type Source struct {
	engine *Engine
	now    func() int64

	// Applied, if set before the first round, is called with each entry that
	// a round brought and the engine took, and with its age in ms. No lock is
	// held meanwhile.
	Applied func(ent *Entry, lag int64)
}

var _ merkle.Source = (*Source)(nil)

// Source returns the engine as a round wants it. Rounds are told no wall time,
// so now is asked for it.
func (e *Engine) Source(now func() int64) *Source {
	return &Source{engine: e, now: now}
}

// Key is the key of the engine's digests.
func (s *Source) Key() merkle.Key { return s.engine.Key() }

// Rekey takes over k if it beats the key in use: with rounds under way with
// several peers, a worse key may arrive after a better one.
func (s *Source) Rekey(k merkle.Key) { s.engine.Rekey(k) }

// Root is the digest and the count of all entries.
func (s *Source) Root() (merkle.Digest, uint64) { return s.engine.Root() }

// Children sets out to the sixteen parts of r.
func (s *Source) Children(r merkle.Range, out *[16]merkle.Node) {
	e := s.engine
	e.treeMu.RLock()
	defer e.treeMu.RUnlock()
	e.tree.Children(r, out)
}

// Items appends the items of r from position from on, ascending, to dst: max
// of them, or more when the last ones share a position, so that the next call
// may begin behind it.
func (s *Source) Items(r merkle.Range, from uint64, dst []merkle.Item, max int) []merkle.Item {
	e := s.engine
	e.treeMu.RLock()
	defer e.treeMu.RUnlock()
	return e.tree.Items(r, from, dst, max)
}

// AppendEntry appends the wire form of the entry that an item's key has by
// now: it may have been overwritten since the item was listed. What a write
// replaced does not travel in rounds.
func (s *Source) AppendEntry(dst []byte, it merkle.Item) []byte {
	listed := it.Ref.(*record)
	shard := s.engine.shardOf(listed.Key)
	shard.mu.RLock()
	r := shard.records[listed.Key]
	shard.mu.RUnlock()
	return appendEntry(dst, &r.Entry, false)
}

// Apply merges one entry in its wire form. One that this node cannot take, its
// value being over the limit for instance, is Refused; the error is for bytes
// that are no entry.
func (s *Source) Apply(entry []byte) (merkle.Outcome, error) {
	r := newRecord(Entry{})
	if err := parseEntry(&r.Entry, entry, 0); err != nil {
		return merkle.Refused, fmt.Errorf("parse entry: %w", err)
	}
	outcome, lag := s.engine.apply(s.now(), r)
	if outcome == merkle.Applied && s.Applied != nil {
		s.Applied(&r.Entry, lag)
	}
	return outcome, nil
}

// Clock is the clock's highest reading.
func (s *Source) Clock() uint64 { return s.engine.clock.Read() }

// Observe takes in a peer's reading. One that is too far ahead is counted by
// the clock and otherwise left alone: versions are judged, never peers.
func (s *Source) Observe(reading uint64) {
	_ = s.engine.clock.Observe(s.now(), reading)
}
