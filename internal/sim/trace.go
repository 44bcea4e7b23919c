package sim

import (
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// trace is a running hash of all that has happened, and a way to print it.
type trace struct {
	hash uint64
	out  func(string)
}

func (t *trace) mix(x uint64) {
	t.hash = bits.RotateLeft64((t.hash^x)*0x9e3779b97f4a7c15, 29)
}

// Trace mixes something that happened into the trace hash.
func (w *World) Trace(what string, values ...uint64) {
	w.trace.mix(xxhash.Sum64String(what))
	for _, v := range values {
		w.trace.mix(v)
	}
}

// TraceBytes mixes bytes into the trace hash.
func (w *World) TraceBytes(b []byte) { w.trace.mix(xxhash.Sum64(b)) }

// TraceHash is the hash of all that has happened so far.
func (w *World) TraceHash() uint64 { return w.trace.hash }

// LogTo makes the world say what happens, a line each, to f; nil: to nobody.
func (w *World) LogTo(f func(line string)) { w.trace.out = f }

// Logging reports whether Logf has a listener, for lines costly to make.
func (w *World) Logging() bool { return w.trace.out != nil }

// Logf says something to whoever LogTo named. It is no part of the trace hash.
func (w *World) Logf(format string, args ...any) {
	if w.trace.out != nil {
		w.trace.out(fmt.Sprintf("%12.6fs  ", w.Elapsed().Seconds()) + fmt.Sprintf(format, args...))
	}
}
