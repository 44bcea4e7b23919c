package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func keysOf(page []Entry) []string {
	keys := make([]string, len(page))
	for i, e := range page {
		keys[i] = e.Key
	}
	return keys
}

// listAll reads a list page by page.
func listAll(t require.TestingT, e *Engine, now int64, prefix string, limit int) []string {
	var keys []string
	for after := ""; ; {
		page, more := e.List(now, ListOptions{Prefix: prefix, After: after, Limit: limit})
		if more {
			require.Len(t, page, limit)
		}
		keys = append(keys, keysOf(page)...)
		if !more {
			return keys
		}
		after = keys[len(keys)-1]
	}
}

func TestListIsTheModelsSliceWhateverThePages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := New(Config{})
		// Few letters, so that keys are each other's prefixes; bytes above
		// 0x7f, so that the order is by byte.
		key := rapid.StringOfN(rapid.RuneFrom([]rune("ab/é")), 1, 4, -1)
		var want []string
		for _, k := range rapid.SliceOfDistinct(key, func(k string) string { return k }).Draw(t, "keys") {
			var o PutOptions
			if rapid.IntRange(0, 4).Draw(t, "expired") == 0 {
				o.ExpiresAt = wall // no sweep has been by
			} else {
				want = append(want, k)
			}
			_, err := e.Put(wall-1, k, nil, o)
			require.NoError(t, err)
		}
		slices.Sort(want)
		require.Equal(t, want, listAll(t, e, wall, "", rapid.IntRange(1, 5).Draw(t, "limit")))

		prefix := rapid.StringOfN(rapid.RuneFrom([]rune("ab/é")), 0, 2, -1).Draw(t, "prefix")
		after := rapid.StringOfN(rapid.RuneFrom([]rune("ab/é")), 0, 3, -1).Draw(t, "after")
		limit := rapid.IntRange(0, 4).Draw(t, "limit of one page")
		wantPage := []string{}
		for _, k := range want {
			if strings.HasPrefix(k, prefix) && k > after {
				wantPage = append(wantPage, k)
			}
		}
		wantMore := limit > 0 && len(wantPage) > limit
		if wantMore {
			wantPage = wantPage[:limit]
		}
		page, more := e.List(wall, ListOptions{Prefix: prefix, After: after, Limit: limit})
		require.Equal(t, wantPage, keysOf(page))
		require.Equal(t, wantMore, more)
		require.NoError(t, e.Check())
	})
}

func TestAListConsistsOfAsManyViewsAsItTakes(t *testing.T) {
	e := newEngine(t, Config{})
	var want []string
	for i := range 2*viewEntries + 1 {
		want = append(want, fmt.Sprintf("p/%05d", i))
		mustPut(t, e, wall, want[i], "", PutOptions{})
	}
	mustPut(t, e, wall, "o", "", PutOptions{})
	mustPut(t, e, wall, "q", "", PutOptions{})
	for _, limit := range []int{100, viewEntries - 1, viewEntries, len(want), len(want) + 1} {
		require.Equal(t, want, listAll(t, e, wall, "p/", limit))
	}
	page, more := e.List(wall, ListOptions{Prefix: "p/"})
	require.Equal(t, want, keysOf(page))
	require.False(t, more)
}

func TestAPageKeepsToItsLimitInBytes(t *testing.T) {
	e := newEngine(t, Config{})
	large := strings.Repeat("v", 100<<10)
	for i := range 30 {
		mustPut(t, e, wall, fmt.Sprintf("%02d", i), large, PutOptions{})
	}
	each := len(large) + 2
	for _, tc := range []struct{ limit, entries int }{
		{1, 1}, {each, 1}, {each + 1, 1}, {2*each - 1, 1}, {2 * each, 2}, {25 * each, 25}, {30*each - 1, 29}, {30 * each, 30}, {0, 30},
	} {
		page, more := e.List(wall, ListOptions{MaxBytes: tc.limit})
		require.Len(t, page, tc.entries, "%d bytes", tc.limit)
		require.Equal(t, tc.entries < 30, more)
		require.Equal(t, large, string(page[len(page)-1].Value))
	}
	page, more := e.List(wall, ListOptions{MaxBytes: 20, KeysOnly: true})
	require.Len(t, page, 10, "values that are not asked for do not count")
	require.True(t, more)
	require.Nil(t, page[0].Value)
}

// A writer moves one value from key to key, under one key at a time: a view
// that were no instant would now and then show both keys, or none.
func TestAViewIsOneInstant(t *testing.T) {
	e := newEngine(t, Config{})
	const pairs = 50
	put := func(now int64, i int, value string) {
		_, err := e.Put(now, fmt.Sprintf("%03d", i), []byte(value), PutOptions{})
		require.NoError(t, err)
	}
	for i := range pairs {
		put(wall, i, "0")
	}
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		// All keys are written in order, again and again: at each instant the
		// values from the first key on do not rise, and differ by one at most.
		for round := 1; ; round++ {
			for i := range pairs {
				select {
				case <-stop:
					return
				default:
				}
				put(wall+int64(round), i, fmt.Sprint(round))
			}
		}
	})
	for range 300 {
		page, _ := e.List(wall, ListOptions{})
		require.Len(t, page, pairs)
		first, last := number(t, page[0]), number(t, page[pairs-1])
		require.LessOrEqual(t, first-last, 1)
		for i := 1; i < pairs; i++ {
			require.GreaterOrEqual(t, number(t, page[i-1]), number(t, page[i]))
		}
	}
	close(stop)
	writer.Wait()
}

func number(t *testing.T, ent Entry) int {
	n, err := strconv.Atoi(string(ent.Value))
	require.NoError(t, err)
	return n
}

func TestListNeverSkipsOrRepeatsAKeyThatStays(t *testing.T) {
	e := newEngine(t, Config{})
	var stays []string
	for i := range 400 {
		stays = append(stays, fmt.Sprintf("k/%04d", i))
		mustPut(t, e, wall, stays[i], "0", PutOptions{})
	}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				// Overwrites of what stays, and what comes and goes between.
				now := wall + int64(i/1000)
				_, _ = e.Put(now, stays[i%len(stays)], []byte{byte(i)}, PutOptions{})
				passing := fmt.Sprintf("k/%04d+%d", i%len(stays), w)
				_, _ = e.Put(now, passing, nil, PutOptions{})
				_, _, _ = e.Delete(now, passing)
			}
		})
	}
	for _, limit := range []int{1, 7, 64, 1000} {
		keys := listAll(t, e, wall, "k/", limit)
		require.True(t, slices.IsSorted(keys))
		kept := slices.DeleteFunc(keys, func(k string) bool { return strings.Contains(k, "+") })
		require.Equal(t, stays, kept)
	}
	close(stop)
	writers.Wait()
}
