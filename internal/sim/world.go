package sim

import (
	"math/rand/v2"
	"time"
)

// Epoch is when every world begins.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// World is virtual time and what is to happen in it. It is used by one
// goroutine; events run in the order of their time, equal ones in the order in
// which they were scheduled.
type World struct {
	now    time.Time
	rand   *rand.Rand
	events []event // binary heap
	seq    uint64
	steps  uint64
	trace  trace
}

type event struct {
	at    time.Time
	seq   uint64
	timer *Timer
}

func (e event) before(o event) bool {
	if !e.at.Equal(o.at) {
		return e.at.Before(o.at)
	}
	return e.seq < o.seq
}

// Timer is something that is to happen once.
type Timer struct {
	f func() // nil once it has run or was stopped
}

// Stop prevents a timer that has not run from running. A nil timer is fine.
func (t *Timer) Stop() {
	if t != nil {
		t.f = nil
	}
}

func (t *Timer) run() {
	if f := t.f; f != nil {
		t.f = nil
		f()
	}
}

// NewWorld returns a world at its Epoch. All its randomness comes from seed.
func NewWorld(seed uint64) *World {
	return &World{now: Epoch, rand: rand.New(rand.NewPCG(seed, 0x676f6b76))}
}

// Now is the virtual time.
func (w *World) Now() time.Time { return w.now }

// Elapsed is the virtual time since the Epoch.
func (w *World) Elapsed() time.Duration { return w.now.Sub(Epoch) }

// Steps is how many events have run.
func (w *World) Steps() uint64 { return w.steps }

// Rand is the world's source of randomness; whoever draws from it shifts what
// everybody after it draws.
func (w *World) Rand() *rand.Rand { return w.rand }

// Fork derives an independent source of randomness, so that its user's draws
// do not shift the others'.
func (w *World) Fork() *rand.Rand {
	return rand.New(rand.NewPCG(w.rand.Uint64(), w.rand.Uint64()))
}

// At schedules f; a time that has passed means now, after what is due already.
func (w *World) At(at time.Time, f func()) *Timer {
	if at.Before(w.now) {
		at = w.now
	}
	t := &Timer{f: f}
	w.seq++
	w.push(event{at, w.seq, t})
	return t
}

// After schedules f.
func (w *World) After(d time.Duration, f func()) *Timer { return w.At(w.now.Add(d), f) }

// Step runs the next event; false: there is none.
func (w *World) Step() bool { return w.step(time.Time{}) }

// step runs the next event up to a time; zero: any.
func (w *World) step(until time.Time) bool {
	for len(w.events) > 0 {
		next := w.events[0]
		if next.timer.f == nil { // stopped
			w.pop()
			continue
		}
		if !until.IsZero() && next.at.After(until) {
			return false
		}
		w.pop()
		w.now = next.at
		w.steps++
		w.trace.mix(uint64(next.at.UnixNano()))
		next.timer.run()
		return true
	}
	return false
}

// RunUntil runs every event up to a time, and lets the clock reach it. After
// each event it calls check, if there is one, and ends with its error.
func (w *World) RunUntil(until time.Time, check func() error) error {
	for w.step(until) {
		if check == nil {
			continue
		}
		if err := check(); err != nil {
			return err
		}
	}
	if w.now.Before(until) {
		w.now = until
	}
	return nil
}

// RunFor is RunUntil from now on, without a check.
func (w *World) RunFor(d time.Duration) {
	until := w.now.Add(d)
	for w.step(until) {
	}
	w.now = until
}

func (w *World) push(e event) {
	w.events = append(w.events, e)
	h, i := w.events, len(w.events)-1
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (w *World) pop() {
	h := w.events
	last := len(h) - 1
	h[0], h[last] = h[last], event{}
	w.events = h[:last]
	h = w.events
	for i := 0; ; {
		least, left := i, 2*i+1
		if left < last && h[left].before(h[least]) {
			least = left
		}
		if right := left + 1; right < last && h[right].before(h[least]) {
			least = right
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
