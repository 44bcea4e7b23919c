package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/merkle"
)

var testKey = merkle.Key{Created: 1000, Secret: [16]byte{1, 2, 3}}

// newEngine returns an engine that is checked when the test ends.
func newEngine(t testing.TB, c Config) *Engine {
	if c.Instance == 0 {
		c.Instance = 1
	}
	if c.Key == (merkle.Key{}) {
		c.Key = testKey
	}
	e := New(c)
	t.Cleanup(func() {
		if !t.Failed() {
			require.NoError(t, e.Check())
		}
	})
	return e
}

func mustPut(t testing.TB, e *Engine, now int64, key, value string, o PutOptions) *Entry {
	t.Helper()
	ent, err := e.Put(now, key, []byte(value), o)
	require.NoError(t, err)
	return &ent
}

func requireValue(t testing.TB, e *Engine, now int64, key, want string) {
	t.Helper()
	ent, err := e.Get(now, key, nil)
	require.NoError(t, err, key)
	require.Equal(t, want, string(ent.Value))
}

func requireAbsent(t testing.TB, e *Engine, now int64, key string) {
	t.Helper()
	_, err := e.Get(now, key, nil)
	require.ErrorIs(t, err, ErrNotFound, key)
}

// remotePut is a put that another instance issued at that time.
func remotePut(key, value string, at, expires int64) *Entry {
	return &Entry{
		Key: key, Value: []byte(value), Checksum: Checksum([]byte(value)), Kind: KindPut,
		Version: Version{Time: Reading(at, 0), Instance: 99}, ExpiresAt: expires,
	}
}

func remoteDelete(key string, at int64) *Entry {
	return &Entry{Key: key, Kind: KindTombstone, Version: Version{Time: Reading(at, 0), Instance: 99}}
}

func requireOutcome(t testing.TB, e *Engine, now int64, ent *Entry, want merkle.Outcome) {
	t.Helper()
	got, _ := e.Apply(now, ent)
	require.Equal(t, want, got)
}

func TestAWriteIsReadAndReplacedByTheNext(t *testing.T) {
	e := newEngine(t, Config{})
	requireAbsent(t, e, wall, "k")

	first := mustPut(t, e, wall, "k", "1", PutOptions{})
	require.Equal(t, Version{Time: Reading(wall, 0), Instance: 1}, first.Version)
	require.True(t, first.Over.IsZero(), "there was nothing to replace")
	require.Equal(t, Checksum([]byte("1")), first.Checksum)
	requireValue(t, e, wall, "k", "1")

	second := mustPut(t, e, wall, "k", "2", PutOptions{})
	require.True(t, first.Version.Less(second.Version))
	require.Equal(t, first.Version, second.Over)
	requireValue(t, e, wall, "k", "2")

	tombstone, existed, err := e.Delete(wall, "k")
	require.NoError(t, err)
	require.True(t, existed)
	require.Equal(t, KindTombstone, tombstone.Kind)
	require.Equal(t, second.Version, tombstone.Over)
	requireAbsent(t, e, wall, "k")

	again, existed, err := e.Delete(wall, "k")
	require.NoError(t, err)
	require.False(t, existed)
	require.Equal(t, tombstone.Version, again.Over, "a delete is a write even where nothing was")

	require.Equal(t, again.Version, mustPut(t, e, wall, "k", "", PutOptions{}).Over)
	requireValue(t, e, wall, "k", "")
	require.Equal(t, Stats{Entries: 1, EntryBytes: 1}, e.Stats())
}

func TestAnEmptyValueIsAValue(t *testing.T) {
	e := newEngine(t, Config{})
	ent, err := e.Put(wall, "k", nil, PutOptions{})
	require.NoError(t, err)
	require.NotNil(t, ent.Value)
	requireValue(t, e, wall, "k", "")
	put := remotePut("k", "", wall+1, 0)
	put.Value = nil
	requireOutcome(t, e, wall, put, merkle.Applied)
	requireValue(t, e, wall, "k", "")
}

func TestWhatGetReturnsNeverChangesUnderTheCaller(t *testing.T) {
	e := newEngine(t, Config{})
	value := []byte("mine")
	_, err := e.Put(wall, "k", value, PutOptions{TTL: time.Second})
	require.NoError(t, err)
	copy(value, "????")
	got, err := e.Get(wall, "k", nil)
	require.NoError(t, err)
	before := got
	before.Value = bytes.Clone(got.Value)
	require.Equal(t, "mine", string(got.Value), "put copies")

	mustPut(t, e, wall, "k", "other", PutOptions{TTL: time.Second})
	e.Rekey(merkle.Key{Created: 1, Secret: [16]byte{9}})
	require.Positive(t, e.Sweep(wall+10_000, math.MaxInt))
	_, _, err = e.Delete(wall, "k")
	require.NoError(t, err)
	require.Equal(t, before, got)
}

