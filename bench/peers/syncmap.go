package main

import (
	"bytes"
	"sync"
)

type syncMap struct{ m sync.Map }

func (s *syncMap) get(key string, _ []byte) ([]byte, bool) {
	v, ok := s.m.Load(key)
	if !ok {
		return nil, false
	}
	return v.([]byte), true
}

func (s *syncMap) put(key string, value []byte) { s.m.Store(key, bytes.Clone(value)) }

func (s *syncMap) remove(key string) { s.m.Delete(key) }

func (s *syncMap) offHeap() int { return 0 }
