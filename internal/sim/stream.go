package sim

import (
	"errors"
	"slices"
	"time"
)

// The errors with which a stream ends early.
var (
	ErrBroken  = errors.New("stream broken")
	ErrReset   = errors.New("stream reset by the peer")
	ErrRefused = errors.New("nobody at the address")
	ErrGone    = errors.New("peer gone")
)

// Stream is one end of an ordered, two-way channel of messages. Its callbacks
// run in the end's process; OnClose is called once, with nil after the far end
// has closed in order, and no OnMessage follows it. An end that calls Close or
// Reset itself hears nothing more from it.
type Stream struct {
	OnMessage func(b []byte)
	OnClose   func(err error)

	net  *Network
	at   *endpoint // whose end this is
	far  *Stream   // the other end; nil until it has been accepted
	to   string
	out  *flow
	done bool
}

// Dial opens a stream of a kind. It does not wait: what is sent goes after the
// opening, in order, and OnClose says if nobody is there.
func (n *Network) Dial(from, to string, kind byte) *Stream {
	s := &Stream{net: n, at: n.hosts[from], to: to}
	if s.at == nil {
		s.done = true
		return s
	}
	n.counts.Streams++
	s.at.streams = append(s.at.streams, s)
	target := n.hosts[to]
	s.out = &flow{net: n, dir: direction{from, to}, deliver: func(m message) {
		if m.open {
			s.accept(target, kind)
			return
		}
		s.far.deliver(m)
	}}
	s.out.send(message{open: true}, 0)
	return s
}

// accept makes the far end, at the process that was there when s was dialled.
func (s *Stream) accept(target *endpoint, kind byte) {
	n := s.net
	if target == nil || n.hosts[s.to] != target {
		n.w.Trace("refused " + s.at.addr + " " + s.to)
		s.out.stop()
		n.w.After(n.delay(n.linkOf(direction{s.to, s.at.addr})), func() { s.end(ErrRefused) })
		return
	}
	far := &Stream{net: n, at: target, far: s, to: s.at.addr}
	far.out = &flow{net: n, dir: direction{s.to, s.at.addr}, deliver: s.deliver}
	s.far = far
	target.streams = append(target.streams, far)
	n.w.Trace("accept "+s.at.addr+" "+s.to, uint64(kind))
	target.proc.Do(func() { target.host.Accept(s.at.addr, kind, far) })
}

// Send sends a message; after the stream's end it does nothing. b is not kept.
func (s *Stream) Send(b []byte) {
	if s.done {
		return
	}
	n, l := s.net, s.net.linkOf(s.out.dir)
	n.counts.Messages++
	if n.w.rand.Float64() < l.Break {
		n.counts.Broken++
		n.w.Logf("%s -> %s: stream broken", s.at.addr, s.to)
		s.breakBoth(ErrBroken)
		return
	}
	s.out.send(message{bytes: slices.Clone(b)}, 0)
}

// breakBoth ends both directions: each end learns of it after its own delay.
func (s *Stream) breakBoth(err error) {
	s.out.stop()
	ends := []*Stream{s}
	if s.far != nil {
		s.far.out.stop()
		ends = append(ends, s.far)
	}
	for _, e := range ends {
		s.net.w.After(s.net.delay(s.net.linkOf(e.out.dir)), func() { e.end(err) })
	}
}

// Close ends the stream in order: the far end gets what was sent, then OnClose
// with nil.
func (s *Stream) Close() {
	if s.leave() {
		s.out.send(message{end: true}, 0)
	}
}

// Reset ends the stream at once; what has not arrived yet is dropped.
func (s *Stream) Reset() {
	if !s.leave() {
		return
	}
	if s.out.opening() {
		s.out.stop() // the far end never comes to be
		return
	}
	s.out.drop(0)
	s.out.send(message{end: true, err: ErrReset}, 0)
}

// deliver hands a message to this end.
func (s *Stream) deliver(m message) {
	if m.end {
		s.end(m.err)
		return
	}
	if s.done {
		return
	}
	s.net.w.Trace("message "+s.to+" "+s.at.addr, uint64(len(m.bytes)))
	s.net.w.TraceBytes(m.bytes)
	s.at.proc.Do(func() {
		if !s.done && s.OnMessage != nil {
			s.OnMessage(m.bytes)
		}
	})
}

// end tells this end that the stream is over.
func (s *Stream) end(err error) {
	if s.done {
		return
	}
	s.at.proc.Do(func() {
		if s.leave() && s.OnClose != nil {
			s.OnClose(err)
		}
	})
}

// leave takes this end out of use; false: it was already.
func (s *Stream) leave() bool {
	if s.done {
		return false
	}
	s.done = true
	if i := slices.Index(s.at.streams, s); i >= 0 {
		s.at.streams = slices.Delete(s.at.streams, i, i+1)
	}
	return true
}

// gone ends a stream whose own process has crashed: part of what it sent may
// still arrive, and the far end learns of the crash within three seconds.
func (s *Stream) gone() {
	s.leave()
	if s.out.opening() {
		s.out.stop()
		return
	}
	r := s.net.w.rand
	s.out.drop(r.IntN(len(s.out.queue) + 1))
	s.out.send(message{end: true, err: ErrGone}, upTo(r, 3*time.Second))
}
