package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tochemey/gokv/merkle"
)

func (e *Engine) late() (n int) {
	for i := range e.orders {
		n += len(e.orders[i].late)
	}
	return n
}

// The same writes, with the index deferred now and then, and without.
func TestADeferredIndexDoesNotShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain, e := New(Config{Instance: 1, Key: testKey}), New(Config{Instance: 1, Key: testKey})
		now := wall
		var ends []func()
		both := func(do func(e *Engine)) {
			do(plain)
			do(e)
		}
		drawKey := func(t *rapid.T) string { return fmt.Sprint("key ", rapid.IntRange(0, 60).Draw(t, "key")) }
		drawValue := func(t *rapid.T) []byte { return make([]byte, rapid.IntRange(0, 200).Draw(t, "size")) }
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				key, value := drawKey(t), drawValue(t)
				both(func(e *Engine) {
					_, err := e.Put(now, key, value, PutOptions{})
					require.NoError(t, err)
				})
			},
			"put for a while": func(t *rapid.T) {
				key, value := drawKey(t), drawValue(t)
				both(func(e *Engine) {
					_, err := e.Put(now, key, value, PutOptions{TTL: time.Second})
					require.NoError(t, err)
				})
			},
			"merge many": func(t *rapid.T) {
				from := rapid.IntRange(0, 1_000).Draw(t, "from")
				both(func(e *Engine) {
					for i := range 100 {
						e.Apply(now, remotePut(fmt.Sprint("key ", from+i), "remote", now, 0))
					}
				})
			},
			"delete": func(t *rapid.T) {
				key := drawKey(t)
				both(func(e *Engine) {
					_, _, err := e.Delete(now, key)
					require.NoError(t, err)
				})
			},
			"let go": func(t *rapid.T) {
				key := drawKey(t)
				both(func(e *Engine) {
					s, k, pos := e.lock(key)
					defer s.w.Unlock()
					if p := e.placeOf(s, k, pos, key); p.old != nil {
						e.letGoLocked(&p)
					}
				})
			},
			"sweep": func(*rapid.T) {
				now += 5_000
				both(func(e *Engine) { e.Sweep(now, 1_000) })
			},
			"rekey": func(t *rapid.T) {
				k := merkle.Key{Created: rapid.Uint64Range(0, 1000).Draw(t, "created"), Secret: [16]byte{rapid.Byte().Draw(t, "secret")}}
				both(func(e *Engine) { e.Rekey(k) })
			},
			"defer":       func(*rapid.T) { ends = append(ends, e.DeferIndex()) },
			"defer again": func(*rapid.T) { ends = append(ends, e.DeferIndex()) },
			"end": func(t *rapid.T) {
				if len(ends) == 0 {
					t.Skip("it is not deferred")
				}
				ends[0]()
				ends = ends[1:]
			},
			"list": func(t *rapid.T) {
				o := ListOptions{Prefix: "key", After: drawKey(t), Limit: rapid.IntRange(0, 50).Draw(t, "limit")}
				want, wantMore := plain.List(now, o)
				got, more := e.List(now, o)
				require.Equal(t, want, got)
				require.Equal(t, wantMore, more)
				require.Zero(t, e.late())
			},
			"check": func(t *rapid.T) { require.NoError(t, e.Check()) },
			"": func(t *rapid.T) {
				require.Equal(t, e.memory(), e.Memory())
				if len(ends) == 0 {
					require.Zero(t, e.late())
				}
			},
		})
		for _, end := range ends {
			end()
		}
		require.Zero(t, e.late())
		require.NoError(t, e.Check())
		want, _ := plain.List(now, ListOptions{})
		got, _ := e.List(now, ListOptions{})
		require.Equal(t, want, got)
	})
}

func TestADeferredIndexIsSortedInAtTheEnd(t *testing.T) {
	e := newEngine(t, Config{})
	end, other := e.DeferIndex(), e.DeferIndex()
	for i := range 1_000 {
		e.Apply(wall, remotePut(fmt.Sprint("key ", i), "remote", wall, 0))
	}
	require.Equal(t, 1_000, e.late())
	end()
	require.Equal(t, 1_000, e.late(), "another one wants it deferred")
	other()
	require.Zero(t, e.late())
	defer e.DeferIndex()()
	e.Apply(wall, remotePut("key late", "remote", wall, 0))
	require.Equal(t, 1, e.late())
	e.IndexNow()
	require.Zero(t, e.late())
	e.Apply(wall, remotePut("key now", "remote", wall, 0))
	require.Zero(t, e.late(), "though somebody defers still")
	page, _ := e.List(wall, ListOptions{})
	require.Len(t, page, 1_002)
}
