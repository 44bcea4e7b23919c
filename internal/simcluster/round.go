package simcluster

import (
	"errors"
	"strings"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/internal/sim"
	"github.com/tochemey/gokv/merkle"
)

// dialogue is one side of a session on its stream.
type dialogue struct {
	n         *node
	peer      uint64
	initiator bool
	stream    *sim.Stream
	session   *replica.Session
	began     time.Time
	ends      func() // of the horizon's
	over      bool
	deadline  *sim.Timer
}

// framesAStep is how many frames are made at once: writes come in between, as
// they do while a real stream is full.
const framesAStep = 2

// converse begins this node's side of a round on a stream.
func (n *node) converse(peer uint64, initiator bool, s *sim.Stream) {
	d := &dialogue{n: n, peer: peer, initiator: initiator, stream: s, began: n.c.world.Now()}
	ends, ok := n.horizon.SessionBegins(peer)
	if !ok {
		n.c.count("streams of an instance that is gone refused")
		s.Reset()
		if initiator {
			n.proc.After(0, func() {
				n.replicate(func(now time.Time, out *replica.Effects) {
					n.replica.RoundDone(now, peer, replica.RoundResult{Initiator: true, Failed: true, Began: d.began}, out)
				})
			})
		}
		return
	}
	d.ends = ends
	if n.joining() {
		sortIn := n.engine.DeferIndex()
		d.ends = func() { ends(); sortIn() }
	}
	d.session = replica.NewSession(replica.SessionConfig{
		Initiator: initiator, Engine: n.engine, Now: n.wall, Ready: n.serves(), Salt: n.rand.Uint64(), MaxFrame: n.c.history.frameBytes,
		Applied: func(e *engine.Entry, _ int64) { n.learn(strings.Clone(e.Key), e.Version) },
	})
	s.OnMessage = d.onMessage
	s.OnClose = func(error) { d.end(true) }
	d.progress()
	d.speak()
}

// initiate opens the round that the replication machine asked for.
func (n *node) initiate(r replica.RoundStart) {
	n.c.count("rounds: " + r.Reason.String())
	if r.Reason != replica.ReasonUnlike { // it is rare, and wanted for no entries
		n.c.rounds++
	}
	n.c.world.Logf("%s: round with %016x: %s", n.host.name, r.Peer, r.Reason)
	n.converse(r.Peer, true, n.dial(n.peers[r.Peer], r.Peer, streamRound))
}

func (n *node) serveRound(peer uint64, s *sim.Stream) { n.converse(peer, false, s) }

func (d *dialogue) progress() {
	d.deadline.Stop()
	d.deadline = d.n.proc.After(progressTimeout, func() {
		d.n.c.count("rounds timed out")
		d.end(true)
	})
}

// speak sends what there is to say, a few frames at a time.
func (d *dialogue) speak() {
	if d.over {
		return
	}
	for range framesAStep {
		frame, ok := d.session.Next(d.n.scratch[:0])
		switch {
		case ok:
		case d.session.Err() != nil:
			d.overtaken()
			return
		case d.session.Done():
			d.end(false)
			return
		default:
			return
		}
		d.n.scratch = frame
		d.progress()
		d.stream.Send(frame)
		if d.over { // the link broke
			return
		}
	}
	d.n.proc.After(0, d.speak)
}

func (d *dialogue) onMessage(b []byte) {
	d.progress()
	if err := d.session.Receive(b); errors.Is(err, merkle.ErrKeyChanged) {
		d.overtaken()
		return
	} else if err != nil {
		d.n.c.failf("%s: round with %016x: %v", d.n.host.name, d.peer, err)
		return
	}
	d.speak()
}

func (d *dialogue) overtaken() {
	d.n.c.count("rounds overtaken by another's digest key")
	d.end(true)
}

func (d *dialogue) end(failed bool) {
	if d.over {
		return
	}
	d.over = true
	d.deadline.Stop()
	if failed {
		d.stream.Reset()
	} else {
		d.stream.Close()
	}
	n, stats := d.n, d.session.Result()
	d.ends()
	d.tally(failed, stats)
	n.replicate(func(now time.Time, out *replica.Effects) {
		n.replica.RoundDone(now, d.peer, replica.RoundResult{
			Initiator: d.initiator, Failed: failed, Converged: stats.Converged, PeerReady: stats.PeerReady, Began: d.began,
		}, out)
	})
}

func (d *dialogue) tally(failed bool, stats replica.SessionResult) {
	c := d.n.c
	switch {
	case failed:
		c.count("rounds failed")
	case stats.Equal:
		c.count("rounds equal at once")
	case stats.Converged:
		c.count("rounds repaired")
	default:
		c.count("rounds that left a difference")
	}
	if stats.Rekeyed {
		c.count("rounds that rekeyed")
	}
	if stats.Agreed {
		c.count("rounds that agreed")
	}
	c.counts["dead entries brought by rounds"] += stats.DeadReceived
	c.counts["entries brought by rounds"] += int(stats.Applied)
	c.world.Logf("%s: round with %016x over: initiator %v, failed %v, %+v", d.n.host.name, d.peer, d.initiator, failed, stats)
}