func TestLimitsAreNamedWithTheirSubject(t *testing.T) {
	e := newEngine(t, Config{})
	long := strings.Repeat("k", MaxKeySize+1)
	shown := strings.Repeat("k", 64) + "…"
	put := func(key string, size int, o PutOptions) error {
		_, err := e.Put(wall, key, make([]byte, size), o)
		return err
	}
	remove := func(key string) error { _, _, err := e.Delete(wall, key); return err }
	touch := func(key string, o PutOptions) error { _, err := e.Touch(wall, key, o); return err }
	persist := func(key string) error { _, err := e.Persist(wall, key); return err }
	minute := PutOptions{TTL: time.Minute}
	for _, tc := range []struct {
		err  error
		is   error
		text string
	}{
		{put("", 1, PutOptions{}), ErrKeyEmpty, `put "": empty key`},
		{put(long, 1, PutOptions{}), ErrKeyTooLarge, `put "` + shown + `": key is 4,097 bytes, the limit is 4,096 bytes: key too large`},
		{put("a/b", 2_200_000, PutOptions{}), ErrValueTooLarge, `put "a/b": value is 2.1 MiB, the limit is 1 MiB: too large`},
		{put("a/b", 1<<20+1, PutOptions{}), ErrValueTooLarge, `put "a/b": value is 1,048,577 bytes, the limit is 1,048,576 bytes: too large`},
		{put("k", 1, PutOptions{TTL: -time.Second}), ErrInvalidTTL, `put "k": TTL is -1s, it must be above zero: invalid expiry`},
		{put("k", 1, PutOptions{TTL: 1, KeepTTL: true}), ErrInvalidTTL, `put "k": only one of TTL, ExpiresAt and KeepTTL may be set: invalid expiry`},
		{put("k", 1, PutOptions{ExpiresAt: -1}), ErrInvalidTTL, `put "k": expiry is -1 ms after 1970, it must be between 1 and 253402300799999: invalid expiry`},
		{put("k", 1, PutOptions{ExpiresAt: MaxExpiry + 1}), ErrInvalidTTL, `put "k": expiry is 253402300800000 ms after 1970, it must be between 1 and 253402300799999: invalid expiry`},
		{remove(""), ErrKeyEmpty, `delete "": empty key`},
		{remove(long), ErrKeyTooLarge, `delete "` + shown + `": key is 4,097 bytes, the limit is 4,096 bytes: key too large`},
		{touch("", minute), ErrKeyEmpty, `touch "": empty key`},
		{touch("no", minute), ErrNotFound, `touch "no": key not found`},
		{touch("no", PutOptions{}), ErrInvalidTTL, `touch "no": a TTL or an expiry is needed: invalid expiry`},
		{touch("no", PutOptions{KeepTTL: true}), ErrInvalidTTL, `touch "no": a TTL or an expiry is needed: invalid expiry`},
		{persist("no"), ErrNotFound, `persist "no": key not found`},
		{persist(long), ErrKeyTooLarge, `persist "` + shown + `": key is 4,097 bytes, the limit is 4,096 bytes: key too large`},
		{remove("\x00\xff"), nil, ""},
		{put(long[1:], 1<<20, PutOptions{TTL: math.MaxInt64}), nil, ""},
	} {
		if tc.is == nil {
			require.NoError(t, tc.err)
			continue
		}
		require.ErrorIs(t, tc.err, tc.is)
		require.EqualError(t, tc.err, tc.text)
	}
	require.Equal(t, Stats{Entries: 1, Tombstones: 1, EntryBytes: MaxKeySize + 1<<20 + 2}, e.Stats(), "what failed changed nothing")
}

func TestLongKeysAreShortenedBetweenCharacters(t *testing.T) {
	require.Equal(t, `"a\x00\"b"`, quoteKey("a\x00\"b"))
	require.Equal(t, `"`+strings.Repeat("é", 31)+`a…"`, quoteKey(strings.Repeat("é", 31)+"aé"+"z"))
	require.Equal(t, `"`+strings.Repeat(`\xbf`, 60)+`…"`, quoteKey(strings.Repeat("\xbf", 100)))
}

