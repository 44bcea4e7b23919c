package wire

import (
	"fmt"
	"testing"
	"time"
)

func BenchmarkRequest(b *testing.B) {
	for _, size := range []int{100, 10 << 10} {
		r := Request{Op: OpPut, Key: []byte("services/api/10.0.0.1"), Value: make([]byte, size), Timeout: time.Second, Clock: 1}
		body := r.AppendTo(nil)
		b.Run(fmt.Sprintf("append/size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, len(body))
			for b.Loop() {
				buf = r.AppendTo(buf[:0])
			}
		})
		b.Run(fmt.Sprintf("parse/size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			var got Request
			for b.Loop() {
				if err := got.Parse(OpPut, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	page := Response{More: true}
	for i := range 1000 {
		page.Entries = append(page.Entries, Entry{Key: fmt.Appendf(nil, "services/%04d", i), Value: make([]byte, 100), Version: [16]byte{1}})
	}
	for name, r := range map[string]*Response{
		"get":        {Value: make([]byte, 100), Version: [16]byte{1}, Clock: 1},
		"list=1,000": &page,
	} {
		body := r.AppendTo(nil)
		b.Run("append/"+name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, len(body))
			for b.Loop() {
				buf = r.AppendTo(buf[:0])
			}
		})
		b.Run("parse/"+name, func(b *testing.B) {
			b.ReportAllocs()
			var got Response
			for b.Loop() {
				if err := got.Parse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
