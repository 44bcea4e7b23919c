package simcluster

import (
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/internal/sim"
	"github.com/tochemey/gokv/merkle"
)

// link carries a node's pushes to one peer: one stream, one push at a time.
type link struct {
	n        *node
	peer     uint64
	stream   *sim.Stream
	hidden   causal.Vector // what has been said on it of what the node hides
	seq      uint64        // of the push in flight; 0: none
	deadline *sim.Timer
}

// push sends a batch, over a new stream if there is none.
func (n *node) push(p replica.Push) {
	l, hidden := n.links[p.To], n.engine.Hidden()
	if l != nil && l.seq == 0 && replica.Outdated(l.hidden, hidden) {
		delete(n.links, l.peer)
		l.stream.OnClose = nil
		l.stream.Close()
		l = nil
	}
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
	frame := replica.PushFrame{
		Seq: p.Seq, Clock: n.engine.Clock().Read(), Hidden: replica.News(&l.hidden, hidden), Entries: p.Entries,
	}
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
	if ack.Held > 0 {
		l.n.replicate(func(now time.Time, out *replica.Effects) { l.n.replica.PushUnseen(now, l.peer, out) })
	}
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
func (n *node) servePush(peer uint64, s *sim.Stream) {
	ends, ok := n.horizon.PushesBegin(peer)
	if !ok {
		n.c.count("streams of an instance that is gone refused")
		s.Reset()
		return
	}
	pushes := replica.NewPushes(n.engine, func(e *engine.Entry, outcome merkle.Outcome, _ int64) {
		if outcome == merkle.Unseen {
			n.c.count("pushes that waited in vain")
		}
		n.applied(e, outcome)
	})
	waits := false
	var look func()
	look = func() {
		pushes.Look(n.c.world.Now(), n.wall)
		if waits = pushes.Holds(); waits {
			n.proc.After(replica.HoldCheck, look)
			return
		}
		delete(n.holds, pushes)
	}
	over := false
	s.OnClose = func(error) {
		if !over {
			over = true
			pushes.End(n.c.world.Now(), n.wall)
			ends()
		}
	}
	// A connection that has failed ends its streams, whatever became of the peer.
	n.serving = append(n.serving, func() (done bool) {
		if !over && n.horizon.Gone(peer) {
			s.OnClose(nil)
			s.Reset()
		}
		return over
	})
	s.OnMessage = func(b []byte) {
		if n.horizon.Gone(peer) {
			s.OnClose(nil)
			s.Reset()
			return
		}
		frame, err := replica.ParsePush(b)
		if err != nil {
			n.c.failf("%s: %v", n.host.name, err)
			return
		}
		n.observe(frame.Clock)
		pushes.Take(n.c.world.Now(), n.wall, frame, n.joining())
		if pushes.Holds() && !waits {
			n.c.count("pushes that waited")
			n.holds[pushes] = true
			look()
		}
		s.Send(replica.AckFrame{Seq: frame.Seq, Clock: n.engine.Clock().Read(), Held: pushes.Unseen()}.AppendTo(nil))
	}
}