func TestAClockThatIsSetBackRefusesWritesAndServesReads(t *testing.T) {
	e := newEngine(t, Config{})
	mustPut(t, e, wall, "k", "1", PutOptions{})
	back := wall - 3_600_000
	_, err := e.Put(back, "k", nil, PutOptions{})
	require.ErrorIs(t, err, ErrClockAhead)
	require.EqualError(t, err, `put "k": reading is 1h0m0s ahead of the wall clock, the limit is 500ms: clock ahead`)
	_, existed, err := e.Delete(back, "k")
	require.ErrorIs(t, err, ErrClockAhead)
	require.False(t, existed)
	_, err = e.Persist(back, "k")
	require.ErrorIs(t, err, ErrClockAhead)
	requireValue(t, e, back, "k", "1")
	requireOutcome(t, e, back, remotePut("other", "1", back, 0), merkle.Applied)
	mustPut(t, e, wall-500, "k", "2", PutOptions{})
}

func TestApplyKeepsTheGreaterVersionWhateverComesLast(t *testing.T) {
	e := newEngine(t, Config{})
	requireOutcome(t, e, wall, remotePut("k", "new", wall-10, 0), merkle.Applied)
	requireOutcome(t, e, wall, remotePut("k", "new", wall-10, 0), merkle.Ignored)
	requireOutcome(t, e, wall, remotePut("k", "old", wall-20, 0), merkle.Ignored)
	requireValue(t, e, wall, "k", "new")
	requireOutcome(t, e, wall, remoteDelete("k", wall-5), merkle.Applied)
	requireOutcome(t, e, wall, remotePut("k", "late", wall-6, 0), merkle.Ignored)
	requireAbsent(t, e, wall, "k")
	require.Equal(t, Stats{Tombstones: 1, EntryBytes: 1}, e.Stats())
}

func TestALatePutDoesNotReviveAnExpiredKey(t *testing.T) {
	e := newEngine(t, Config{})
	requireOutcome(t, e, wall, remotePut("k", "brief", wall-10, wall), merkle.Applied)
	for range 3 {
		requireOutcome(t, e, wall, remotePut("k", "older, for ever", wall-20, 0), merkle.Ignored)
		requireAbsent(t, e, wall, "k")
		e.Sweep(wall+5000, 1)
	}
}

func TestALocalWriteBeatsEveryEntryThatIsHeld(t *testing.T) {
	e := newEngine(t, Config{Instance: 1})
	ahead := remotePut("k", "ahead", wall+500, 0)
	ahead.Version.Time |= math.MaxUint16
	requireOutcome(t, e, wall, ahead, merkle.Applied)
	_, err := e.Put(wall, "k", []byte("mine"), PutOptions{})
	require.ErrorIs(t, err, ErrClockAhead, "rather than be lost silently")
	ent := mustPut(t, e, wall+1, "k", "mine", PutOptions{})
	require.True(t, ahead.Version.Less(ent.Version))
	requireValue(t, e, wall+1, "k", "mine")
}

func TestWhatCannotBeTakenInIsRefusedAndCounted(t *testing.T) {
	e := newEngine(t, Config{MaxValueSize: 3})
	reaped := remotePut("k", "", wall, wall+1)
	reaped.Value, reaped.reaped = nil, true
	for i, ent := range []*Entry{
		remotePut("k", "1", wall+60_001, 0),
		remotePut("k", "1234", wall, 0),
		reaped,
		{},
		{Key: "k", Kind: 7, Version: Version{Time: 1}},
	} {
		requireOutcome(t, e, wall, ent, merkle.Refused)
		require.Equal(t, uint64(i+1), e.Stats().Refused)
	}
	require.Equal(t, uint64(1), e.Stats().ClockReadings)
	require.Zero(t, e.Clock().Read())
	_, count := e.Root()
	require.Zero(t, count)

	requireOutcome(t, e, wall+1, remotePut("k", "1", wall+501, 0), merkle.Applied)
	require.Zero(t, e.Stats().Parked)
}

func TestOneVersionWithOtherContentIsCountedAndDecidedTheSameWay(t *testing.T) {
	x, y := remotePut("k", "x", wall, 0), remotePut("k", "y", wall, 0)
	a, b := newEngine(t, Config{}), newEngine(t, Config{})
	for _, ent := range []*Entry{x, y, x} {
		a.Apply(wall, ent)
	}
	for _, ent := range []*Entry{y, x, y} {
		b.Apply(wall, ent)
	}
	requireSameRoot(t, a, b)
	requireValue(t, a, wall, "k", string(Merge(x, y).Value))
	require.Positive(t, a.Stats().Conflicts)
	require.Positive(t, b.Stats().Conflicts)
}

