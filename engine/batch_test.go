package engine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func putOp(key, value string) BatchOp   { return BatchOp{Key: key, Value: []byte(value)} }
func deleteOp(key string) BatchOp       { return BatchOp{Key: key, Delete: true} }
func ifAbsentOp(key, v string) BatchOp  { o := putOp(key, v); o.If.Absent = true; return o }
func keyOf(prefix string, i int) string { return fmt.Sprintf("%s%04d", prefix, i) }

func TestABatchIsDoneInTheOrderOfItsItems(t *testing.T) {
	e := newEngine(t, Config{})
	before := mustPut(t, e, wall, "old", "1", PutOptions{TTL: time.Hour})
	keep := putOp("old", "2")
	keep.KeepTTL = true
	results, err := e.Batch(wall, []BatchOp{keep, putOp("new", ""), deleteOp("gone")})
	require.NoError(t, err)
	require.Equal(t, []bool{true, false, false}, []bool{results[0].Existed, results[1].Existed, results[2].Existed})
	require.Equal(t, before.ExpiresAt, results[0].Entry.ExpiresAt)
	require.Equal(t, before.Version, results[0].Entry.Over)
	prev := before.Version.Time
	for i := range results {
		ent := &results[i].Entry
		require.Equal(t, prev, ent.Prev)
		require.Equal(t, prev+1, ent.Version.Time, "nothing comes between them")
		prev = ent.Version.Time
	}
	requireValue(t, e, wall, "old", "2")
	requireValue(t, e, wall, "new", "")
	requireAbsent(t, e, wall, "gone")
	next := mustPut(t, e, wall, "next", "", PutOptions{})
	require.Equal(t, prev, next.Prev)
}

func TestABatchThatFailsDoesNothingAndNamesTheItem(t *testing.T) {
	e := newEngine(t, Config{MaxMemory: 64 * mebi})
	held := mustPut(t, e, wall, "held", "v", PutOptions{})
	used := e.Used()
	big := putOp("big", strings.Repeat("x", mebi+1))
	odd := putOp("odd", "")
	odd.TTL = -1
	at := deleteOp("nobody")
	at.If.Version = held.Version
	for want, ops := range map[string][]BatchOp{
		`batch: item 2 of 2: put "": empty key`: {putOp("a", ""), putOp("", "")},
		`batch: item 2 of 2: put "big": value is 1,048,577 bytes, the limit is 1,048,576 bytes: too large`: {putOp("a", ""), big},
		`batch: item 1 of 1: put "odd": TTL is -1ns, it must be above zero: invalid expiry`:                {odd},
		`batch: item 3 of 3: delete "a": the key is that of item 1 too: invalid batch`:                     {putOp("a", ""), putOp("b", ""), deleteOp("a")},
		fmt.Sprintf(`batch: item 2 of 3: put "held": the key is there at version %v: condition failed`, held.Version): {
			putOp("a", strings.Repeat("x", mebi)), ifAbsentOp("held", "w"), putOp("b", ""),
		},
		fmt.Sprintf(`batch: item 1 of 1: delete "nobody": the key is absent, version %v is demanded: condition failed`, held.Version): {at},
		`batch: no items, at least one is needed: invalid batch`:                                                                      {},
		`batch: 1001 items, the limit is 1000: batch too large`:                                                                       make([]BatchOp, 1001),
	} {
		_, err := e.Batch(wall, ops)
		require.EqualError(t, err, want)
		require.Equal(t, uint64(1), e.Stats().Entries)
		require.Zero(t, e.Stats().Tombstones)
		require.Equal(t, used, e.Used(), "what was reserved is free again")
	}
	var large []BatchOp
	for i := range 5 {
		large = append(large, putOp(keyOf("k", i), strings.Repeat("x", mebi)))
	}
	_, err := e.Batch(wall, large)
	require.ErrorIs(t, err, ErrBatchTooLarge)

	e.RefuseGrowth("b is full")
	_, err = e.Batch(wall, []BatchOp{putOp("held", "w"), deleteOp("unknown"), putOp("new", "")})
	require.ErrorIs(t, err, ErrOverloaded)
	require.ErrorContains(t, err, "item 3 of 3")
	requireValue(t, e, wall, "held", "v")
	_, err = e.Batch(wall-10_000, []BatchOp{putOp("held", "w")})
	require.ErrorIs(t, err, ErrClockAhead)
	require.NoError(t, e.Check())
}

// Whatever a reader finds, what it asks for afterwards is of that batch or a later
// one; a scan is of one batch alone.
func TestReadersAndScansSeeNoneOfABatchOrAllOfIt(t *testing.T) {
	e := newEngine(t, Config{})
	const items, rounds = 100, 200
	batch := func(n int) []BatchOp {
		ops := make([]BatchOp, items)
		for i := range ops {
			// Values of other sizes each time, so that records move.
			ops[i] = putOp(keyOf("k", i), fmt.Sprintf("%04d%s", n, strings.Repeat("x", n*7%300)))
		}
		return ops
	}
	_, err := e.Batch(wall, batch(0))
	require.NoError(t, err)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 2 {
		readers.Go(func() {
			for i := r; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				first, err1 := e.Get(wall, keyOf("k", i%items), nil)
				then, err2 := e.Get(wall, keyOf("k", (i*31+7)%items), nil)
				if err1 != nil || err2 != nil || string(then.Value[:4]) < string(first.Value[:4]) {
					t.Errorf("read %.4s and then %.4s: %v, %v", first.Value, then.Value, err1, err2)
					return
				}
				page, _ := e.List(wall, ListOptions{})
				for _, ent := range page {
					if len(page) != items || string(ent.Value[:4]) != string(page[0].Value[:4]) {
						t.Errorf("a scan of %d shows %.4s and %.4s", len(page), page[0].Value, ent.Value)
						return
					}
				}
			}
		})
	}
	for n := range rounds {
		_, err := e.Batch(wall, batch(n))
		require.NoError(t, err)
	}
	close(done)
	readers.Wait()
}

func TestBatchesOfTheSameKeysInAnyOrderDoNotWaitForEachOther(t *testing.T) {
	e := newEngine(t, Config{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := range 50 {
				ops := make([]BatchOp, 50)
				for i := range ops {
					if ops[i] = putOp(keyOf("k", (i*(2*w+1)+n)%50), "v"); n%3 == w%3 {
						ops[i] = deleteOp(ops[i].Key)
					}
				}
				seen := map[string]bool{}
				distinct := ops[:0]
				for _, o := range ops {
					if !seen[o.Key] {
						seen[o.Key] = true
						distinct = append(distinct, o)
					}
				}
				if _, err := e.Batch(wall, distinct); err != nil {
					t.Errorf("batch: %v", err)
				}
				e.Sweep(wall, 10)
				e.List(wall, ListOptions{Limit: 10})
			}
		})
	}
	writers.Wait()
	require.NoError(t, e.Check())
}
