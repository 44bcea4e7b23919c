package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/merkle"
	"pgregory.net/rapid"
)

// model is the engine as one would write it for one goroutine and no speed:
// the greatest entry of each key, where expiry stands, and one clock reading.
type model struct {
	key     merkle.Key
	held    map[string]Entry
	cut     int64
	reading uint64
	last    uint64 // of the last local write
	refused uint64
	parked  map[Version]Entry
}

const modelSkew = 500

func (m *model) live(now int64, key string) bool {
	e, held := m.held[key]
	return held && e.LiveAt(now)
}

func (m *model) store(e Entry) { m.held[e.Key] = m.asOfCut(e) }

// asOfCut is an entry without its value if the cut has passed its expiry.
func (m *model) asOfCut(e Entry) Entry {
	if e.ExpiresAt != 0 && cutOf(e.ExpiresAt) <= m.cut {
		e.Value, e.reaped = nil, true
	}
	return e
}

// write is a local write; it reports whether the clock allows one.
func (m *model) write(now int64, e Entry) (Entry, bool) {
	next := max(m.reading+1, Reading(now, 0))
	if WallOf(next) > now+modelSkew {
		return Entry{}, false
	}
	m.reading = next
	e.Version, e.Over, e.Prev = Version{Time: next, Instance: 1}, Version{}, m.last
	if old := m.held[e.Key].Version; old.Instance == 1 { // nobody else's has been seen
		e.Over = old
	}
	m.last = next
	m.store(e)
	return e, true
}

func (m *model) apply(now int64, e Entry) merkle.Outcome {
	if valid := !e.reaped || e.ExpiresAt <= now; !valid || e.Version.Wall() > now+modelSkew {
		if valid && e.Version.Wall() <= now+60_000 {
			if _, waits := m.parked[e.Version]; !waits {
				m.parked[e.Version] = e
			}
			return merkle.Parked
		}
		m.refused++
		return merkle.Refused
	}
	m.reading = max(m.reading, e.Version.Time)
	if held, ok := m.held[e.Key]; ok && Compare(&e, &held) <= 0 {
		return merkle.Ignored
	}
	m.store(e)
	return merkle.Applied
}

func (m *model) unpark(now int64) (due int) {
	for _, v := range slices.SortedFunc(maps.Keys(m.parked), Version.Compare) {
		if v.Wall() > now+modelSkew {
			break
		}
		due++
		if v.Instance != 1 { // what it wrote itself it has seen
			m.apply(now, m.parked[v])
		}
		delete(m.parked, v)
	}
	return due
}

func (m *model) sweep(now int64) {
	m.cut = max(m.cut, (now-2*modelSkew)/1000*1000)
	for key, e := range m.held {
		m.held[key] = m.asOfCut(e)
	}
}

func (m *model) stats() Stats {
	var st Stats
	for key, e := range m.held {
		if e.counts() {
			st.Entries++
		} else {
			st.Tombstones++
		}
		st.EntryBytes += uint64(len(key) + len(e.Value))
	}
	st.Refused, st.Parked = m.refused, uint64(len(m.parked))
	return st
}

// counts reports whether the digests cover an entry that is held.
func (e *Entry) counts() bool { return e.Kind == KindPut && !e.reaped }

// root is the digest by its definition: the sum over the entries.
func (m *model) root() merkle.Digest {
	var sum merkle.Digest
	h := merkle.NewHasher(m.key)
	for key, e := range m.held {
		if e.counts() {
			fixed := e.digestFields()
			sum = sum.Add(h.Entry(key, &fixed))
		}
	}
	return sum
}

func drawOptions(t *rapid.T, now int64) PutOptions {
	switch rapid.IntRange(0, 4).Draw(t, "expiry") {
	case 0:
		return PutOptions{TTL: time.Duration(rapid.Int64Range(1, 3000).Draw(t, "ttl")) * time.Millisecond}
	case 1:
		return PutOptions{ExpiresAt: now + rapid.Int64Range(-100, 3000).Draw(t, "expires in")}
	case 2:
		return PutOptions{KeepTTL: true}
	}
	return PutOptions{}
}

