package engine

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/invariant"
	"github.com/tochemey/gokv/merkle"
	"pgregory.net/rapid"
)

func sourceOf(e *Engine, now int64) *Source { return e.Source(func() int64 { return now }) }

// send gives all that one engine holds to another, as an empty member gets it.
func send(t require.TestingT, from, to *Source, page int) {
	for at := uint64(0); ; {
		items := from.Items(merkle.Range{}, at, nil, page)
		for _, it := range items {
			_, err := to.Apply(from.AppendEntry(nil, it))
			require.NoError(t, err)
		}
		if len(items) == 0 || items[len(items)-1].Pos == math.MaxUint64 {
			return
		}
		at = items[len(items)-1].Pos + 1
	}
}

func TestASourceCarriesWhatIsLiveToAnEmptyEngine(t *testing.T) {
	a, b := newEngine(t, Config{Instance: 1}), newEngine(t, Config{Instance: 2})
	for i := range 500 {
		mustPut(t, a, wall, fmt.Sprint("k", i), strings.Repeat("v", i), PutOptions{})
	}
	for i := range 50 {
		_, _, err := a.Delete(wall, fmt.Sprint("k", i))
		require.NoError(t, err)
		mustPut(t, a, wall, fmt.Sprint("e", i), "v", PutOptions{TTL: time.Second})
	}
	a.Sweep(wall+5000, math.MaxInt) // values are gone
	send(t, sourceOf(a, wall+5000), sourceOf(b, wall+5000), 7)
	requireSameRoot(t, a, b)
	fromA, _ := a.List(wall+5000, ListOptions{})
	fromB, _ := b.List(wall+5000, ListOptions{})
	require.Equal(t, len(fromA), len(fromB))
	for i := range fromA {
		require.Equal(t, fromA[i].Value, fromB[i].Value)
		require.Zero(t, Compare(&fromA[i], &fromB[i]))
	}
	require.Equal(t, uint64(100), a.Stats().Tombstones)
	require.Equal(t, Stats{Entries: 450, EntryBytes: a.Stats().EntryBytes - 280}, b.Stats(), "what is dead goes another way")
}

func TestASourceSendsWhatTheKeyHasByNow(t *testing.T) {
	e := newEngine(t, Config{})
	src := sourceOf(e, wall)
	mustPut(t, e, wall, "k", "listed", PutOptions{})
	items := src.Items(merkle.Range{}, 0, nil, 10)
	require.Len(t, items, 1)
	last := mustPut(t, e, wall, "k", "sent", PutOptions{})
	var ent Entry
	require.NoError(t, parseEntry(&ent, src.AppendEntry(nil, items[0]), 0, true))
	require.Equal(t, last.Version, ent.Version)
	require.True(t, ent.Over.IsZero(), "what it replaced stays at home")
}

func TestASourceTellsWhatTheItemsDigestsAddUpTo(t *testing.T) {
	e := newEngine(t, Config{})
	for i := range 300 {
		mustPut(t, e, wall, fmt.Sprint(i), "", PutOptions{})
	}
	src := sourceOf(e, wall)
	root, count := src.Root()
	var children [merkle.Fanout]merkle.Node
	src.Children(merkle.Range{}, &children)
	var sum merkle.Digest
	var n uint64
	for _, c := range children {
		sum, n = sum.Add(c.Digest), n+c.Count
	}
	require.Equal(t, root, sum)
	require.Equal(t, count, n)
	sum = merkle.Digest{}
	for _, it := range src.Items(merkle.Range{}, 0, nil, 1000) {
		sum = sum.Add(it.Digest)
	}
	require.Equal(t, root, sum)
}

func TestASourceRefusesWhatIsTooLargeAndFailsOnGarbage(t *testing.T) {
	e := newEngine(t, Config{MaxValueSize: 3})
	src := sourceOf(e, wall)
	outcome, err := src.Apply(AppendEntry(nil, remotePut("k", "1234", wall, 0)))
	require.NoError(t, err, "another node's limit may be higher")
	require.Equal(t, merkle.Refused, outcome)
	_, err = src.Apply([]byte("garbage"))
	require.ErrorIs(t, err, ErrMalformed)
	_, count := e.Root()
	require.Zero(t, count)
}