func TestApplySaysHowOldAnEntryIs(t *testing.T) {
	e := newEngine(t, Config{})
	_, lag := e.Apply(wall, remotePut("a", "", wall-120, 0))
	require.Equal(t, int64(120), lag)
	_, lag = e.Apply(wall, remotePut("b", "", wall+120, 0))
	require.Zero(t, lag, "the issuer's clock is ahead")
}

func TestTheCallersBytesAreNotKept(t *testing.T) {
	e := newEngine(t, Config{})
	key, value := []byte("key"), []byte("value")
	_, err := e.Put(wall, unsafe.String(&key[0], len(key)), value, PutOptions{})
	require.NoError(t, err)
	put := remotePut("other", "value", wall, 0)
	requireOutcome(t, e, wall, put, merkle.Applied)
	copy(key, "???")
	copy(value, "?????")
	copy(put.Value, "?????")
	requireValue(t, e, wall, "key", "value")
	requireValue(t, e, wall, "other", "value")
}

func TestGetAppendsToTheCallersBuffer(t *testing.T) {
	e := newEngine(t, Config{})
	mustPut(t, e, wall, "k", "value", PutOptions{})
	room := make([]byte, 3, 100)
	ent, err := e.Get(wall, "k", room)
	require.NoError(t, err)
	require.Same(t, &room[:4][3], &ent.Value[0])
	require.Equal(t, "value", string(ent.Value))
	ent, err = e.Get(wall, "k", make([]byte, 0, 4))
	require.NoError(t, err)
	require.Equal(t, "value", string(ent.Value))
}

func TestHeadIsGetWithoutTheValue(t *testing.T) {
	e := newEngine(t, Config{})
	put := mustPut(t, e, wall, "k", "value", PutOptions{TTL: time.Second})
	ent, size, err := e.Head(wall, "k")
	require.NoError(t, err)
	require.Equal(t, 5, size)
	want := *put
	want.Value = nil
	require.Equal(t, want, ent)
	_, _, err = e.Head(wall+1000, "k")
	require.ErrorIs(t, err, ErrNotFound)
}

func TestErrorsStayDistinct(t *testing.T) {
	all := []error{ErrNotFound, ErrKeyEmpty, ErrKeyTooLarge, ErrValueTooLarge, ErrInvalidTTL, ErrClockAhead, ErrOverloaded, ErrMalformed}
	for i, a := range all {
		for j, b := range all {
			require.Equal(t, i == j, errors.Is(a, b))
		}
	}
}

func requireSameRoot(t require.TestingT, a, b *Engine) {
	rootA, countA := a.Root()
	rootB, countB := b.Root()
	require.Equal(t, countA, countB)
	require.Equal(t, rootA, rootB)
}

func TestDeadEntriesAfterAReadingAreCounted(t *testing.T) {
	e := New(Config{Instance: 1})
	require.Zero(t, e.DeadAfter(0))
	var readings []uint64
	for i := range 2 * shardCount {
		ent, _, err := e.Delete(1_000+int64(i), fmt.Sprint("k", i))
		require.NoError(t, err)
		readings = append(readings, ent.Version.Time)
	}
	_, err := e.Put(9_000, "live", nil, PutOptions{})
	require.NoError(t, err)
	require.Equal(t, uint64(len(readings)), e.DeadAfter(0))
	for i, reading := range readings {
		require.Equal(t, uint64(len(readings)-1-i), e.DeadAfter(reading))
	}
}

func TestALocalWriteNamesOnlyWhatWasSeenAndHidesTheRest(t *testing.T) {
	e := newEngine(t, Config{})
	other := remotePut("k", "v", wall-1, 0)
	requireOutcome(t, e, wall, other, merkle.Applied) // as a round brings it: not seen
	ent := mustPut(t, e, wall, "k", "own", PutOptions{})
	require.Zero(t, ent.Over)
	require.Equal(t, other.Version.Time, e.Hidden().At(other.Version.Instance), "whoever takes the write must have seen it")
	ent = mustPut(t, e, wall, "k", "again", PutOptions{})
	require.Equal(t, e.Instance(), ent.Over.Instance)

	seen := remotePut("k2", "v", wall, 0)
	outcome, _ := e.Push(wall, seen, nil, true)
	require.Equal(t, merkle.Applied, outcome)
	results, err := e.Batch(wall, []BatchOp{{Key: "k2", Value: []byte("own")}})
	require.NoError(t, err)
	require.Equal(t, seen.Version, results[0].Entry.Over)
}
