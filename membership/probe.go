package membership

import (
	"slices"
	"time"
)

// prober asks one member after the other whether it is alive (SWIM §3.1).
type prober struct {
	// ring is this round's order: every live member once, shuffled anew each
	// round (SWIM §4.3), so that a member waits for at most two rounds.
	ring     []*row
	ringAt   int
	ringPass uint64

	nextProbe time.Time // zero when there is nobody to probe

	// The probe in flight; target is nil when there is none.
	target   *row
	instance uint64 // of the target when the probe began
	seq      uint32
	indirect time.Time // when others are asked; zero once they are
	deadline time.Time
}

func (p *prober) next() time.Time {
	switch {
	case p.target == nil:
		return p.nextProbe
	case !p.indirect.IsZero():
		return p.indirect
	default:
		return p.deadline
	}
}

// abandon drops the probe in flight without a verdict.
func (p *prober) abandon(now time.Time) {
	if p.target != nil {
		p.target = nil
		p.nextProbe = now
	}
}

// welcome takes a member that has become live into the round, at a random
// place of what is left of it (SWIM §4.3), and wakes the machine up if there
// was nobody to probe or exchange tables with.
func (m *Machine) welcome(now time.Time, r *row) {
	p := &m.prober
	if r.ring != p.ringPass || !slices.Contains(p.ring[p.ringAt:], r) {
		at := p.ringAt + m.cfg.Rand.IntN(len(p.ring)-p.ringAt+1)
		p.ring = slices.Insert(p.ring, at, r)
		r.ring = p.ringPass
	}
	if p.nextProbe.IsZero() && p.target == nil && !m.left {
		p.nextProbe = now.Add(m.fraction(m.cfg.ProbeInterval))
	}
	m.scheduleExchange(now)
	m.joined++
}

// fraction draws a part of d, so that members who start together do not stay
// in step.
func (m *Machine) fraction(d time.Duration) time.Duration {
	return time.Duration(m.cfg.Rand.Int64N(int64(d)))
}

// tickProbe moves the probe in flight on, and starts the next.
func (m *Machine) tickProbe(now time.Time, out *Effects) {
	p := &m.prober
	if p.target != nil && due(p.indirect, now) {
		p.indirect = time.Time{}
		m.probeIndirectly(out)
	}
	if p.target != nil && due(p.deadline, now) {
		m.failProbe(now, out)
	}
	if p.target == nil && due(p.nextProbe, now) {
		m.startProbe(now, out)
	}
}

// startProbe probes the next live member of the round.
func (m *Machine) startProbe(now time.Time, out *Effects) {
	p := &m.prober
	p.nextProbe = time.Time{}
	r := m.nextTarget()
	if r == nil {
		return
	}
	p.target, p.instance, p.seq = r, r.Instance, m.nextSeq()
	p.indirect = now.Add(m.cfg.ProbeTimeout)
	p.deadline = now.Add(m.cfg.ProbeInterval)
	m.sendProbe(r, p.seq, out)
}

// nextTarget returns whose turn it is; nil when nobody is live.
func (m *Machine) nextTarget() *row {
	p := &m.prober
	for len(m.table.live) > 0 {
		for p.ringAt < len(p.ring) {
			r := p.ring[p.ringAt]
			p.ring[p.ringAt] = nil
			p.ringAt++
			if r.liveAt >= 0 {
				return r
			}
		}
		p.ring = append(p.ring[:0], m.table.live...)
		p.ringAt = 0
		p.ringPass++
		m.cfg.Rand.Shuffle(len(p.ring), func(i, j int) { p.ring[i], p.ring[j] = p.ring[j], p.ring[i] })
		for _, r := range p.ring {
			r.ring = p.ringPass
		}
	}
	return nil
}

// sendProbe sends a probe, with what we hold against the target first: an
// accused member learns of it from whoever probes it.
func (m *Machine) sendProbe(r *row, seq uint32, out *Effects) {
	msg := &Probe{Seq: seq, From: m.self.Instance, To: r.Instance, Payload: m.payload()}
	var first, unfit []*row
	if r.State != Alive {
		first = []*row{r}
	}
	msg.Updates, unfit = m.updates(m.room(msg), r.Instance, first)
	m.send(r.PeerAddr, msg, out)
	m.gossipRest(r.PeerAddr, r.Instance, unfit, out)
}

