package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A checker that finds nothing proves nothing: each way to damage an engine is
// reported.
func TestCheckFindsEachKindOfDamage(t *testing.T) {
	build := func() (*Engine, *shard) {
		e := New(Config{Instance: 1, Key: testKey, Shards: 2})
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			mustPut(t, e, wall, key, "value", PutOptions{TTL: time.Second})
		}
		mustPut(t, e, wall, "for ever", "value", PutOptions{})
		_, _, err := e.Delete(wall, "deleted")
		require.NoError(t, err)
		require.NoError(t, e.Check())
		return e, e.shardOf("a")
	}
	for name, damage := range map[string]func(e *Engine, s *shard){
		"a key that is not in the index":     func(_ *Engine, s *shard) { s.index.Delete("a") },
		"a key too many in the index":        func(_ *Engine, s *shard) { s.index.Insert("zz") },
		"a tombstone in the index":           func(e *Engine, _ *shard) { e.shardOf("deleted").index.Insert("deleted") },
		"an entry under another key":         func(_ *Engine, s *shard) { s.records["b"] = s.records["a"] },
		"an entry that the tree never saw":   func(_ *Engine, s *shard) { c := *s.records["a"]; s.records["a"] = &c },
		"an entry that is only in the tree":  func(e *Engine, _ *shard) { s := e.shardOf("deleted"); delete(s.records, "deleted") },
		"an entry in the wrong shard":        func(e *Engine, s *shard) { o := e.other(s); o.records["a"] = s.records["a"]; delete(s.records, "a") },
		"a value that changed":               func(_ *Engine, s *shard) { s.records["a"].Value[0]++ },
		"an expiry that changed":             func(_ *Engine, s *shard) { s.records["a"].ExpiresAt++ },
		"a version that changed":             func(_ *Engine, s *shard) { s.records["a"].Version.Instance++ },
		"a version above the clock":          func(e *Engine, _ *shard) { e.clock.reading.Store(1) },
		"a stage that does not fit":          func(_ *Engine, s *shard) { s.records["a"].stage = stageDead },
		"an expired entry without an expiry": func(e *Engine, _ *shard) { e.shardOf("for ever").records["for ever"].stage = stageExpired },
		"a value that is missing":            func(_ *Engine, s *shard) { s.records["a"].Value = nil },
		"an entry that nobody would write":   func(_ *Engine, s *shard) { s.records["a"].Kind = 9 },
		"a digest that does not follow":      func(_ *Engine, s *shard) { s.records["a"].digest.Lo++ },
		"a position that does not follow":    func(_ *Engine, s *shard) { s.records["a"].pos++ },
		"a heap that forgot an entry":        func(_ *Engine, s *shard) { s.due.records = s.due.records[:len(s.due.records)-1] },
		"a heap out of order":                func(_ *Engine, s *shard) { outOfOrder(s) },
		"a place in the heap that is wrong":  func(_ *Engine, s *shard) { s.records["a"].heapIndex++ },
		"a sweep at the wrong time":          func(_ *Engine, s *shard) { s.nextDue.Add(1) },
		"bytes that were not counted":        func(_ *Engine, s *shard) { s.bytes++ },
		"a tree with another entry": func(e *Engine, _ *shard) {
			r := newRecord(*remotePut("x", "", wall, 0))
			e.tree.Insert(r.pos, r, r.digest)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := build()
			damage(e, s)
			err := e.Check()
			require.ErrorContains(t, err, "check: ")
		})
	}
}

func (e *Engine) other(s *shard) *shard {
	if s == &e.shards[0] {
		return &e.shards[1]
	}
	return &e.shards[0]
}

// outOfOrder lets the top of the heap expire, as no sweep would, after what
// lies below it.
func outOfOrder(s *shard) {
	s.due.first().stage = stageExpired
	s.index.Delete(s.due.first().Key)
	s.nextDue.Store(s.due.next())
}
