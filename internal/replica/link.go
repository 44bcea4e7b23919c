package replica

import (
	"slices"
	"time"

	"github.com/tochemey/gokv/engine"
)

// Write hands in a local write, in any order. It is pushed at once to each live peer whose link is
// idle, and queued for the others.
func (m *Machine) Write(now time.Time, e *engine.Entry, out *Effects) {
	m.WriteBatch(now, []*engine.Entry{e}, out)
}

// WriteBatch hands in local writes that were done together, in the order of their
// versions. They go to each peer in one push, whatever Config.BatchBytes says.
func (m *Machine) WriteBatch(now time.Time, together []*engine.Entry, out *Effects) {
	for _, p := range m.peers {
		if !p.up {
			continue
		}
		if p.inflight == 0 {
			m.send(p, slices.Clone(together), out)
			continue
		}
		p.queue.push(together...)
		if p.queue.bytes > m.cfg.QueueBytes {
			out.Dropped += p.queue.drop()
			m.miss(now, p, ReasonQueueDropped)
		}
	}
	m.advance(now, out)
}

// PushDone says that a push was acknowledged, or that it failed: refused,
// broken off or timed out. A result for a push that is not in flight is
// ignored. Entries that the peer refused for their version are no failure: the
// roots differ until a round brings them.
func (m *Machine) PushDone(now time.Time, instance, seq uint64, failed bool, out *Effects) {
	p := m.find(instance)
	if p == nil || seq == 0 || p.inflight != seq {
		return
	}
	p.inflight = 0
	if !p.up {
		if i, ok := m.index(instance); ok {
			m.peers = slices.Delete(m.peers, i, i+1)
		}
		return
	}
	mine := p.sending
	p.sending = false
	if failed && mine {
		// The link is in doubt; the round that is owed carries the queue too.
		out.Dropped += p.queue.drop()
		m.miss(now, p, ReasonPushFailed)
	} else if p.queue.len() > 0 {
		m.send(p, p.queue.take(m.cfg.BatchBytes), out)
	}
	m.advance(now, out)
}

// PushUnseen says that of a push some entries were merged by the peer without what
// they build upon: a round is owed, at the pace of rounds for what differs, since
// pushes go on and nothing of them is lost. PushDone is still to come.
func (m *Machine) PushUnseen(now time.Time, instance uint64, out *Effects) {
	if p := m.find(instance); p != nil && p.up {
		m.differ(now, p)
	}
	m.advance(now, out)
}

// Unlike says that members lack statements, though not entries: a round with each is
// owed.
func (m *Machine) Unlike(now time.Time, instances []uint64, out *Effects) {
	for _, id := range instances {
		if p := m.find(id); p != nil && p.up && p.owed == ReasonNone {
			m.owe(now, p, ReasonUnlike, now)
		}
	}
	m.advance(now, out)
}

func (m *Machine) send(p *peer, entries []*engine.Entry, out *Effects) {
	m.seq++
	p.inflight, p.sending = m.seq, true
	out.Pushes = append(out.Pushes, Push{To: p.Instance, Seq: m.seq, Entries: entries})
}

// miss marks a peer that has not got writes of ours.
func (m *Machine) miss(now time.Time, p *peer, why Reason) {
	p.lost = true
	m.owe(now, p, why, now)
}