// probeIndirectly asks k other members to probe the target (SWIM §3.1).
func (m *Machine) probeIndirectly(out *Effects) {
	p := &m.prober
	others := m.table.sample(m.cfg.Rand, m.cfg.IndirectProbes, func(r *row) bool {
		return r != p.target && r.State == Alive
	})
	for _, r := range others {
		msg := &PingReq{Seq: p.seq, From: m.self.Instance, Target: p.instance}
		msg.Updates, _ = m.updates(m.room(msg), r.Instance, nil)
		m.send(r.PeerAddr, msg, out)
	}
}

// failProbe ends a probe that nobody answered.
func (m *Machine) failProbe(now time.Time, out *Effects) {
	r, instance := m.prober.target, m.prober.instance
	m.endProbe(ProbeTimeout, out)
	if r.Instance == instance && r.State == Alive {
		m.becomeSuspect(now, r, out)
	}
}

// endProbe closes the probe in flight. The next begins a whole interval after
// this one did.
func (m *Machine) endProbe(result ProbeResult, out *Effects) {
	p := &m.prober
	out.event(Event{Kind: EventProbe, Member: p.target.Member, Probe: result})
	p.nextProbe = p.deadline
	p.target = nil
}

// onProbe answers, if it is this instance that is asked.
func (m *Machine) onProbe(now time.Time, from string, msg *Probe, out *Effects) {
	tell := m.hearAll(now, from, msg.Updates, out)
	tell = m.accuse(now, from, msg.From, tell, out)
	if m.left && !containsRow(tell, m.self) {
		tell = append(tell, m.self)
	}
	m.handOut(msg.From, msg.Payload, out)
	if msg.To != m.self.Instance {
		// Meant for a process that was here before. To answer would keep it
		// alive in the sender's table; who we are supersedes it.
		m.gossipTo(from, msg.From, append(tell, m.self), out)
		return
	}
	ack := &Ack{Seq: msg.Seq, From: m.self.Instance, Payload: m.payload()}
	var unfit []*row
	ack.Updates, unfit = m.updates(m.room(ack), msg.From, tell)
	m.send(from, ack, out)
	m.gossipRest(from, msg.From, unfit, out)
}

// accuse adds what we hold against the sender of a message to what it is to
// be told: it lives, so it must learn that it is believed otherwise (and then
// refutes). A sender that we do not know is asked for its table.
func (m *Machine) accuse(now time.Time, from string, sender uint64, tell []*row, out *Effects) []*row {
	r := m.table.byInstance[sender]
	switch {
	case r == nil:
		m.greet(now, from, out)
	case r != m.self && (r.State == Suspect || r.State == Dead) && !containsRow(tell, r):
		tell = append(tell, r)
	}
	return tell
}

// onAck ends the probe in flight, or goes back to whom we probed for.
func (m *Machine) onAck(now time.Time, from string, msg *Ack, out *Effects) {
	m.gossipRest(from, 0, m.hearAll(now, from, msg.Updates, out), out)
	m.handOut(msg.From, msg.Payload, out)
	p := &m.prober
	if p.target != nil && msg.Seq == p.seq && msg.From == p.instance {
		result := ProbeAck
		if msg.Relayed {
			result = ProbeIndirectAck
		}
		m.endProbe(result, out)
		return
	}
	if req, ok := m.relays.take(msg.Seq, msg.From); ok && !msg.Relayed {
		ack := &Ack{Seq: req.seq, From: msg.From, Relayed: true, Payload: slices.Clone(msg.Payload)}
		ack.Updates, _ = m.updates(m.room(ack), req.asker, nil)
		m.send(req.addr, ack, out)
	}
}

// onPingReq probes for another member.
func (m *Machine) onPingReq(now time.Time, from string, msg *PingReq, out *Effects) {
	tell := m.hearAll(now, from, msg.Updates, out)
	tell = m.accuse(now, from, msg.From, tell, out)
	m.gossipRest(from, msg.From, tell, out)
	target := m.table.byInstance[msg.Target]
	if target == nil || target == m.self {
		// We send only to addresses from the table, whatever the asker says.
		return
	}
	seq := m.nextSeq()
	m.relays.add(relay{
		own: seq, seq: msg.Seq, addr: from, asker: msg.From, target: msg.Target,
		until: now.Add(m.cfg.ProbeInterval),
	})
	m.sendProbe(target, seq, out)
}
