package main

import (
	"bytes"

	"github.com/puzpuzpuz/xsync/v4"
)

type xsyncMap struct{ m *xsync.Map[string, []byte] }

func newXsyncMap() store { return &xsyncMap{xsync.NewMap[string, []byte]()} }

func (s *xsyncMap) get(key string, _ []byte) ([]byte, bool) { return s.m.Load(key) }

func (s *xsyncMap) put(key string, value []byte) { s.m.Store(key, bytes.Clone(value)) }

func (s *xsyncMap) remove(key string) { s.m.Delete(key) }

func (s *xsyncMap) offHeap() int { return 0 }
