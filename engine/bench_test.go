package engine

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/invariant"
)

func filled(tb testing.TB, size int) (*Engine, []string) {
	e := New(Config{Instance: 1, Key: testKey})
	keys := make([]string, size)
	value := make([]byte, 100)
	for i := range keys {
		// A large odd factor visits the keys in no order.
		keys[i] = fmt.Sprintf("key/%07d", i*7919%size)
		_, err := e.Put(wall, keys[i], value, PutOptions{})
		require.NoError(tb, err)
	}
	return e, keys
}

func TestGetAllocatesNothing(t *testing.T) {
	e, keys := filled(t, 100)
	mustPut(t, e, wall, "brief", "v", PutOptions{TTL: time.Second})
	room := make([]byte, 0, 100)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for _, key := range []string{keys[7], "brief", "absent"} {
			_, _ = e.Get(wall, key, room)
		}
	}))
}

func TestAnOverwriteAllocatesNothing(t *testing.T) {
	e, keys := filled(t, 100)
	value := make([]byte, 100)
	for _, o := range []PutOptions{{}, {TTL: time.Hour}, {KeepTTL: true}} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			_, _ = e.Put(wall, keys[7], value, o)
		}))
	}
}

// The budget is the issue's: what Redis 7 takes, everything counted.
func TestAnEntryCostsWhatThePackageCommentSays(t *testing.T) {
	const size, budget = 200_000, 185
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	e, keys := filled(t, size)
	onHeap, m := heap()-before-size*32, e.Memory() // the test's own list of keys aside
	t.Logf("%.1f bytes an entry: records %.1f, indexes %.1f; on Go's heap %.1f",
		float64(m.Total())/size, float64(m.Records)/size, float64(m.Index)/size, float64(onHeap)/size)
	require.Less(t, int(m.Total()/size), budget)
	if !invariant.Enabled { // with them the slab is on the heap too
		require.Less(t, onHeap, int(m.Index)+size*2)
	}

	for range 3 {
		for i, key := range keys {
			_, err := e.Put(wall+int64(i>>10), key, make([]byte, 100), PutOptions{})
			require.NoError(t, err)
		}
	}
	require.Equal(t, m, e.Memory(), "overwriting takes nothing more")
	runtime.KeepAlive(keys)
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			e, keys := filled(b, size)
			room := make([]byte, 0, 100)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				_, _ = e.Get(wall, keys[i%size], room[:0])
				i++
			}
		})
	}
	b.Run("size=100000/readers=2", func(b *testing.B) {
		e, keys := filled(b, 100_000)
		b.ReportAllocs()
		b.ResetTimer()
		var from atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			room := make([]byte, 0, 100)
			for i := int(from.Add(50_000)); pb.Next(); i++ {
				_, _ = e.Get(wall, keys[i%len(keys)], room[:0])
			}
		})
	})
}

func BenchmarkOverwritingPut(b *testing.B) {
	e, keys := filled(b, 100_000)
	value := make([]byte, 100)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		// The wall clock moves on, so that the counter need not borrow.
		if _, err := e.Put(wall+int64(i>>10), keys[i%len(keys)], value, PutOptions{}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkInsertingPut(b *testing.B) {
	value := make([]byte, 100)
	e := New(Config{Instance: 1, Key: testKey})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := e.Put(wall+int64(i>>10), fmt.Sprintf("key/%07d", i), value, PutOptions{}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkList(b *testing.B) {
	e, _ := filled(b, 100_000)
	for _, bm := range []struct {
		name, prefix string
		limit        int
	}{
		{"found=10", "key/000123", 0},
		{"found=1000", "key/", 1000},
		{"found=100000", "", 0},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = e.List(wall, ListOptions{Prefix: bm.prefix, Limit: bm.limit})
			}
		})
	}
}

func BenchmarkRekey(b *testing.B) {
	e, _ := filled(b, 100_000)
	created := testKey.Created
	b.ReportAllocs()
	for b.Loop() {
		created--
		k := testKey
		k.Created, k.Secret[15] = created, byte(created)
		e.Rekey(k)
	}
}
