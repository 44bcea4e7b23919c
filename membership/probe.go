package membership

import (
	"slices"
	"time"
)

// maxChecks bounds the probes out of turn that are in flight at one time.
const maxChecks = 16

// prober asks one member after the other whether it is alive (SWIM §3.1).
type prober struct {
	// ring is this round's order: every member that we probe once, shuffled
	// anew each round (SWIM §4.3), so that a member waits for at most two
	// rounds. It may hold some that are no longer probed.
	ring     []*row
	ringAt   int
	ringPass uint64

	nextProbe time.Time // zero when there is nobody to probe, or a probe of the round is in flight
	open      []*probe  // in flight: one of the round at most, and checks
}

// probe is one question to one instance.
type probe struct {
	target   *row
	instance uint64 // of the target when the probe began
	seq      uint32
	check    bool // out of turn, to verify a suspicion
	began    time.Time
	again    time.Time // when it is sent once more; zero when no more
	indirect time.Time // when others are asked; zero once they are
	deadline time.Time
	// asked is how many others were, silent how many of them have not said
	// yet that they had no answer either.
	asked, silent int
}

func (p *probe) next() time.Time {
	next := p.deadline
	for _, at := range [...]time.Time{p.again, p.indirect} {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

func (p *prober) next() time.Time {
	next := p.nextProbe
	for _, o := range p.open {
		if at := o.next(); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// inTurn returns the probe of the round that is in flight, or nil.
func (p *prober) inTurn() *probe {
	for _, o := range p.open {
		if !o.check {
			return o
		}
	}
	return nil
}

// asking tells whether a probe of an instance is in flight.
func (p *prober) asking(instance uint64) bool {
	return slices.ContainsFunc(p.open, func(o *probe) bool { return o.instance == instance })
}

// abandon drops the probes in flight without a verdict.
func (p *prober) abandon(now time.Time) {
	if p.inTurn() != nil {
		p.nextProbe = now
	}
	p.open = nil
}

// welcome takes a member that has become live into the round, and wakes the
// machine up if there was nobody to probe or exchange tables with.
func (m *Machine) welcome(now time.Time, r *row) {
	p := &m.prober
	if !m.sparse() { // else it is for neighbours to tell
		m.enlist(r)
	}
	if p.nextProbe.IsZero() && p.inTurn() == nil && !m.left {
		p.nextProbe = now.Add(m.fraction(m.cfg.ProbeInterval))
	}
	m.scheduleExchange(now)
	m.joined++
}

// enlist puts a member at a random place of what is left of the round
// (SWIM §4.3).
func (m *Machine) enlist(r *row) {
	p := &m.prober
	if r.ring == p.ringPass && slices.Contains(p.ring[p.ringAt:], r) {
		return
	}
	at := p.ringAt + m.cfg.Rand.IntN(len(p.ring)-p.ringAt+1)
	p.ring = slices.Insert(p.ring, at, r)
	r.ring = p.ringPass
}

// fraction draws a part of d, so that members who start together do not stay
// in step.
func (m *Machine) fraction(d time.Duration) time.Duration {
	return time.Duration(m.cfg.Rand.Int64N(int64(d)))
}

// tickProbe moves the probes in flight on, and starts the next.
func (m *Machine) tickProbe(now time.Time, out *Effects) {
	p := &m.prober
	for _, o := range slices.Clone(p.open) {
		if due(o.again, now) {
			m.askAgain(now, o, out)
		}
		if due(o.indirect, now) {
			o.indirect = time.Time{}
			m.probeIndirectly(o, out)
		}
		if due(o.deadline, now) {
			m.failProbe(now, o, out)
		}
	}
	if due(p.nextProbe, now) {
		p.nextProbe = time.Time{}
		if r := m.nextTarget(); r != nil {
			m.ask(now, r, false, out)
		}
	}
}

// ask probes a member. How long it may take depends on our own health
// (Lifeguard, Local Health Aware Probe).
func (m *Machine) ask(now time.Time, r *row, check bool, out *Effects) {
	o := &probe{
		target: r, instance: r.Instance, seq: m.nextSeq(), check: check, began: now,
		indirect: now.Add(m.stretch(m.cfg.ProbeTimeout)), deadline: now.Add(m.stretch(m.cfg.ProbeInterval)),
	}
	if !m.cfg.Plain {
		o.again = now.Add(m.stretch(m.cfg.ProbeTimeout) / 2)
	}
	m.prober.open = append(m.prober.open, o)
	m.sendProbe(r, o.seq, out)
}

// askAgain repeats a probe that has not been answered, at half the time-out
// and each such time after that, until its end is near. It costs nothing while
// answers come; where three datagrams in ten are lost, half of all probes
// would fail but for this, and every third relayed one as well.
func (m *Machine) askAgain(now time.Time, o *probe, out *Effects) {
	o.again = now.Add(m.stretch(m.cfg.ProbeTimeout) / 2)
	if !o.again.Before(o.deadline) {
		o.again = time.Time{}
	}
	if o.target.Instance == o.instance && o.target.State.live() {
		m.sendProbe(o.target, o.seq, out)
	}
}

// check probes out of turn a member that others suspect, if we are one of
// those who monitor it. So a suspicion is confirmed, or the suspect told of
// it, after one probe, whoever's turn it is. (Lifeguard waits for turns.)
func (m *Machine) check(now time.Time, r *row, out *Effects) {
	if m.cfg.Plain || m.left || r.State != Suspect || len(m.prober.open) > maxChecks || m.prober.asking(r.Instance) || !m.monitors(r) {
		return
	}
	m.ask(now, r, true, out)
}

// nextTarget returns whose turn it is; nil when nobody is live.
func (m *Machine) nextTarget() *row {
	p := &m.prober
	for len(m.table.live) > 0 {
		probed := m.table.live
		if m.sparse() {
			probed = m.neighbours() // first, for it may change the round
		}
		for p.ringAt < len(p.ring) {
			r := p.ring[p.ringAt]
			p.ring[p.ringAt] = nil
			p.ringAt++
			if m.probed(r) {
				return r
			}
		}
		p.ring = append(p.ring[:0], probed...)
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
// accused member learns of it from whoever probes it (Lifeguard, Buddy
// System).
func (m *Machine) sendProbe(r *row, seq uint32, out *Effects) {
	msg := &Probe{Seq: seq, From: m.self.Instance, To: r.Instance, Payload: m.payload()}
	var first, unfit []*row
	if r.State != Alive && !m.cfg.Plain {
		first = []*row{r}
	}
	msg.Updates, unfit = m.updates(m.room(msg), r.Instance, first)
	m.send(r.PeerAddr, msg, out)
	m.gossipRest(r.PeerAddr, r.Instance, unfit, out)
}

// probeIndirectly asks k other members to probe the target (SWIM §3.1), and
// to say so if they have no answer (Lifeguard, Local Health Aware Probe).
func (m *Machine) probeIndirectly(o *probe, out *Effects) {
	for _, r := range m.helpers(o.target, m.cfg.IndirectProbes) {
		msg := &PingReq{Seq: o.seq, From: m.self.Instance, Target: o.instance, WantNack: !m.cfg.Plain}
		msg.Updates, _ = m.updates(m.room(msg), r.Instance, nil)
		m.send(r.PeerAddr, msg, out)
		o.asked++
	}
	o.silent = o.asked
}

// failProbe ends a probe that nobody answered.
func (m *Machine) failProbe(now time.Time, o *probe, out *Effects) {
	m.endProbe(o, ProbeTimeout, out)
	if m.heldUp() {
		m.doubt()
		return // it may not even have been sent
	}
	if o.silent*2 > o.asked && m.heard.Before(o.began) {
		// Helpers that do not answer either, nor anybody else: it may be us.
		// Whoever hears others is well; many may have gone at once.
		m.doubt()
	}
	r := o.target
	switch {
	case r.Instance != o.instance:
	case r.State == Alive:
		m.becomeSuspect(now, r, out)
	case r.State == Suspect:
		m.confirm(now, r, []uint64{m.self.Instance})
	}
}

// endProbe closes a probe in flight. The next of the round begins a whole
// interval after this one did.
func (m *Machine) endProbe(o *probe, result ProbeResult, out *Effects) {
	p := &m.prober
	out.event(Event{Kind: EventProbe, Member: o.target.Member, Probe: result})
	if !o.check {
		p.nextProbe = o.deadline
	}
	p.open = slices.DeleteFunc(p.open, func(other *probe) bool { return other == o })
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
	case m.cfg.Plain && r.State == Suspect:
	case r != m.self && (r.State == Suspect || r.State == Dead) && !containsRow(tell, r):
		tell = append(tell, r)
	}
	return tell
}

// onAck ends the probe in flight, or goes back to whom we probed for.
func (m *Machine) onAck(now time.Time, from string, msg *Ack, out *Effects) {
	m.gossipRest(from, 0, m.hearAll(now, from, msg.Updates, out), out)
	m.handOut(msg.From, msg.Payload, out)
	for _, o := range m.prober.open {
		if msg.Seq != o.seq || msg.From != o.instance {
			continue
		}
		result := ProbeAck
		if msg.Relayed {
			result = ProbeIndirectAck
		}
		m.health.better()
		m.endProbe(o, result, out)
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
		until: now.Add(m.cfg.ProbeInterval), nackAt: now.Add(m.nackAfter()), nack: msg.WantNack,
		againAt: now.Add(m.nackAfter() / 2), again: msg.WantNack,
	})
	m.sendProbe(target, seq, out)
}

// nackAfter is how long a helper waits before it says that the target has not
// answered: four fifths of what the asker has left (Lifeguard, Local Health
// Aware Probe), so that the answer comes in time.
func (m *Machine) nackAfter() time.Duration {
	return (m.cfg.ProbeInterval - m.cfg.ProbeTimeout) * 4 / 5
}

// tickRelays repeats the probes that we make for others, once, and tells the
// askers that their targets have not answered us either. The relays stay open:
// an ack may still come.
func (m *Machine) tickRelays(now time.Time, out *Effects) {
	for i := range m.relays.open {
		r := &m.relays.open[i]
		if r.again && due(r.againAt, now) {
			r.again = false
			if target := m.table.byInstance[r.target]; target != nil && target != m.self {
				m.sendProbe(target, r.own, out)
			}
		}
		if r.nack && due(r.nackAt, now) {
			r.nack = false
			m.send(r.addr, &Nack{Seq: r.seq, From: m.self.Instance}, out)
		}
	}
}

// onNack notes that a helper is well and has no answer.
func (m *Machine) onNack(msg *Nack) {
	if m.table.byInstance[msg.From] == nil {
		return
	}
	for _, o := range m.prober.open {
		if msg.Seq == o.seq {
			o.silent = max(0, o.silent-1)
		}
	}
}
