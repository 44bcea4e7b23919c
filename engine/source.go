package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// Source is the engine as a Merkle round sees it. Safe for concurrent use by
// several rounds.
type Source struct {
	engine *Engine
	now    func() int64
	theirs *causal.Seen
	spared map[Version]bool

	// Applied, if set before the first round, is called with each entry that
	// a round brought and the engine took, and with its age in ms. No lock is
	// held meanwhile, and the entry is the callee's for the call alone, its key
	// and value included.
	Applied func(ent *Entry, lag int64)
}

var _ merkle.Source = (*Source)(nil)

// Source returns the engine as a round wants it. Rounds are told no wall time,
// so now is asked for it.
func (e *Engine) Source(now func() int64) *Source {
	return &Source{engine: e, now: now}
}

// Of is the source for a round with a peer that has seen what theirs says, at an
// instant before it lists anything. The source does not change theirs and must
// not be used by other rounds. Without Of, a peer has seen nothing.
func (s *Source) Of(theirs *causal.Seen) *Source {
	of := *s
	of.theirs = theirs
	return &of
}

// Spare keeps a live entry that the peer holds as dead, as this engine has refused to
// believe it: the peer does not list it, and yet has not let it go.
func (s *Source) Spare(v Version) {
	if s.spared == nil {
		s.spared = make(map[Version]bool)
	}
	s.spared[v] = true
}

// Key is the key of the engine's digests.
func (s *Source) Key() merkle.Key { return s.engine.Key() }

// Rekey takes over k if it beats the key in use: with rounds under way with
// several peers, a worse key may arrive after a better one.
func (s *Source) Rekey(k merkle.Key) { s.engine.Rekey(k) }

// Root is the digest and the count of the live entries, as of the cut.
func (s *Source) Root() (merkle.Digest, uint64) { return s.engine.Root() }

// Children sets out to the sixteen parts of r.
func (s *Source) Children(r merkle.Range, out *[merkle.Fanout]merkle.Node) {
	*out = [merkle.Fanout]merkle.Node{}
	e := s.engine
	switch {
	case r.Depth >= merkle.MaxDepth:
	case r.Depth < merkle.StripeDepth:
		for i := shardOf(r.First()); i <= shardOf(r.Last()); i++ {
			shard := &e.shards[i]
			shard.w.Lock()
			out[r.Index(firstOf(i))].Add(shard.stripe.Top())
			shard.w.Unlock()
		}
	default:
		shard := &e.shards[shardOf(r.First())]
		shard.w.Lock()
		defer shard.w.Unlock()
		if shard.stripe.Parts(r, out) {
			return
		}
		h := e.Hasher()
		var room [gatherRoom]gathered
		for _, g := range e.gather(shard, r.First(), r.Last(), room[:0]) {
			if pos := h.Position(g.rec.keyView()); r.Contains(pos) {
				out[r.Index(pos)].Add(merkle.Node{Digest: g.digest, Count: 1})
			}
		}
	}
}

// gathered is a live record whose bytes have been looked at.
type gathered struct {
	rec    record
	digest merkle.Digest
}

// gatherRoom is how many are gathered without an allocation, as a rule.
const gatherRoom = 24

// gather appends the live records that may be at a position from first to last.
// That is a loop of its own because each record is somewhere in memory: so the
// processor waits for several of them at the price of one. The shard's w must be
// held.
func (e *Engine) gather(s *shard, first, last uint64, dst []gathered) []gathered {
	s.between(first, last, func(ref slab.Ref) {
		if rec := e.slab.at(ref); rec.stage() == stageLive {
			dst = append(dst, gathered{rec, rec.digest()})
		}
	})
	return dst
}

// Items appends the items of r from position from on, ascending, to dst: limit
// of them, or more when the last ones share a position, so that the next call
// may begin behind it.
func (s *Source) Items(r merkle.Range, from uint64, dst []merkle.Item, limit int) []merkle.Item {
	if first := r.First(); from < first {
		from = first
	}
	last := r.Last()
	had := len(dst)
	for from <= last && len(dst)-had < limit {
		end := min(last, lastOf(shardOf(from)))
		var more bool
		from, dst, more = s.window(from, end, dst, had+limit)
		if !more {
			break
		}
	}
	return dst
}

// window appends the items from position from to last, which are of one shard,
// until dst holds full of them, those of one position together. It returns
// where to go on, if that is possible.
func (s *Source) window(from, last uint64, dst []merkle.Item, full int) (next uint64, _ []merkle.Item, more bool) {
	e := s.engine
	shard := &e.shards[shardOf(from)]
	shard.w.Lock()
	defer shard.w.Unlock()
	h := e.Hasher()
	var room [gatherRoom]gathered
	for from <= last && len(dst) < full {
		// A part of the positions that holds about as many items as are
		// wanted, and a whole number of tags.
		end := last
		if used := uint64(shard.table.used); used > 0 {
			step := uint64(full-len(dst)+minWindow) * (math.MaxUint64 >> shardBits / used)
			if up := from + step | tagMask; up > from && up < last {
				end = up
			}
		}
		at := len(dst)
		for _, g := range e.gather(shard, from, end, room[:0]) {
			pos := h.Position(g.rec.keyView())
			if pos < from || pos > end {
				continue
			}
			v := g.rec.version()
			dst = append(dst, merkle.Item{Pos: pos, Digest: g.digest, Time: v.Time, Instance: v.Instance})
		}
		found := dst[at:]
		slices.SortFunc(found, func(a, b merkle.Item) int {
			return cmp.Or(cmp.Compare(a.Pos, b.Pos), cmp.Compare(a.Digest.Hi, b.Digest.Hi), cmp.Compare(a.Digest.Lo, b.Digest.Lo))
		})
		if len(dst) > full {
			cut := full
			for cut < len(dst) && dst[cut].Pos == dst[cut-1].Pos {
				cut++
			}
			dst = dst[:cut]
		}
		if end == math.MaxUint64 {
			return 0, dst, false
		}
		from = end + 1
	}
	return from, dst, true
}