func (m *model) expiryOf(o PutOptions, now int64, key string) int64 {
	switch {
	case o.KeepTTL && m.live(now, key):
		return m.held[key].ExpiresAt
	case o.TTL > 0:
		return now + o.TTL.Milliseconds()
	}
	return o.ExpiresAt
}

// drawArrival draws an entry from elsewhere, near the present, often tied with
// another one, sometimes too far ahead.
func drawArrival(t *rapid.T, key string, now int64) Entry {
	e := drawEntry(t, key, "arriving")
	e.Version.Time = Reading(now+rapid.SampledFrom([]int64{-1000, -1, 0, 1, 500, 501, 2000, 60_000, 60_001}).Draw(t, "ahead"), 0)
	if e.ExpiresAt != 0 {
		e.ExpiresAt = now + rapid.Int64Range(-2000, 2000).Draw(t, "expires in")
		if rapid.Bool().Draw(t, "reaped") {
			e.Value, e.reaped = nil, true
		}
	}
	return *e
}

// withoutOver is what a read returns of an entry that was written: what it builds
// upon is for pushes alone.
func withoutOver(e Entry) Entry {
	e.Over, e.Prev = Version{}, 0
	return e
}

// held is what an engine holds of a key, live or not.
func (e *Engine) held(key string) Entry {
	ent, _ := e.Held(key, nil)
	return ent
}

func TestEngineIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{key: testKey, held: map[string]Entry{}, parked: map[Version]Entry{}}
		e := New(Config{Instance: 1, Key: testKey})
		now := wall
		keys := []string{"a", "a/b", "a/c", "b", "\xff"}
		drawKey := func(t *rapid.T) string { return rapid.SampledFrom(keys).Draw(t, "key") }
		written := func(t *rapid.T, want Entry, allowed bool, got Entry, err error) {
			if !allowed {
				require.ErrorIs(t, err, ErrClockAhead)
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				key, o := drawKey(t), drawOptions(t, now)
				value := []byte(rapid.SampledFrom([]string{"", "x", "yy"}).Draw(t, "value"))
				want, allowed := m.write(now, Entry{Key: key, Value: value, Kind: KindPut, Checksum: Checksum(value), ExpiresAt: m.expiryOf(o, now, key)})
				got, err := e.Put(now, key, value, o)
				written(t, want, allowed, got, err)
			},
			"delete": func(t *rapid.T) {
				key := drawKey(t)
				wasLive := m.live(now, key)
				want, allowed := m.write(now, Entry{Key: key, Kind: KindTombstone})
				got, existed, err := e.Delete(now, key)
				written(t, want, allowed, got, err)
				require.Equal(t, wasLive && allowed, existed)
			},
			"touch or persist": func(t *rapid.T) {
				key, o := drawKey(t), drawOptions(t, now)
				change := func() (Entry, error) { return e.Touch(now, key, o) }
				if o.KeepTTL || o == (PutOptions{}) {
					o = PutOptions{}
					change = func() (Entry, error) { return e.Persist(now, key) }
				}
				if !m.live(now, key) {
					_, err := change()
					require.ErrorIs(t, err, ErrNotFound)
					return
				}
				want := m.held[key]
				want.ExpiresAt = m.expiryOf(o, now, key)
				want, allowed := m.write(now, want)
				got, err := change()
				written(t, want, allowed, got, err)
			},
			"apply": func(t *rapid.T) {
				ent := drawArrival(t, drawKey(t), now)
				got, _ := e.Apply(now, &ent)
				require.Equal(t, m.apply(now, ent), got)
			},
			"apply what is held again": func(t *rapid.T) {
				if len(m.held) == 0 {
					t.Skip("nothing is held")
				}
				ent := m.held[rapid.SampledFrom(slices.Sorted(maps.Keys(m.held))).Draw(t, "held")]
				got, _ := e.Apply(now, &ent)
				require.Equal(t, m.apply(now, ent), got)
			},
			"merge what is due": func(*rapid.T) {
				require.Equal(t, m.unpark(now), e.Unpark(now, nil))
			},
			"let time pass": func(t *rapid.T) {
				now += rapid.SampledFrom([]int64{1, 30, 500, 1000, 2500}).Draw(t, "by")
			},
			"set the clock back": func(t *rapid.T) {
				now -= rapid.SampledFrom([]int64{1, 400, 2000}).Draw(t, "by")
			},
			"sweep": func(t *rapid.T) {
				m.sweep(now)
				budget := rapid.IntRange(1, 5).Draw(t, "budget")
				for e.Sweep(now, budget) == budget {
					continue
				}
				require.Equal(t, m.cut, e.Summary().Cut)
			},
			"rekey": func(t *rapid.T) {
				k := merkle.Key{Created: rapid.Uint64Range(0, 1000).Draw(t, "created"), Secret: [16]byte{rapid.Byte().Draw(t, "secret")}}
				if k.Beats(m.key) {
					m.key = k
				}
				e.Rekey(k)
			},
			"": func(t *rapid.T) {
				require.Equal(t, m.reading, e.Clock().Read())
				require.Equal(t, m.key, e.Key())
				want := []Entry{}
				for _, key := range keys {
					got, err := e.Get(now, key, nil)
					if !m.live(now, key) {
						require.ErrorIs(t, err, ErrNotFound, fmt.Sprintf("%q", key))
						continue
					}
					require.NoError(t, err)
					require.Equal(t, withoutOver(m.held[key]), got)
					want = append(want, withoutOver(m.held[key]))
				}
				page, more := e.List(now, ListOptions{})
				require.False(t, more)
				require.Len(t, page, len(want))
				for i := range want {
					require.Equal(t, want[i], page[i])
				}
				root, count := e.Root()
				require.Equal(t, m.root(), root)
				st := e.Stats()
				require.Equal(t, st.Entries, count)
				st.Conflicts, st.ClockReadings = 0, 0
				require.Equal(t, m.stats(), st)
				require.NoError(t, e.Check())
			},
		})
		require.Zero(t, e.Sweep(math.MinInt64, math.MaxInt))
	})
}

