package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/slab"
	"github.com/tochemey/gokv/merkle"
)

// A checker that finds nothing proves nothing: each way to damage an engine is
// reported.
func TestCheckFindsEachKindOfDamage(t *testing.T) {
	build := func() (*Engine, *damage) {
		// All keys of a test fall into one shard.
		e := New(Config{Instance: 1, Key: testKey})
		for i, key := range keysOfOneShard(8) {
			mustPut(t, e, wall, key, "value", PutOptions{TTL: time.Duration(i+1) * time.Second})
		}
		mustPut(t, e, wall, "for ever", "value", PutOptions{})
		_, _, err := e.Delete(wall, "deleted")
		require.NoError(t, err)
		require.NoError(t, e.Check())
		key := keysOfOneShard(8)[3]
		d := &damage{e: e, s: e.shardOfKey(key), key: key}
		d.slot, d.ref, d.r = d.s.find(e.slab, e.Hasher().Position(key), key)
		return e, d
	}
	for name, do := range map[string]func(d *damage){
		"a key that is not in the index":    func(d *damage) { d.e.unlist(d.r.key()) },
		"a key too many in the index":       func(d *damage) { d.e.list(d.e.slab.store(remotePut("zz", "", wall, 0), stageLive, merkle.Digest{})) },
		"a tombstone in the index":          func(d *damage) { d.e.list(d.refOf("deleted")) },
		"another record for a key":          func(d *damage) { d.s.table.point(d.slot, d.e.slab.store(d.entry(), stageLive, d.r.digest())) },
		"a record that nothing leads to":    func(d *damage) { d.e.slab.store(d.entry(), stageLive, d.r.digest()) },
		"a record under another tag":        func(d *damage) { d.s.table.slots[d.slot] ^= 1 << 32 },
		"a record in the wrong shard":       func(d *damage) { d.toOtherShard() },
		"a record that is gone":             func(d *damage) { d.s.table.remove(d.slot) },
		"a count of records":                func(d *damage) { d.s.table.used++ },
		"a value that changed":              func(d *damage) { d.r.value()[0]++ },
		"an expiry that changed":            func(d *damage) { d.r[recKey+d.r.keyLen()]++ },
		"a version that changed":            func(d *damage) { d.r[recInstance]++ },
		"a version above the clock":         func(d *damage) { d.e.clock.reading.Store(1) },
		"a stage that does not fit":         func(d *damage) { d.r.setStage(stageDead) },
		"a list of dead that forgot one":    func(d *damage) { d.e.shardOfKey("deleted").dead = deadList{} },
		"an older one among the dead":       func(d *damage) { d.e.shardOfKey("deleted").dead.oldest++ },
		"a tombstone at the wrong place":    func(d *damage) { d.e.slab.at(d.refOf("deleted")).setPlace(1) },
		"an entry that nobody would write":  func(d *damage) { d.r[0] |= flagKind },
		"a digest that does not follow":     func(d *damage) { d.r[recDigest]++ },
		"a heap that forgot an entry":       func(d *damage) { d.s.due.refs = d.s.due.refs[:len(d.s.due.refs)-1] },
		"a heap out of order":               func(d *damage) { d.outOfOrder() },
		"a place in the heap that is wrong": func(d *damage) { d.r.setPlace(d.r.place() + 1) },
		"a sweep at the wrong time":         func(d *damage) { d.s.nextCut.Add(1) },
		"bytes that were not counted":       func(d *damage) { d.s.bytes++ },
		"an index that was not counted":     func(d *damage) { d.s.counted-- },
		"a tree that was not counted":       func(d *damage) { d.e.orders[0].counted++ },
		"a live record that is not counted": func(d *damage) { d.s.live-- },
		"digests with another entry":        func(d *damage) { d.s.stripe.Add(1, merkle.Digest{Lo: 1}) },
		"digests of other entries":          func(d *damage) { d.s.stripe.Replace(1, merkle.Digest{}, merkle.Digest{Lo: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			e, d := build()
			do(d)
			require.ErrorContains(t, e.Check(), "check: ")
		})
	}
}

// keysOfOneShard are keys that fall into one shard by testKey.
func keysOfOneShard(n int) (keys []string) {
	h := merkle.NewHasher(testKey)
	for i := 0; len(keys) < n; i++ {
		if key := string(rune('a'+i%26)) + string(rune('0'+i/26)); shardOf(h.Position(key)) == 7 {
			keys = append(keys, key)
		}
	}
	return keys
}

// damage is an engine with a record to damage.
type damage struct {
	e    *Engine
	s    *shard
	key  string
	slot int
	ref  slab.Ref
	r    record
}

func (d *damage) refOf(key string) slab.Ref {
	_, ref, _ := d.e.shardOfKey(key).find(d.e.slab, d.e.Hasher().Position(key), key)
	return ref
}

func (d *damage) entry() *Entry {
	ent := d.r.entry()
	ent.Key = d.key
	return &ent
}

func (d *damage) toOtherShard() {
	d.e.shards[200].table.add(d.s.table.slots[d.slot].tag(), d.ref)
	d.s.table.remove(d.slot)
}

// outOfOrder lets the top of the heap expire later than what lies below it.
func (d *damage) outOfOrder() {
	refs := d.s.due.refs
	last := len(refs) - 1
	refs[0], refs[last] = refs[last], refs[0]
	d.e.slab.at(refs[0]).setPlace(0)
	d.e.slab.at(refs[last]).setPlace(last)
	d.s.nextCut.Store(d.s.due.next())
}
