package engine

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/internal/reftree"
	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// MaxKeySize is the limit on a key, in bytes. The shortest key has one.
const MaxKeySize = 4096

// The defaults of Config.
const (
	DefaultMaxValueSize = 1 << 20
	DefaultMaxClockSkew = 500 * time.Millisecond

	mostValueSize = 1 << 30
)

// Config is what an engine is made of. The zero value is usable alone; nodes
// of one cluster need instances of their own.
type Config struct {
	Instance     uint64        // this process's random ID, part of each version that it issues
	Key          merkle.Key    // of the digests, the same in the whole cluster
	MaxValueSize int           // bytes, default 1 MiB, at most 1 GiB
	MaxClockSkew time.Duration // how far ahead of the wall clock a version may be, in whole ms, default 500 ms

	// MaxMemory is what Used may come to, in bytes; 0: no limit. Puts that make the
	// store grow are refused above 85 % of it, other members' entries above all of
	// it; deletes and what does not grow never are.
	MaxMemory int64
	// Beside, if set, is what counts too and is not the engine's: it is asked with
	// each write that grows, and must be quick.
	Beside func() int64
}

// Engine holds a node's entries. See the package comment.
type Engine struct {
	// Fixed after construction.
	instance uint64
	maxValue int
	grace    int64 // how long after its expiry an entry keeps its value, ms
	clock    *Clock
	slab     records
	sequence sequence
	know     knowledge
	budget   budget
	parking  parking
	gone     goneList
	indexNow atomic.Bool // nobody may defer the ordered index any more

	// keyed is replaced by a rekey, which holds all of every shard's locks. So
	// whoever holds one of them knows that positions and digests do not change.
	keyed   atomic.Pointer[keyed]
	rekeyMu sync.Mutex

	// Lock order: rekeyMu, every w by its shard's number, every mu likewise, then one
	// order, the sequence or the knowledge. The
	// arrays are part of the engine so that a goroutine at work in a shard keeps
	// the engine alive, and with it the slab.
	shards [shardCount]shard
	orders [orderCount]order

	// cut is where expiry stands in the digests, cutting says that it is about
	// to move on (expiry.go). Written under sweepMu, and with every w held when
	// a move is complete.
	sweepMu sync.Mutex
	cut     atomic.Int64
	cutting atomic.Bool

	// Atomic.
	watched   atomic.Bool // somebody watches; written with every w held, or to false under know.mu
	sweepFrom atomic.Uint64
	refused   atomic.Uint64
	conflicts atomic.Uint64
	// mismatches counts records whose bytes are not what was written.
	mismatches atomic.Uint64
}

// keyed is the digest key and what follows from it.
type keyed struct {
	key    merkle.Key
	hasher merkle.Hasher
}

// New returns an empty engine. Its memory outside of Go's heap goes back when
// the engine is not reachable any more.
func New(c Config) *Engine {
	if c.MaxValueSize <= 0 {
		c.MaxValueSize = DefaultMaxValueSize
	}
	if c.MaxClockSkew <= 0 {
		c.MaxClockSkew = DefaultMaxClockSkew
	}
	e := &Engine{
		instance: c.Instance,
		maxValue: min(c.MaxValueSize, mostValueSize),
		grace:    2 * c.MaxClockSkew.Milliseconds(),
		clock:    NewClock(c.MaxClockSkew),
		slab:     records{slab.New()},
	}
	e.budget.limit, e.budget.beside = max(c.MaxMemory, 0), c.Beside
	e.know.Seen.Base.Raise(causal.Dot{Time: math.MaxUint64, Instance: c.Instance})
	e.keyed.Store(&keyed{key: c.Key, hasher: merkle.NewHasher(c.Key)})
	for i := range e.shards {
		e.shards[i].nextCut.Store(neverDue)
	}
	keyOf := func(ref uint32) []byte { return e.slab.at(slab.Ref(ref)).key() }
	for i := range e.orders {
		e.orders[i].tree = reftree.New(keyOf)
		e.orders[i].settle(&e.budget)
	}
	runtime.AddCleanup(e, (*slab.Allocator).Close, e.slab.Allocator)
	return e
}

