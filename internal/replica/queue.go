package replica

import "github.com/tochemey/gokv/engine"

// entryOverhead is what an entry costs in a queue beyond its key and value:
// about the wire form's fixed part, so that empty values are not free.
const entryOverhead = 64

func entryBytes(e *engine.Entry) int { return len(e.Key) + len(e.Value) + entryOverhead }

// queue is what waits for one peer, in the order of the writes. Its bound is
// kept by the caller, which must see an overflow to owe a round.
type queue struct {
	items []queued
	head  int
	bytes int
}

// queued is an entry that waits. What was written together goes together.
type queued struct {
	*engine.Entry
	more bool // the next one goes in the same push
}

func (q *queue) len() int { return len(q.items) - q.head }

// push appends entries that go together.
func (q *queue) push(together ...*engine.Entry) {
	for i, e := range together {
		q.items = append(q.items, queued{e, i < len(together)-1})
		q.bytes += entryBytes(e)
	}
}

// take removes the first entries, up to limit bytes and what a frame may hold,
// and at least one, and those that go together with it.
func (q *queue) take(limit int) []*engine.Entry {
	n, bytes := 0, 0
	for waiting := q.items[q.head:]; n < len(waiting); {
		end, b := n, 0
		for more := true; more; end++ {
			b += entryBytes(waiting[end].Entry)
			more = waiting[end].more
		}
		if n > 0 && (end > MaxPushEntries || bytes+b > limit) {
			break
		}
		n, bytes = end, bytes+b
	}
	if n == 0 {
		return nil
	}
	batch := q.items[q.head : q.head+n]
	entries := make([]*engine.Entry, n)
	for i, it := range batch {
		entries[i] = it.Entry
	}
	clear(batch) // the queue must not keep what has been sent alive
	q.head += n
	q.bytes -= bytes
	switch {
	case q.head == len(q.items):
		q.items, q.head = q.items[:0], 0
	case q.head > len(q.items)/2:
		left := copy(q.items, q.items[q.head:])
		clear(q.items[left:])
		q.items, q.head = q.items[:left], 0
	}
	return entries
}

// drop empties the queue, gives its room back, and says how many were in it.
func (q *queue) drop() int {
	n := q.len()
	*q = queue{}
	return n
}
