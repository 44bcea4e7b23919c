package engine

import (
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/tochemey/gokv/internal/invariant"
	"github.com/tochemey/gokv/merkle"
)

// MaxKeySize is the limit on a key, in bytes. The shortest key has one.
const MaxKeySize = 4096

// The defaults of Config.
const (
	DefaultMaxValueSize = 1 << 20
	DefaultMaxClockSkew = 500 * time.Millisecond
	DefaultShards       = 64
)

// Config is what an engine is made of. The zero value is usable alone; nodes
// of one cluster need instances of their own.
type Config struct {
	Instance     uint64        // this process's random ID, part of each version that it issues
	Key          merkle.Key    // of the digests, the same in the whole cluster
	MaxValueSize int           // bytes, default 1 MiB
	MaxClockSkew time.Duration // how far ahead of the wall clock a version may be, in whole ms, default 500 ms
	Shards       int           // rounded up to a power of two, at most 4,096, default 64; contents and digests do not depend on it
}

// Engine holds a node's entries. See the package comment.
type Engine struct {
	// Fixed after construction.
	instance uint64
	maxValue int
	clock    *Clock
	shards   []shard
	mask     uint64

	// treeMu is held by rounds for reading, and by a rekey for writing, which
	// holds every shard's lock besides. So whoever holds either treeMu or any
	// shard's lock may read key, hasher and tree, and the place and digest of
	// a record. Lock order: treeMu, then shards by number; the tree's own
	// locks come last.
	treeMu sync.RWMutex
	key    merkle.Key
	hasher merkle.Hasher
	tree   *merkle.Tree[*record]

	// Atomic.
	sweepFrom atomic.Uint64
	refused   atomic.Uint64
	conflicts atomic.Uint64
}

// New returns an empty engine.
func New(c Config) *Engine {
	if c.MaxValueSize <= 0 {
		c.MaxValueSize = DefaultMaxValueSize
	}
	if c.MaxClockSkew <= 0 {
		c.MaxClockSkew = DefaultMaxClockSkew
	}
	if c.Shards <= 0 {
		c.Shards = DefaultShards
	}
	n := 1 << bits.Len(uint(min(c.Shards, 4096)-1))
	e := &Engine{
		instance: c.Instance,
		maxValue: c.MaxValueSize,
		clock:    NewClock(c.MaxClockSkew),
		shards:   make([]shard, n),
		mask:     uint64(n - 1),
		key:      c.Key,
		hasher:   merkle.NewHasher(c.Key),
		tree:     merkle.NewTree((*record).item),
	}
	for i := range e.shards {
		e.shards[i].init(2 * c.MaxClockSkew.Milliseconds())
	}
	return e
}

func (e *Engine) shardOf(key string) *shard {
	return &e.shards[xxhash.Sum64String(key)&e.mask]
}

// Clock is the engine's hybrid logical clock: what messages carry, and what
// takes in the readings that messages bring.
func (e *Engine) Clock() *Clock { return e.clock }

// Instance is the ID in the versions that this engine issues.
func (e *Engine) Instance() uint64 { return e.instance }

// MaxValueSize is the limit on a value, in bytes.
func (e *Engine) MaxValueSize() int { return e.maxValue }

// Get returns the entry that key has at the time now. It allocates nothing;
// the error is ErrNotFound as it stands.
func (e *Engine) Get(now int64, key string) (*Entry, error) {
	s := e.shardOf(key)
	s.mu.RLock()
	r := s.records[key]
	live := r.liveAt(now)
	s.mu.RUnlock()
	if !live {
		return nil, ErrNotFound
	}
	return &r.Entry, nil
}

// PutOptions say when a written entry expires: at most one of them may be set,
// none meaning never.
type PutOptions struct {
	ExpiresAt int64         // ms since 1970, at most MaxExpiry; a time that has passed is a put that no reader sees
	TTL       time.Duration // from now on, above zero; rounded up to a whole ms
	KeepTTL   bool          // as the entry that is replaced, if that is still live
}

// expiry is when the entry expires, KeepTTL aside.
func (o PutOptions) expiry(now int64) (int64, error) {
	set := 0
	for _, is := range []bool{o.ExpiresAt != 0, o.TTL != 0, o.KeepTTL} {
		if is {
			set++
		}
	}
	if set > 1 {
		return 0, fmt.Errorf("only one of TTL, ExpiresAt and KeepTTL may be set: %w", ErrInvalidTTL)
	}
	if o.TTL < 0 {
		return 0, fmt.Errorf("TTL is %v, it must be above zero: %w", o.TTL, ErrInvalidTTL)
	}
	at := o.ExpiresAt
	if o.TTL > 0 {
		at = boundWall(now) + o.TTL.Milliseconds()
		if o.TTL%time.Millisecond != 0 {
			at++
		}
	}
	if at < 0 || at > MaxExpiry {
		return 0, fmt.Errorf("expiry is %d ms after 1970, it must be between 1 and %d: %w", at, MaxExpiry, ErrInvalidTTL)
	}
	return at, nil
}

// Put gives key a value, and an expiry or none by o. The value is copied. The
// entry that it returns is what is to be pushed to the other members.
func (e *Engine) Put(now int64, key string, value []byte, o PutOptions) (*Entry, error) {
	const op = "put"
	if err := checkKey(key); err != nil {
		return nil, failed(op, key, err)
	}
	if len(value) > e.maxValue {
		return nil, failed(op, key, valueTooLarge(len(value), e.maxValue))
	}
	at, err := o.expiry(now)
	if err != nil {
		return nil, failed(op, key, err)
	}
	r := newRecord(Entry{Key: key, Value: cloneValue(value), Kind: KindPut, ExpiresAt: at, Checksum: Checksum(value)})
	s := e.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.records[key]
	if o.KeepTTL && old.liveAt(now) {
		r.ExpiresAt = old.ExpiresAt
	}
	return e.commitLocked(op, s, old, r, now)
}