// lock takes the w of the shard of a key.
func (e *Engine) lock(key string) (s *shard, k *keyed, pos uint64) {
	for {
		k = e.keyed.Load()
		pos = k.hasher.Position(key)
		s = &e.shards[pos>>(64-shardBits)]
		s.w.Lock()
		if e.keyed.Load() == k {
			return s, k, pos
		}
		s.w.Unlock()
	}
}

// rlock takes the mu of the shard of a key for reading.
func (e *Engine) rlock(key string) (s *shard, pos uint64) {
	for {
		k := e.keyed.Load()
		pos = k.hasher.Position(key)
		s = &e.shards[pos>>(64-shardBits)]
		s.mu.RLock()
		if e.keyed.Load() == k {
			return s, pos
		}
		s.mu.RUnlock()
	}
}

// lockAll takes every shard's w: nothing is written until unlockAll.
func (e *Engine) lockAll() {
	for i := range e.shards {
		e.shards[i].w.Lock()
	}
}

func (e *Engine) unlockAll() {
	for i := range e.shards {
		e.shards[i].w.Unlock()
	}
}

// orderOf is the part of the ordered index that a key belongs to.
func (e *Engine) orderOf(key []byte) *order {
	return &e.orders[xxhash.Sum64(key)%orderCount]
}

// Clock is the engine's hybrid logical clock: what messages carry, and what
// takes in the readings that messages bring.
func (e *Engine) Clock() *Clock { return e.clock }

// Instance is the ID in the versions that this engine issues.
func (e *Engine) Instance() uint64 { return e.instance }

// MaxValueSize is the limit on a value, in bytes.
func (e *Engine) MaxValueSize() int { return e.maxValue }

// Get returns the entry that key has at the time now. The value is appended to
// dst, which may be nil: with room for it, Get allocates nothing. The error is
// ErrNotFound as it stands.
func (e *Engine) Get(now int64, key string, dst []byte) (Entry, error) {
	s, pos := e.rlock(key)
	_, _, r := s.find(e.slab, pos, key)
	if !r.liveAt(now) {
		s.mu.RUnlock()
		return Entry{}, ErrNotFound
	}
	ent := r.entry()
	if dst == nil {
		dst = make([]byte, 0, len(ent.Value))
	}
	ent.Value = append(dst, ent.Value...)[len(dst):]
	s.mu.RUnlock()
	ent.Key = key
	return ent, nil
}

// Head returns what Get returns but for the value, which is nil, and the
// value's length in bytes.
func (e *Engine) Head(now int64, key string) (ent Entry, size int, err error) {
	s, pos := e.rlock(key)
	defer s.mu.RUnlock()
	_, _, r := s.find(e.slab, pos, key)
	if !r.liveAt(now) {
		return Entry{}, 0, ErrNotFound
	}
	ent = r.entry()
	ent.Key, ent.Value = key, nil
	return ent, r.valueLen(), nil
}

// Held returns what the engine holds of a key, live or not: tombstones and what
// has expired are entries too, until they are purged. The value is appended to
// dst as Get does it.
func (e *Engine) Held(key string, dst []byte) (ent Entry, ok bool) {
	s, pos := e.rlock(key)
	defer s.mu.RUnlock()
	_, _, r := s.find(e.slab, pos, key)
	if r == nil {
		return Entry{}, false
	}
	ent = r.entry()
	ent.Key = key
	if ent.Value != nil {
		ent.Value = append(dst, ent.Value...)[len(dst):]
		if ent.Value == nil {
			ent.Value = []byte{}
		}
	}
	return ent, true
}

