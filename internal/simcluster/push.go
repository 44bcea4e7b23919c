package simcluster

import (
	"time"

	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/internal/sim"
)

// link carries a node's pushes to one peer: one stream, one push at a time.
type link struct {
	n        *node
	peer     uint64
	stream   *sim.Stream
	seq      uint64 // of the push in flight; 0: none
	deadline *sim.Timer
}

// push sends a batch, over a new stream if there is none.
func (n *node) push(p replica.Push) {
	l := n.links[p.To]
	if l == nil {
		l = &link{n: n, peer: p.To, stream: n.dial(n.peers[p.To], p.To, streamPush)}
		l.stream.OnMessage = l.onAck
		l.stream.OnClose = func(error) { l.fail("stream ended") }
		n.links[p.To] = l
	}
	if l.seq != 0 {
		n.c.failf("%s: push %d to %016x while push %d is in flight", n.host.name, p.Seq, p.To, l.seq)
	}
	l.seq = p.Seq
	l.deadline = n.proc.After(progressTimeout, func() { l.fail("timed out") })
	frame := replica.PushFrame{Seq: p.Seq, Clock: n.engine.Clock().Read(), Prev: p.Prev, Entries: p.Entries}
	n.scratch = frame.AppendTo(n.scratch[:0])
	l.stream.Send(n.scratch)
	n.c.count("pushes")
	if len(p.Entries) > 1 {
		n.c.count("pushes that gathered writes")
	}
}

func (l *link) onAck(b []byte) {
	ack, err := replica.ParseAck(b)
	if err != nil || ack.Seq != l.seq {
		l.n.c.failf("%s: push %d was answered by %+v: %v", l.n.host.name, l.seq, ack, err)
		return
	}
	l.deadline.Stop()
	l.seq = 0
	l.n.observe(ack.Clock)
	l.done(ack.Seq, false)
}

// fail gives the stream up, and the push in flight with it.
func (l *link) fail(why string) {
	if l.n.links[l.peer] != l {
		return
	}
	delete(l.n.links, l.peer)
	l.stream.Reset()
	l.deadline.Stop()
	if l.seq != 0 {
		l.n.c.count("pushes failed: " + why)
		l.done(l.seq, true)
	}
}

func (l *link) done(seq uint64, failed bool) {
	l.n.replicate(func(now time.Time, out *replica.Effects) {
		l.n.replica.PushDone(now, l.peer, seq, failed, out)
	})
}

// servePush merges what a peer pushes and acknowledges each push.
func (n *node) servePush(s *sim.Stream) {
	s.OnMessage = func(b []byte) {
		frame, err := replica.ParsePush(b)
		if err != nil {
			n.c.failf("%s: %v", n.host.name, err)
			return
		}
		n.observe(frame.Clock)
		now := n.wall()
		for _, e := range frame.Entries {
			outcome, _ := n.engine.Apply(now, e)
			n.applied(e, outcome)
		}
		s.Send(replica.AckFrame{Seq: frame.Seq, Clock: n.engine.Clock().Read()}.AppendTo(nil))
	}
}
