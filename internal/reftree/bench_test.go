package reftree

import (
	"fmt"
	"testing"
)

// records is an arena as a slab has it: a length and a key of ten bytes, among
// other bytes, 32 for each record.
type records []byte

const recordBytes = 32

func (r records) key(ref uint32) []byte {
	at := uint64(ref) * recordBytes
	n := uint64(r[at])
	return r[at+1 : at+1+n]
}

// newRecords has the key of every second number, in random order, and the keys
// that belong between them behind those.
func newRecords(n int) records {
	r := make(records, 2*n*recordBytes)
	for i, k := range random(n) {
		for j, number := range []int{2 * k, 2*k + 1} {
			at := (i + j*n) * recordBytes
			r[at] = 10
			copy(r[at+1:], fmt.Sprintf("k:%08d", number))
		}
	}
	return r
}

const million = 1_000_000

func benchTree(b *testing.B) (*Tree, records) {
	r := newRecords(million)
	tree := New(r.key)
	for i := range uint32(million) {
		tree.Insert(i)
	}
	return tree, r
}

// The keys to insert come back after a million: they are deleted meanwhile, with
// the clock stopped.
func BenchmarkInsert(b *testing.B) {
	tree, r := benchTree(b)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		if i == million {
			b.StopTimer()
			for j := range i {
				tree.Delete(r.key(million + j))
			}
			i = 0
			b.StartTimer()
		}
		tree.Insert(million + i)
		i++
	}
}

// A million keys into an empty tree, one by one and all at once, in the order of
// their records.
func BenchmarkFill(b *testing.B) {
	r := newRecords(million)
	refs := make([]uint32, million)
	for _, how := range []struct {
		name string
		do   func(*Tree)
	}{
		{"one by one", func(t *Tree) {
			for _, ref := range refs {
				t.Insert(ref)
			}
		}},
		{"all at once", func(t *Tree) { t.InsertAll(refs) }},
	} {
		b.Run(how.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for i := range refs {
					refs[i] = uint32(i)
				}
				how.do(New(r.key))
			}
		})
	}
}

func BenchmarkDelete(b *testing.B) {
	tree, r := benchTree(b)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		if i == million/2 {
			b.StopTimer()
			for j := range i {
				tree.Insert(j)
			}
			i = 0
			b.StartTimer()
		}
		tree.Delete(r.key(i))
		i++
	}
}

func BenchmarkReplace(b *testing.B) {
	tree, r := benchTree(b)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		tree.Replace(r.key(i), i)
		i = (i + 1) % million
	}
}

func BenchmarkSeekAndHundred(b *testing.B) {
	tree, r := benchTree(b)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		c := tree.Seek(r.key(i), true)
		for range 100 {
			c.Next()
		}
		i = (i + 1) % million
	}
}

func BenchmarkNext(b *testing.B) {
	tree, _ := benchTree(b)
	b.ReportAllocs()
	var c Cursor
	for b.Loop() {
		if _, ok := c.Next(); !ok {
			c = tree.Seek(nil, true)
		}
	}
}