// Delete writes a tombstone over key, and reports whether it had a value. It
// does so for a key that this node never heard of too: its put may be on the
// way, and the delete came last.
func (e *Engine) Delete(now int64, key string) (ent *Entry, existed bool, err error) {
	const op = "delete"
	if err := checkKey(key); err != nil {
		return nil, false, failed(op, key, err)
	}
	r := newRecord(Entry{Key: key, Kind: KindTombstone})
	s := e.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.records[key]
	existed = old.liveAt(now)
	ent, err = e.commitLocked(op, s, old, r, now)
	return ent, existed && err == nil, err
}

// Touch gives a live key the expiry that o says, which must say one, and keeps
// its value. It is a write: a later version.
func (e *Engine) Touch(now int64, key string, o PutOptions) (*Entry, error) {
	const op = "touch"
	at, err := o.expiry(now)
	if err == nil && at == 0 {
		err = fmt.Errorf("a TTL or an expiry is needed: %w", ErrInvalidTTL)
	}
	if err != nil {
		return nil, failed(op, key, err)
	}
	return e.expireAt(op, now, key, at)
}

// Persist takes the expiry off a live key, and keeps its value. It is a write:
// a later version.
func (e *Engine) Persist(now int64, key string) (*Entry, error) {
	return e.expireAt("persist", now, key, 0)
}

func (e *Engine) expireAt(op string, now int64, key string, at int64) (*Entry, error) {
	if err := checkKey(key); err != nil {
		return nil, failed(op, key, err)
	}
	s := e.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.records[key]
	if !old.liveAt(now) {
		return nil, failed(op, key, ErrNotFound)
	}
	r := newRecord(old.Entry) // the value is shared: it never changes
	r.ExpiresAt = at
	return e.commitLocked(op, s, old, r, now)
}

// commitLocked gives a local write its version and stores it. Both happen
// under one hold of the shard's lock: a version that is out is held. s.mu must
// be held.
func (e *Engine) commitLocked(op string, s *shard, old, r *record, now int64) (*Entry, error) {
	t, err := e.clock.Now(now)
	if err != nil {
		return nil, failed(op, r.Key, err)
	}
	r.Version, r.Over = Version{Time: t, Instance: e.instance}, Version{}
	if old != nil {
		r.Over = old.Version
	} else {
		r.Key = strings.Clone(r.Key) // the caller's may be part of something large
	}
	e.storeLocked(s, old, r, now)
	return &r.Entry, nil
}

// storeLocked makes r what its key holds. s.mu must be held.
func (e *Engine) storeLocked(s *shard, old, r *record, now int64) {
	if old != nil {
		r.Key = old.Key // one copy for map, index and entries
		r.pos = old.pos
	} else {
		r.pos = e.hasher.Position(r.Key)
	}
	fixed := r.digestFields()
	r.digest = e.hasher.Entry(r.Key, &fixed)
	s.replaceLocked(e.tree, old, r, now)
	if invariant.Enabled {
		if err := e.checkRecord(s, r.Key, r); err != nil {
			panic(failed("engine: broken invariant after a write of", r.Key, err))
		}
	}
}

// Apply merges an entry that was written elsewhere. Of it and what the key
// holds the greater stays (Compare), whatever the order of arrival: Applied
// when that is the arriving one, Ignored when not. Refused, and counted, when
// it cannot be taken in here and now, which is no fault of the order either,
// as a later round brings it again: its version is more than the allowed skew
// ahead of now, its value is over this node's limit, or it lost its value to
// an expiry that by now has not come yet.
//
// The engine keeps the value without copying it. lag is how long ago, in ms,
// an applied entry's version was issued.
func (e *Engine) Apply(now int64, ent *Entry) (outcome merkle.Outcome, lag int64) {
	return e.apply(now, newRecord(*ent))
}

func (e *Engine) apply(now int64, r *record) (outcome merkle.Outcome, lag int64) {
	if !e.acceptable(now, &r.Entry) {
		e.refused.Add(1)
		return merkle.Refused, 0
	}
	if r.Kind == KindPut && !r.reaped && r.Value == nil {
		r.Value = []byte{}
	}
	s := e.shardOf(r.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.records[r.Key]
	if old != nil {
		if r.Version == old.Version && Compare(&r.Entry, &old.Entry) != 0 {
			e.conflicts.Add(1)
		}
		if !replaces(&r.Entry, &old.Entry, old.liveAt(now)) {
			return merkle.Ignored, 0
		}
	}
	e.storeLocked(s, old, r, now)
	return merkle.Applied, max(now-r.Version.Wall(), 0)
}

func (e *Engine) acceptable(now int64, ent *Entry) bool {
	if ent.validate() != nil || len(ent.Value) > e.maxValue {
		return false
	}
	// A peer whose clock is off may have reaped what is still live.
	if ent.reaped && ent.ExpiresAt > now {
		return false
	}
	// The clock is above every version held, so a local write beats them all.
	return e.clock.Observe(now, ent.Version.Time) == nil
}

func checkKey(key string) error {
	switch {
	case key == "":
		return ErrKeyEmpty
	case len(key) > MaxKeySize:
		return keyTooLarge(len(key))
	}
	return nil
}