func TestASourceReportsWhatARoundBrought(t *testing.T) {
	e := newEngine(t, Config{})
	src := sourceOf(e, wall)
	var got []string
	src.Applied = func(ent *Entry, lag int64) {
		_, err := e.Get(wall, ent.Key, nil) // no lock is held
		require.NoError(t, err)
		got = append(got, fmt.Sprintf("%s %d", ent.Key, lag))
	}
	wire := AppendEntry(nil, remotePut("k", "v", wall-30, 0))
	for range 2 {
		_, err := src.Apply(wire)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"k 30"}, got)
}

func TestOfWhatARoundBringsTheBytesAreNotKept(t *testing.T) {
	e := newEngine(t, Config{})
	src := sourceOf(e, wall)
	for _, at := range []int64{wall, wall + 30_000} { // merged, parked
		wire := appendEntry(nil, remotePut(fmt.Sprint("key ", at), "value", at, 0), true)
		_, err := src.Apply(wire)
		require.NoError(t, err)
		clear(wire)
	}
	require.Equal(t, 1, e.Unpark(wall+30_000, nil))
	requireValue(t, e, wall, fmt.Sprint("key ", wall), "value")
	requireValue(t, e, wall, fmt.Sprint("key ", wall+30_000), "value")
}

func TestWhatARoundBringsAllocatesNothing(t *testing.T) {
	if invariant.Enabled {
		t.Skip("a sync.Pool forgets on purpose under the race detector")
	}
	e := newEngine(t, Config{})
	src := sourceOf(e, wall)
	ent := remotePut("key", "value", wall, 0)
	var wire []byte
	require.Zero(t, testing.AllocsPerRun(100, func() {
		ent.Version.Time++
		wire = appendEntry(wire[:0], ent, true)
		if outcome, err := src.Apply(wire); outcome != merkle.Applied || err != nil {
			panic(fmt.Sprint(outcome, err))
		}
	}))
}

func TestASourceJudgesAPeersReadings(t *testing.T) {
	e := newEngine(t, Config{})
	src := sourceOf(e, wall)
	src.Observe(Reading(wall+400, 3))
	require.Equal(t, Reading(wall+400, 3), src.Clock())
	src.Observe(Reading(wall+4000, 3))
	require.Equal(t, Reading(wall+400, 3), src.Clock())
	require.Equal(t, uint64(1), e.Stats().ClockReadings)
}

func TestRekeyKeepsTheContentsAndTakesTheBetterKeyOnly(t *testing.T) {
	better := merkle.Key{Created: 1, Secret: [16]byte{7}}
	a, b := newEngine(t, Config{}), newEngine(t, Config{Key: better})
	for i := range 300 {
		key := fmt.Sprint(i)
		ent := mustPut(t, a, wall, key, "v", PutOptions{TTL: time.Second})
		requireOutcome(t, b, wall, ent, merkle.Applied)
	}
	before, _ := a.Root()
	for _, worse := range []merkle.Key{testKey, {Created: 5000, Secret: [16]byte{1}}} {
		a.Rekey(worse)
		require.Equal(t, testKey, a.Key())
	}
	after, _ := a.Root()
	require.Equal(t, before, after)

	sourceOf(a, wall).Rekey(better)
	require.Equal(t, better, a.Key())
	require.NoError(t, a.Check())
	requireSameRoot(t, a, b)
	requireValue(t, a, wall, "7", "v")
	require.Equal(t, 300, a.Sweep(wall+5000, math.MaxInt))
	b.SweepTo(wall+5000, a.Summary().Cut)
	requireSameRoot(t, a, b)

	settled := better
	settled.Created = 0
	root, _ := a.Root()
	a.Rekey(settled)
	require.Equal(t, settled, a.Key())
	same, _ := a.Root()
	require.Equal(t, root, same, "an age alone changes no digest")
}