// Entries arrive in any order, any number of times, with sweeps and rekeys in
// between: all engines end with one digest, and each key with the greatest of
// its entries.
func TestTheOrderOfArrivalDoesNotShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := wall
		greatest := map[string]*Entry{}
		var entries []*Entry
		for range rapid.IntRange(1, 40).Draw(t, "entries") {
			key := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "key")
			ent := drawEntry(t, key, "entry")
			entries = append(entries, ent)
			if greatest[key] == nil || Compare(ent, greatest[key]) > 0 {
				greatest[key] = ent
			}
		}
		better := merkle.Key{Created: 1, Secret: [16]byte{5}}
		var first *Engine
		for range 3 {
			e := New(Config{Instance: 1, Key: testKey})
			order := rapid.Permutation(entries).Draw(t, "order")
			rekeyAt := rapid.IntRange(0, len(order)-1).Draw(t, "rekey at")
			for i, ent := range order {
				e.Apply(now, ent)
				if i == rekeyAt {
					e.Rekey(better)
				}
				if rapid.IntRange(0, 3).Draw(t, "again") == 0 {
					e.Apply(now, order[rapid.IntRange(0, i).Draw(t, "which")])
					e.Sweep(now, 1)
				}
			}
			e.Sweep(now, len(entries)+1)
			require.NoError(t, e.Check())
			for key, ent := range greatest {
				got := e.held(key)
				require.Zero(t, Compare(ent, &got))
			}
			if first == nil {
				first = e
			}
			requireSameRoot(t, first, e)
		}
	})
}

// shardOfKey is the shard that a key belongs to.
func (e *Engine) shardOfKey(key string) *shard {
	return &e.shards[shardOf(e.Hasher().Position(key))]
}
