package engine

import (
	"container/heap"
	"strings"
)

// List returns the entries that are live at now, whose key begins with prefix
// and comes after after, in the order of the keys' bytes: the first limit of
// them (0: all), and whether there are more. To go on, pass the last key as
// after. A key that is there from the first page to the last is listed once;
// one that comes or goes meanwhile may be listed or not.
func (e *Engine) List(now int64, prefix, after string, limit int) (page []*Entry, more bool) {
	m := e.newMerger(now, prefix, after, limit)
	for m.Len() > 0 {
		if limit > 0 && len(page) == limit {
			return page, true
		}
		page = append(page, m.next())
	}
	return page, false
}

// merger merges what the shards list, each in order, into one order. It is a
// heap of the cursors that have something left, the lowest key first.
type merger struct {
	now    int64
	prefix string
	batch  int // entries to fetch from a shard at a time
	heap   []*cursor
}

// cursor is the place in one shard's list.
type cursor struct {
	shard   *shard
	fetched []*Entry // not yet handed out, never empty in the heap
	room    []*Entry // what fetched is the tail of, for the next batch
	last    string   // the last key fetched
	drained bool     // nothing follows fetched
}

const (
	minScanBatch = 4
	maxScanBatch = 256
)

func (e *Engine) newMerger(now int64, prefix, after string, limit int) *merger {
	batch := maxScanBatch
	if limit > 0 {
		// Hashing spreads the keys evenly: one more than an even share
		// seldom needs a second visit.
		batch = min(max(limit/len(e.shards)+1, minScanBatch), maxScanBatch)
	}
	m := &merger{now: now, prefix: prefix, batch: batch}
	cursors := make([]cursor, len(e.shards))
	for i := range cursors {
		c := &cursors[i]
		c.shard, c.last = &e.shards[i], after
		if m.fetch(c); len(c.fetched) > 0 {
			m.heap = append(m.heap, c)
		}
	}
	heap.Init(m)
	return m
}

// next takes the lowest entry out.
func (m *merger) next() *Entry {
	c := m.heap[0]
	ent := c.fetched[0]
	c.fetched = c.fetched[1:]
	if len(c.fetched) == 0 {
		m.fetch(c)
	}
	if len(c.fetched) == 0 {
		heap.Pop(m)
	} else {
		heap.Fix(m, 0)
	}
	return ent
}

// fetch gets the next batch of the cursor's shard.
func (m *merger) fetch(c *cursor) {
	if c.drained {
		return
	}
	c.fetched = c.room[:0]
	c.shard.mu.RLock()
	defer c.shard.mu.RUnlock()
	c.drained = true
	c.shard.index.Ascend(max(m.prefix, c.last), func(key string) bool {
		if key <= c.last {
			return true // the pivot itself
		}
		if !strings.HasPrefix(key, m.prefix) {
			return false
		}
		if len(c.fetched) == m.batch {
			c.drained = false
			return false
		}
		c.last = key
		if r := c.shard.records[key]; r.liveAt(m.now) {
			c.fetched = append(c.fetched, &r.Entry)
		}
		return true
	})
	c.room = c.fetched
}

// The methods of heap.Interface.

func (m *merger) Len() int { return len(m.heap) }

func (m *merger) Less(i, j int) bool { return m.heap[i].fetched[0].Key < m.heap[j].fetched[0].Key }

func (m *merger) Swap(i, j int) { m.heap[i], m.heap[j] = m.heap[j], m.heap[i] }

func (m *merger) Push(x any) { m.heap = append(m.heap, x.(*cursor)) }

func (m *merger) Pop() any {
	last := len(m.heap) - 1
	c := m.heap[last]
	m.heap[last] = nil
	m.heap = m.heap[:last]
	return c
}