// talk runs one round between two engines and returns the initiator's figures.
func talk(t require.TestingT, a, b *Source, salt uint64) merkle.RoundStats {
	rounds := [2]*merkle.Round{
		merkle.NewRound(merkle.RoundConfig{Initiator: true, Source: a, Salt: salt}),
		merkle.NewRound(merkle.RoundConfig{Source: b}),
	}
	for !rounds[0].Done() || !rounds[1].Done() {
		said := false
		for i, speaker := range rounds {
			for {
				frame, more := speaker.Next(nil)
				if !more {
					break
				}
				said = true
				require.NoError(t, rounds[1-i].Receive(frame))
			}
		}
		require.True(t, said, "neither side has anything to say, and the round is not done")
	}
	return rounds[0].Stats()
}

func TestRoundsMakeTwoEnginesEqualWhateverTheyHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New(Config{Instance: 1, Key: testKey})
		b := New(Config{Instance: 2, Key: merkle.Key{Created: rapid.Uint64Range(999, 1001).Draw(t, "key")}})
		now := wall
		for i := range rapid.IntRange(0, 200).Draw(t, "writes") {
			e := []*Engine{a, b}[rapid.IntRange(0, 1).Draw(t, "node")]
			key := fmt.Sprint("k", rapid.IntRange(0, 50).Draw(t, "key"))
			var err error
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				_, _, err = e.Delete(now, key)
			} else {
				_, err = e.Put(now, key, []byte{byte(i)}, PutOptions{ExpiresAt: rapid.SampledFrom([]int64{0, now - 1, now + 50}).Draw(t, "expiry")})
			}
			require.NoError(t, err)
			now += rapid.Int64Range(0, 20).Draw(t, "pause")
			e.Sweep(now, 3)
		}
		a.Sweep(now+2000, math.MaxInt)
		b.Sweep(now+2000, math.MaxInt)
		for _, e := range []*Engine{a, b} { // what is dead goes another way
			other := []*Engine{b, a}[e.instance-1]
			for part := range DeadParts {
				for _, ent := range other.Dead(part, nil) {
					e.Apply(now+2000, &ent)
				}
			}
		}
		for salt := range uint64(5) {
			if talk(t, sourceOf(a, now+2000), sourceOf(b, now+2000), salt).Converged {
				break
			}
		}
		require.Equal(t, a.Key(), b.Key())
		requireSameRoot(t, a, b)
		fromA, _ := a.List(now+2000, ListOptions{})
		fromB, _ := b.List(now+2000, ListOptions{})
		require.Len(t, fromB, len(fromA))
		for i := range fromA {
			require.Zero(t, Compare(&fromA[i], &fromB[i]))
			require.Equal(t, fromA[i].Value, fromB[i].Value)
		}
		require.NoError(t, a.Check())
		require.NoError(t, b.Check())
	})
}

// A bulk comes in the order of positions: a table that grew as it came would hold
// everything in its first slots, and move it each time.
func TestATableThatExpectsABulkDoesNotGrow(t *testing.T) {
	full, empty := newEngine(t, Config{Instance: 1}), newEngine(t, Config{Instance: 2})
	const n = 20_000
	for i := range n / 20 { // pushed before
		empty.Apply(wall, remotePut(fmt.Sprint("k", i), "v", wall-1, 0))
	}
	for i := range n {
		mustPut(t, full, wall, fmt.Sprint("k", i), "v", PutOptions{})
	}
	to := sourceOf(empty, wall)
	to.Expect(n)
	var before [shardCount]int
	for i := range before {
		before[i] = empty.shards[i].table.homes()
		require.GreaterOrEqual(t, before[i], n/shardCount)
	}
	send(t, sourceOf(full, wall), to, 500)
	requireSameRoot(t, full, empty)
	grown := 0
	for i := range before {
		if empty.shards[i].table.homes() != before[i] {
			grown++
		}
	}
	require.Less(t, grown, shardCount/20, "but for shards that hold many more than others")

	to.Expect(3 * n)
	for i := range before {
		require.Less(t, empty.shards[i].table.homes(), 2*before[i], "what holds more than a little is left alone")
	}
	vast := newEngine(t, Config{Instance: 3})
	sourceOf(vast, wall).Expect(math.MaxUint64)
	require.Less(t, vast.Memory().Index, uint64(60<<20), "whatever a peer claims")
}
