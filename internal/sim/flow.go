package sim

import (
	"math/rand/v2"
	"time"
)

// flow is one direction of a stream: messages in order, each not before its
// time. A cut holds up the first and so all behind it.
type flow struct {
	net     *Network
	dir     direction
	deliver func(message)

	queue []message
	last  time.Time // no message arrives before the one ahead of it
	timer *Timer    // of the first message
	waits bool      // held up by a cut
	dead  bool
}

type message struct {
	at    time.Time
	bytes []byte
	open  bool  // the stream's opening
	end   bool  // its end
	err   error // how it ends; nil in order
}

// send puts a message at the end, to arrive late by so much beside what the
// link makes of it.
func (f *flow) send(m message, late time.Duration) {
	if f.dead {
		return
	}
	n, l := f.net, f.net.linkOf(f.dir)
	r := n.w.rand
	late += n.delay(l)
	if r.Float64() < l.Loss { // it is sent again
		late += 2*l.Delay + upTo(r, 200*time.Millisecond)
	}
	if r.Float64() < l.Stall {
		n.counts.Stalled++
		late += upTo(r, l.StallFor)
	}
	m.at = n.w.now.Add(late)
	if m.at.Before(f.last) {
		m.at = f.last
	}
	f.last = m.at
	f.queue = append(f.queue, m)
	if len(f.queue) == 1 {
		f.timer = n.w.At(m.at, f.pump)
	}
}

// pump delivers what is due.
func (f *flow) pump() {
	for len(f.queue) > 0 && !f.waits {
		m := f.queue[0]
		if m.at.After(f.net.w.now) {
			f.timer = f.net.w.At(m.at, f.pump)
			return
		}
		if f.net.cut[f.dir] {
			f.waits = true
			f.net.waiting = append(f.net.waiting, f)
			f.net.counts.CutStreams++
			return
		}
		f.queue = f.queue[1:]
		f.deliver(m)
	}
}

// mended goes on after a cut, when the sender tries again.
func (f *flow) mended() {
	f.waits = false
	f.timer = f.net.w.After(upTo(f.net.w.rand, time.Second), f.pump)
}

// opening reports whether the stream's opening has yet to arrive.
func (f *flow) opening() bool { return len(f.queue) > 0 && f.queue[0].open }

// drop takes back what has not arrived, but for the first few messages.
func (f *flow) drop(keep int) {
	f.queue = f.queue[:keep]
	if keep == 0 {
		f.timer.Stop()
		f.waits = false
	}
}

// stop drops everything, and lets nothing more through.
func (f *flow) stop() {
	f.drop(0)
	f.dead = true
}

// upTo draws a duration from [0, high).
func upTo(r *rand.Rand, high time.Duration) time.Duration {
	if high <= 0 {
		return 0
	}
	return time.Duration(r.Int64N(int64(high)))
}
