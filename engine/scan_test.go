package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func keysOf(page []*Entry) []string {
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
		page, more := e.List(now, prefix, after, limit)
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

func TestListIsTheModelsSliceWhateverThePagesAndShards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := New(Config{Shards: rapid.SampledFrom([]int{1, 3, 64, 256}).Draw(t, "shards")})
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
		page, more := e.List(wall, prefix, after, limit)
		require.Equal(t, wantPage, keysOf(page))
		require.Equal(t, wantMore, more)
		require.NoError(t, e.Check())
	})
}

func TestListGoesBackToAShardAsOftenAsItTakes(t *testing.T) {
	for _, shards := range []int{1, 4} {
		e := newEngine(t, Config{Shards: shards})
		var want []string
		for i := range 3*maxScanBatch + 1 {
			want = append(want, fmt.Sprintf("p/%05d", i))
			mustPut(t, e, wall, want[i], "", PutOptions{})
		}
		mustPut(t, e, wall, "o", "", PutOptions{})
		mustPut(t, e, wall, "q", "", PutOptions{})
		for _, limit := range []int{1, 100, maxScanBatch, len(want), len(want) + 1} {
			require.Equal(t, want, listAll(t, e, wall, "p/", limit))
		}
		page, more := e.List(wall, "p/", "", 0)
		require.Equal(t, want, keysOf(page))
		require.False(t, more)
	}
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