// PutOptions say when a written entry expires: at most one of ExpiresAt, TTL and
// KeepTTL may be set, none meaning never; and what the write demands.
type PutOptions struct {
	ExpiresAt int64         // ms since 1970, at most MaxExpiry; a time that has passed is a put that no reader sees
	TTL       time.Duration // from now on, above zero; rounded up to a whole ms
	KeepTTL   bool          // as the entry that is replaced, if that is still live
	If        Condition     // of a put: what the key must hold
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

// Put gives key a value, and an expiry or none by o. The engine copies both;
// the entry that it returns, which is to be pushed to the other members, has
// the caller's key and value. An overwrite allocates nothing.
func (e *Engine) Put(now int64, key string, value []byte, o PutOptions) (Entry, error) {
	const op = "put"
	if err := checkKey(key); err != nil {
		return Entry{}, failed(op, key, err)
	}
	if len(value) > e.maxValue {
		return Entry{}, failed(op, key, valueTooLarge(len(value), e.maxValue))
	}
	at, err := o.expiry(now)
	if err != nil {
		return Entry{}, failed(op, key, err)
	}
	if value == nil {
		value = []byte{}
	}
	ent := Entry{Key: key, Value: value, Kind: KindPut, ExpiresAt: at, Checksum: Checksum(value)}
	s, k, pos := e.lock(key)
	defer s.w.Unlock()
	p := e.placeOf(s, k, pos, key)
	if err := p.demand(now, key, o.If); err != nil {
		return Entry{}, failed(op, key, err)
	}
	if o.KeepTTL && p.old.liveAt(now) {
		ent.ExpiresAt = p.old.expiresAt()
	}
	if err := e.commitLocked(op, &p, &ent, ceilingPut, now); err != nil {
		return Entry{}, err
	}
	return ent, nil
}

// Delete writes a tombstone over key, and reports whether it had a value. It
// does so for a key that this node never heard of too: its put may be on the
// way, and the delete came last.
func (e *Engine) Delete(now int64, key string) (ent Entry, existed bool, err error) {
	return e.DeleteIf(now, key, Condition{})
}

// DeleteIf is Delete where a condition holds.
func (e *Engine) DeleteIf(now int64, key string, c Condition) (ent Entry, existed bool, err error) {
	const op = "delete"
	if err := checkKey(key); err != nil {
		return Entry{}, false, failed(op, key, err)
	}
	ent = Entry{Key: key, Kind: KindTombstone}
	s, k, pos := e.lock(key)
	defer s.w.Unlock()
	p := e.placeOf(s, k, pos, key)
	if err := p.demand(now, key, c); err != nil {
		return Entry{}, false, failed(op, key, err)
	}
	existed = p.old.liveAt(now)
	if err := e.commitLocked(op, &p, &ent, ceilingNone, now); err != nil {
		return Entry{}, false, err
	}
	return ent, existed, nil
}

// Touch gives a live key the expiry that o says, which must say one, and keeps
// its value. It is a write: a later version.
func (e *Engine) Touch(now int64, key string, o PutOptions) (Entry, error) {
	const op = "touch"
	at, err := o.expiry(now)
	if err == nil && at == 0 {
		err = fmt.Errorf("a TTL or an expiry is needed: %w", ErrInvalidTTL)
	}
	if err != nil {
		return Entry{}, failed(op, key, err)
	}
	return e.expireAt(op, now, key, at)
}

// Persist takes the expiry off a live key, and keeps its value. It is a write:
// a later version.
func (e *Engine) Persist(now int64, key string) (Entry, error) {
	return e.expireAt("persist", now, key, 0)
}

func (e *Engine) expireAt(op string, now int64, key string, at int64) (Entry, error) {
	if err := checkKey(key); err != nil {
		return Entry{}, failed(op, key, err)
	}
	s, k, pos := e.lock(key)
	defer s.w.Unlock()
	p := e.placeOf(s, k, pos, key)
	if !p.old.liveAt(now) {
		return Entry{}, failed(op, key, ErrNotFound)
	}
	ent := p.old.entry()
	ent.Key, ent.Value = key, cloneValue(ent.Value)
	ent.ExpiresAt = at
	if err := e.commitLocked(op, &p, &ent, ceilingEntry, now); err != nil {
		return Entry{}, err
	}
	return ent, nil
}

// commitLocked gives a local write its version and stores it. Both happen
// under one hold of the shard's lock: a version that is out is held. p's shard
// must be locked.
func (e *Engine) commitLocked(op string, p *place, ent *Entry, c ceiling, now int64) error {
	// The room comes first: a version that is out is never taken back, or the
	// others would wait for the write.
	if err := e.reserveLocked(p, ent, c); err != nil {
		return failed(op, ent.Key, err)
	}
	t, prev, err := e.sequence.next(e.clock, now)
	if err != nil {
		e.unreserveLocked(p)
		return failed(op, ent.Key, err)
	}
	ent.Version, ent.Over, ent.Prev = Version{Time: t, Instance: e.instance}, Version{}, prev
	if p.old != nil {
		ent.Over = e.over(p.old.version())
	}
	e.storeLocked(p, ent)
	return nil
}

// Apply merges an entry that was written elsewhere and of which nothing else is
// known. Of it and what the key holds the greater stays (Compare),
// whatever the order of arrival: Applied when that is the arriving one, Ignored
// when not. Refused, and counted, when it cannot be taken in here and now, which
// is no fault of the order either, as a later round brings it again: its version
// is more than a minute ahead of now, its value is over this node's limit, it lost
// its value to an expiry that by now has not come yet, or there is no memory for it
// (Config.MaxMemory). Parked when its version is ahead by less, but by more than
// the allowed skew: Unpark merges it when it is due.
//
// The engine copies what it keeps. lag is how long ago, in ms, an applied
// entry's version was issued.
func (e *Engine) Apply(now int64, ent *Entry) (outcome merkle.Outcome, lag int64) {
	return e.apply(now, ent, nil, false)
}

// apply merges an entry; if unseen is set, only one that has not been seen by then.
func (e *Engine) apply(now int64, ent *Entry, theirs *causal.Seen, unseen bool) (outcome merkle.Outcome, lag int64) {
	if !e.acceptable(now, ent) {
		return e.turnAway(now, ent, false, nil), 0
	}
	s, k, pos := e.lock(ent.Key)
	defer s.w.Unlock()
	if unseen && e.covers(ent.Version) {
		return merkle.Ignored, 0
	}
	p := e.placeOf(s, k, pos, ent.Key)
	if p.old != nil && theirs != nil && p.old.stage() == stageDead {
		if v := p.old.version(); v != ent.Version && theirs.Covers(dot(v)) {
			e.letGoLocked(&p)
			p = e.placeOf(s, k, pos, ent.Key)
		}
	}
	wins := e.supersedes(&p, ent, now)
	if wins && e.reserveLocked(&p, ent, ceilingOf(e.stageOf(ent))) != nil {
		return merkle.Refused, 0
	}
	e.mergeLocked(&p, ent, wins)
	if !wins {
		return merkle.Ignored, 0
	}
	return merkle.Applied, max(now-ent.Version.Wall(), 0)
}

// mergeLocked stores an entry that wins, for which room is reserved, and hides the
// one that does not stay: that it came does not mean that it has been seen.
func (e *Engine) mergeLocked(p *place, ent *Entry, wins bool) {
	if p.old != nil && p.old.version() != ent.Version {
		loser := ent.Version
		if wins {
			loser = p.old.version()
		}
		e.hide(loser)
	}
	if wins {
		e.storeLocked(p, ent)
	}
}

// Merge is Apply for what a round brings from a peer that had seen theirs, nil for
// nothing, before it listed anything. An entry that has been seen before, held or
// not, is ignored. Where this engine holds a dead entry of the key that the peer
// had seen, and has not any more, that is let go first, as Source.Surplus does with
// live ones.
func (e *Engine) Merge(now int64, ent *Entry, theirs *causal.Seen) (outcome merkle.Outcome, lag int64) {
	if e.covers(ent.Version) {
		return merkle.Ignored, 0
	}
	return e.apply(now, ent, theirs, true)
}

// Push merges an entry that the member which wrote it has pushed. hidden is what
// came with it (see Hidden), ent.Over and ent.Prev say what it builds upon.
// Beside what Apply does, the entry has been seen afterwards, and it is ignored if
// it had been before. If what it builds upon has not been seen, it is Held, with
// nothing changed, for a caller that is patient: to be pushed again soon. Otherwise
// it is merged as a round would, and Unseen: a round has to bring the rest.
func (e *Engine) Push(now int64, ent *Entry, hidden causal.Vector, patient bool) (outcome merkle.Outcome, lag int64) {
	if !e.acceptable(now, ent) {
		return e.turnAway(now, ent, true, hidden), 0
	}
	s, k, pos := e.lock(ent.Key)
	defer s.w.Unlock()
	p := e.placeOf(s, k, pos, ent.Key)
	wins := e.supersedes(&p, ent, now)
	if wins && e.reserveLocked(&p, ent, ceilingOf(e.stageOf(ent))) != nil {
		return merkle.Refused, 0
	}
	push := causal.Push{Write: dot(ent.Version), Over: dot(ent.Over), Prev: ent.Prev, Hidden: hidden}
	var held causal.Dot
	if p.old != nil {
		held = dot(p.old.version())
	}
	e.know.mu.Lock()
	verdict := e.know.Judge(&push, held)
	// Without room for another write that came early, waiting is of no use.
	patient = patient && e.know.Seen.HasRoom(push.Write, push.Prev)
	e.know.mu.Unlock()
	switch {
	case verdict == causal.Held && !patient:
		e.mergeLocked(&p, ent, wins)
		return merkle.Unseen, max(now-ent.Version.Wall(), 0)
	case verdict == causal.Replaces && wins, verdict == causal.Ignored && wins && held == push.Write:
		e.storeLocked(&p, ent)
		return merkle.Applied, max(now-ent.Version.Wall(), 0)
	case verdict != causal.Held && wins && (plantedBugMerge || plantedBugDelete):
		e.storeLocked(&p, ent)
		return merkle.Applied, 0
	}
	e.unreserveLocked(&p)
	if verdict == causal.Held {
		return merkle.Held, 0
	}
	return merkle.Ignored, 0
}

// supersedes reports whether an arriving entry takes the place of what its key
// holds. The shard's w must be held.
func (e *Engine) supersedes(p *place, ent *Entry, now int64) bool {
	if p.old == nil {
		return true
	}
	held := p.old.entry()
	if ent.Version == held.Version && Compare(ent, &held) != 0 {
		e.conflicts.Add(1)
	}
	return replaces(ent, &held, p.old.liveAt(now))
}

// turnAway is what becomes of an entry that is not acceptable: it is parked, or else
// refused and counted.
func (e *Engine) turnAway(now int64, ent *Entry, pushed bool, hidden causal.Vector) merkle.Outcome {
	if e.valid(now, ent) && e.park(now, ent, pushed, hidden) {
		return merkle.Parked
	}
	e.refused.Add(1)
	return merkle.Refused
}

func (e *Engine) acceptable(now int64, ent *Entry) bool {
	// The clock is above every version held, so a local write beats them all.
	return e.valid(now, ent) && e.clock.Observe(now, ent.Version.Time) == nil
}

// valid is acceptable but for the version.
func (e *Engine) valid(now int64, ent *Entry) bool {
	// A peer whose clock is off may have reaped what is still live.
	return ent.validate() == nil && len(ent.Value) <= e.maxValue && (!ent.reaped || ent.ExpiresAt <= now)
}

// CheckKey says why no entry can have the key: ErrKeyEmpty or ErrKeyTooLarge.
func CheckKey(key string) error { return checkKey(key) }

func checkKey(key string) error {
	switch {
	case key == "":
		return ErrKeyEmpty
	case len(key) > MaxKeySize:
		return keyTooLarge(len(key))
	}
	return nil
}
