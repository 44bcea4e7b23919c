package engine

import (
	"fmt"
)

// The limits of a batch: readers of the shards that it touches wait while it is
// stored.
const (
	MaxBatchItems = 1000
	MaxBatchBytes = 4 << 20 // of keys and values
)

// BatchOp is one write of a batch: a put, or a delete, which takes Key and If alone.
type BatchOp struct {
	Key    string
	Value  []byte
	Delete bool
	PutOptions
}

func (o *BatchOp) name() string {
	if o.Delete {
		return "delete"
	}
	return "put"
}

// BatchResult is what became of one write of a batch.
type BatchResult struct {
	Entry   Entry // to be pushed; it has the caller's key and value
	Existed bool  // the key had a value
}

// BatchError says which write a batch failed for.
type BatchError struct {
	Item, Of int // from 1 on
	Err      error
}

func (e *BatchError) Error() string { return fmt.Sprintf("item %d of %d: %v", e.Item, e.Of, e.Err) }

// Unwrap gives the write's own error.
func (e *BatchError) Unwrap() error { return e.Err }

// Batch does all of several writes of different keys, or none: then the error is a
// *BatchError, unless the batch as a whole is wrong. Whoever reads or scans this
// engine sees none of it or everything. Versions follow one another in the order of
// ops, with nothing between them.
func (e *Engine) Batch(now int64, ops []BatchOp) ([]BatchResult, error) {
	results, err := e.batch(now, ops)
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	return results, nil
}

func (e *Engine) batch(now int64, ops []BatchOp) ([]BatchResult, error) {
	results, err := e.draft(now, ops)
	if err != nil {
		return nil, err
	}
	places := make([]place, len(ops))
	var used [shardCount]bool
	e.lockBatch(ops, places, &used)
	defer e.eachOf(&used, func(s *shard) { s.w.Unlock() })
	for i := range ops {
		if err := e.prepareLocked(now, &ops[i], &places[i], &results[i]); err != nil {
			for j := range i {
				e.unreserveLocked(&places[j])
			}
			return nil, &BatchError{i + 1, len(ops), failed(ops[i].name(), ops[i].Key, err)}
		}
	}
	first, prev, err := e.sequence.nextOf(e.clock, now, len(ops))
	if err != nil {
		for i := range places {
			e.unreserveLocked(&places[i])
		}
		return nil, err
	}
	e.eachOf(&used, func(s *shard) { s.mu.Lock() })
	defer e.eachOf(&used, func(s *shard) { s.mu.Unlock() })
	for i := range places {
		p, ent := &places[i], &results[i].Entry
		// Those before it may have moved its slot.
		p.slot, p.ref, p.old = p.shard.find(e.slab, p.pos, ent.Key)
		ent.Version, ent.Prev = Version{Time: first + uint64(i), Instance: e.instance}, prev
		prev = ent.Version.Time
		if p.old != nil {
			ent.Over = e.over(p.old.version())
		}
		p.open = true
		e.storeLocked(p, ent)
	}
	return results, nil
}

// draft checks what can be checked without a lock, and makes the entries but for
// their versions.
func (e *Engine) draft(now int64, ops []BatchOp) ([]BatchResult, error) {
	if len(ops) == 0 {
		return nil, fmt.Errorf("no items, at least one is needed: %w", ErrInvalidBatch)
	}
	if len(ops) > MaxBatchItems {
		return nil, fmt.Errorf("%d items, the limit is %d: %w", len(ops), MaxBatchItems, ErrBatchTooLarge)
	}
	results, items, bytes := make([]BatchResult, len(ops)), make(map[string]int, len(ops)), 0
	for i := range ops {
		o := &ops[i]
		ent, err := e.draftOne(now, o)
		if first := items[o.Key]; err == nil && first > 0 {
			err = fmt.Errorf("the key is that of item %d too: %w", first, ErrInvalidBatch)
		}
		if err != nil {
			return nil, &BatchError{i + 1, len(ops), failed(o.name(), o.Key, err)}
		}
		items[o.Key] = i + 1
		results[i].Entry = ent
		bytes += len(o.Key) + len(ent.Value)
	}
	if bytes > MaxBatchBytes {
		return nil, fmt.Errorf("keys and values are %s, the limit is %s: %w", exactBytes(bytes), exactBytes(MaxBatchBytes), ErrBatchTooLarge)
	}
	return results, nil
}

func (e *Engine) draftOne(now int64, o *BatchOp) (Entry, error) {
	if err := checkKey(o.Key); err != nil {
		return Entry{}, err
	}
	if o.Delete {
		return Entry{Key: o.Key, Kind: KindTombstone}, nil
	}
	if len(o.Value) > e.maxValue {
		return Entry{}, valueTooLarge(len(o.Value), e.maxValue)
	}
	at, err := o.expiry(now)
	if err != nil {
		return Entry{}, err
	}
	value := o.Value
	if value == nil {
		value = []byte{}
	}
	return Entry{Key: o.Key, Value: value, Kind: KindPut, ExpiresAt: at, Checksum: Checksum(value)}, nil
}

// lockBatch takes the w of every shard that a batch touches, in the order of their
// numbers, and finds the places' shards and positions.
func (e *Engine) lockBatch(ops []BatchOp, places []place, used *[shardCount]bool) {
	for {
		k := e.keyed.Load()
		*used = [shardCount]bool{}
		for i := range ops {
			pos := k.hasher.Position(ops[i].Key)
			places[i] = place{shard: &e.shards[shardOf(pos)], keyed: k, pos: pos}
			used[shardOf(pos)] = true
		}
		e.eachOf(used, func(s *shard) { s.w.Lock() })
		if e.keyed.Load() == k {
			return
		}
		e.eachOf(used, func(s *shard) { s.w.Unlock() })
	}
}

func (e *Engine) eachOf(used *[shardCount]bool, do func(s *shard)) {
	for i := range used {
		if used[i] {
			do(&e.shards[i])
		}
	}
}

// prepareLocked judges one write's condition and finds room for it. The shard's w
// must be held.
func (e *Engine) prepareLocked(now int64, o *BatchOp, p *place, r *BatchResult) error {
	*p = e.placeOf(p.shard, p.keyed, p.pos, o.Key)
	if err := p.demand(now, o.Key, o.If); err != nil {
		return err
	}
	r.Existed = p.old.liveAt(now)
	c := ceilingNone
	if !o.Delete {
		c = ceilingPut
		if o.KeepTTL && r.Existed {
			r.Entry.ExpiresAt = p.old.expiresAt()
		}
	}
	return e.reserveLocked(p, &r.Entry, c)
}
