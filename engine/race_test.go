package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/merkle"
)

// Everything at once, on few keys. The race detector looks on; at the end the
// indexes agree, and what readers were given has not changed.
func TestEverythingMayHappenAtOnce(t *testing.T) {
	e := newEngine(t, Config{})
	const rounds = 400
	var wg sync.WaitGroup
	var failures sync.Map
	each := func(name string, do func(r *rand.Rand, now int64, key string) error) {
		for seed := range uint64(2) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, 0))
				for i := range rounds {
					if err := do(r, wall+int64(i), fmt.Sprint("key ", r.IntN(20))); err != nil {
						failures.Store(name, err)
						return
					}
				}
			})
		}
	}
	each("put", func(r *rand.Rand, now int64, key string) error {
		_, err := e.Put(now, key, make([]byte, r.IntN(64)), PutOptions{TTL: time.Duration(r.IntN(50)) * time.Millisecond})
		return err
	})
	each("delete", func(_ *rand.Rand, now int64, key string) error {
		_, _, err := e.Delete(now, key)
		return err
	})
	each("persist", func(_ *rand.Rand, now int64, key string) error {
		_, _ = e.Persist(now, key) // there may be nothing to persist
		return nil
	})
	each("apply", func(r *rand.Rand, now int64, key string) error {
		if outcome, _ := e.Apply(now, remotePut(key, "remote", now-int64(r.IntN(9)), now+5)); outcome == merkle.Refused {
			return fmt.Errorf("%s refused", key)
		}
		return nil
	})
	each("push", func(r *rand.Rand, now int64, key string) error {
		ent := remotePut(key, "pushed", now, 0)
		ent.Version.Instance = 50
		if outcome, _ := e.Push(now, ent, nil, r.IntN(2) == 0); outcome == merkle.Refused {
			return fmt.Errorf("%s refused", key)
		}
		clock, last := e.Progress()
		e.Reach(51, clock, last)
		_ = e.Hidden()
		return nil
	})
	each("talk and purge", func(r *rand.Rand, now int64, _ string) error {
		st := e.State()
		theirs := causal.Seen{Base: st.Knowledge.Seen.Base}
		src := e.Source(func() int64 { return now }).Of(&theirs)
		for _, it := range src.Items(merkle.Range{}, 0, nil, 3) {
			if r.IntN(5) == 0 {
				if !src.Surplus(it) {
					src.LetGo(it)
				}
			}
		}
		e.Purge(e.Report(nil), nil, func(uint64) bool { return true })
		return nil
	})
	each("sweep", func(_ *rand.Rand, now int64, _ string) error {
		e.Sweep(now+1000, 5)
		return nil
	})
	each("rekey", func(r *rand.Rand, _ int64, _ string) error {
		if r.IntN(20) == 0 {
			e.Rekey(merkle.Key{Created: r.Uint64N(1000), Secret: [16]byte{byte(r.IntN(256))}})
		}
		return nil
	})
	each("read", func(_ *rand.Rand, now int64, key string) error {
		ent, err := e.Get(now, key, nil)
		if err == nil && (ent.Key != key || Checksum(ent.Value) != ent.Checksum) {
			return fmt.Errorf("%s: got %v", key, ent)
		}
		page, _ := e.List(now, ListOptions{Prefix: "key", Limit: 5})
		for i := 1; i < len(page); i++ {
			if page[i-1].Key >= page[i].Key {
				return fmt.Errorf("%s after %s", page[i].Key, page[i-1].Key)
			}
		}
		_ = e.Stats()
		return nil
	})
	each("defer the index", func(r *rand.Rand, now int64, key string) error {
		defer e.DeferIndex()()
		_, err := e.Put(now, key, make([]byte, r.IntN(64)), PutOptions{})
		return err
	})
	each("round", func(_ *rand.Rand, now int64, _ string) error {
		src := e.Source(func() int64 { return now })
		src.Root()
		var children [merkle.Fanout]merkle.Node
		src.Children(merkle.Range{}, &children)
		for _, it := range src.Items(merkle.Range{}, 0, nil, 5) {
			wire := src.AppendEntry(nil, it)
			if len(wire) == 0 {
				continue // a rekey moved it
			}
			if _, err := src.Apply(wire); err != nil {
				return err
			}
		}
		return nil
	})
	each("check", func(r *rand.Rand, _ int64, _ string) error {
		if r.IntN(10) > 0 {
			return nil
		}
		return e.Check()
	})
	wg.Wait()
	failures.Range(func(name, err any) bool {
		require.NoError(t, err.(error), name)
		return true
	})
}
