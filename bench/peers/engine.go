package main

import (
	"errors"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/merkle"
)

// engineStore is gokv's engine, which does more than the others on each put: it
// assigns a version, updates the digest and the order of keys, and schedules what
// expires. It reads the clock as a node does.
type engineStore struct{ e *engine.Engine }

func newEngine() store { return engineStore{newGokv()} }

func newGokv() *engine.Engine {
	return engine.New(engine.Config{Instance: 1, Key: merkle.Key{Secret: [16]byte{1}}})
}

func now() int64 { return time.Now().UnixMilli() }

func (s engineStore) get(key string, room []byte) ([]byte, bool) {
	ent, err := s.e.Get(now(), key, room)
	if err != nil {
		return nil, false
	}
	return ent.Value, true
}

func (s engineStore) put(key string, value []byte) {
	// As a node does: whoever is put aside after reading the time for longer
	// than the allowed skew reads it again.
	for {
		_, err := s.e.Put(now(), key, value, engine.PutOptions{})
		if err == nil {
			return
		}
		if !errors.Is(err, engine.ErrClockAhead) {
			panic(err) // the keys, values and clock are ours
		}
	}
}

// purge is what a node does that all who count have seen all, as one alone.
func (s engineStore) purge() {
	s.e.Purge(s.e.Report([]uint64{s.e.Instance()}), nil, func(uint64) bool { return true })
}

func (s engineStore) remove(key string) {
	if _, _, err := s.e.Delete(now(), key); err != nil {
		panic(err)
	}
}

func (s engineStore) offHeap() int { return int(s.e.Memory().Records) }