const (
	// minWindow is how many more items than wanted a window is made for, so
	// that one seldom needs a second one.
	minWindow = 8
	// tagMask are the bits of a position that its tag has not.
	tagMask = uint64(math.MaxUint64) >> (shardBits + tagBits)
)

func shardOf(pos uint64) int { return int(pos >> (64 - shardBits)) }
func firstOf(i int) uint64   { return uint64(i) << (64 - shardBits) }
func lastOf(i int) uint64    { return firstOf(i) | math.MaxUint64>>shardBits }

// AppendEntry appends the wire form of the entry that stands at an item's
// position by now: it may have been overwritten since the item was listed. What
// a write replaced does not travel in rounds.
func (s *Source) AppendEntry(dst []byte, it merkle.Item) []byte {
	e := s.engine
	shard := &e.shards[shardOf(it.Pos)]
	shard.w.Lock()
	defer shard.w.Unlock()
	h := e.Hasher()
	var found record
	shard.between(it.Pos, it.Pos, func(ref slab.Ref) {
		r := e.slab.at(ref)
		if h.Position(r.keyView()) != it.Pos {
			return
		}
		// Of several keys at one position, the entry that was listed.
		if found == nil || r.digest() == it.Digest {
			found = r
		}
	})
	if found == nil {
		return dst // a rekey moved it
	}
	ent := found.entry()
	ent.Key = found.keyView()
	if ent.Value != nil && Checksum(ent.Value) != ent.Checksum {
		e.mismatches.Add(1)
		return dst // what has changed in memory must not spread
	}
	return appendEntry(dst, &ent, true)
}

// Surplus reports whether an item that the peer lacks is to be sent to it. If
// not, the peer had seen it and let it go, and so does this engine with LetGo; or it
// has expired, and the peer may hold it as dead. What has overwritten the item
// meanwhile is sent.
func (s *Source) Surplus(it merkle.Item) bool {
	if !s.letGoThere(it) {
		return true
	}
	overwritten := true
	s.withItem(it, func(*place) { overwritten = false })
	return overwritten
}

// LetGo drops an item that is not Surplus. What has overwritten it meanwhile stays.
func (s *Source) LetGo(it merkle.Item) {
	if !s.letGoThere(it) || s.spared[Version{Time: it.Time, Instance: it.Instance}] {
		return
	}
	now := s.now()
	s.withItem(it, func(p *place) {
		if at := p.old.expiresAt(); at != 0 && at <= now {
			return // the peer's cut may be the later one; here the cut comes, too
		}
		s.engine.letGoLocked(p)
	})
}

// mostExpected bounds the room that is made ahead: for so many entries 50 MiB.
const mostExpected = 4 << 20

// Expect makes room in the tables of shards that hold little.
func (s *Source) Expect(entries uint64) {
	each := int(min(entries, mostExpected) / shardCount)
	for i := range s.engine.shards {
		shard := &s.engine.shards[i]
		shard.w.Lock()
		shard.mu.Lock()
		shard.table.expect(each)
		shard.mu.Unlock()
		s.engine.settleLocked(shard)
		shard.w.Unlock()
	}
}

// letGoThere reports whether the peer, which lacks an item, had seen it.
func (s *Source) letGoThere(it merkle.Item) bool {
	return s.theirs != nil && s.theirs.Covers(causal.Dot{Time: it.Time, Instance: it.Instance})
}

// withItem calls do with an item's place, if it is still there, its shard's w held.
func (s *Source) withItem(it merkle.Item, do func(*place)) {
	e, v := s.engine, Version{Time: it.Time, Instance: it.Instance}
	shard := &e.shards[shardOf(it.Pos)]
	shard.w.Lock()
	defer shard.w.Unlock()
	k := e.keyed.Load()
	var is record
	shard.between(it.Pos, it.Pos, func(ref slab.Ref) {
		r := e.slab.at(ref)
		if r.version() == v && r.digest() == it.Digest && k.hasher.Position(r.keyView()) == it.Pos {
			is = r
		}
	})
	if is != nil {
		p := e.placeOf(shard, k, it.Pos, string(is.key()))
		do(&p)
	}
}

// Apply merges one entry in its wire form, unless it has been seen before, held
// or not. One that this node cannot take, its value being over the limit for
// instance, is Refused; the error is for bytes that are no entry.
func (s *Source) Apply(entry []byte) (merkle.Outcome, error) {
	ent := arriving.Get().(*Entry)
	defer func() {
		*ent = Entry{}
		arriving.Put(ent)
	}()
	if err := parseEntry(ent, entry, 0, true); err != nil {
		return merkle.Refused, fmt.Errorf("parse entry: %w", err)
	}
	outcome, lag := s.engine.Merge(s.now(), ent, s.theirs)
	if outcome == merkle.Applied && s.Applied != nil {
		s.Applied(ent, lag)
	}
	return outcome, nil
}

// arriving are entries to parse into: Apply allocates nothing.
var arriving = sync.Pool{New: func() any { return new(Entry) }}

// Clock is the clock's highest reading.
func (s *Source) Clock() uint64 { return s.engine.clock.Read() }

// Observe takes in a peer's reading. One that is too far ahead is counted by
// the clock and otherwise left alone: versions are judged, never peers.
func (s *Source) Observe(reading uint64) {
	_ = s.engine.clock.Observe(s.now(), reading)
}
