package membership

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Machine is one member's side of the protocol. It is stepped by messages,
// time and local commands, and appends what is to be done to an Effects.
// It belongs to one goroutine.
type Machine struct {
	cfg   Config
	table table
	self  *row

	// born is the time of the first step, by which rivals.go judges; stepped
	// that of the last.
	born, stepped time.Time
	// left is set by Leave, yielded when the name was given up.
	left, yielded bool

	gossip  gossip
	prober  prober
	relays  relays
	suspect suspicion
	tables  exchange
	rivals  rivals

	// leaveDeadline is when a leave counts as told, however much of it is
	// still queued. Zero when not leaving or told.
	leaveDeadline time.Time
	// nextReap is when the first member that left is forgotten.
	nextReap time.Time
	// tableFull is set once a step, so that a flood is one event.
	tableFull bool
	// warnings is how many accusations of a table may still be passed on.
	warnings int
	// joined counts who became live.
	joined uint64

	seq     uint32
	scratch []byte
}

// New returns a machine that knows itself alone, or every wrong field of the
// configuration.
func New(cfg Config) (*Machine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Machine{cfg: cfg.withDefaults()}
	m.table.init()
	m.self = m.table.insert(m.cfg.Self)
	m.seq = m.cfg.Rand.Uint32()
	m.tables.credit = m.cfg.Rand.Float64()
	return m, nil
}

// Step takes one message that came from a peer address: a datagram's, or a
// PushPull request, whose answer is appended to out.Replies. The message is
// the machine's from then on.
func (m *Machine) Step(now time.Time, from string, msg Message, out *Effects) {
	m.begin(now)
	if m.yielded {
		return
	}
	switch msg := msg.(type) {
	case *Probe:
		m.onProbe(now, from, msg, out)
	case *Ack:
		m.onAck(now, from, msg, out)
	case *PingReq:
		m.onPingReq(now, from, msg, out)
	case *Gossip:
		m.onGossip(now, from, msg, out)
	case *Nack:
		// Reserved: it says that our relay is well, which only a local health
		// score would use.
	case *PushPull:
		if msg.Reply {
			m.refuse(from, fmt.Errorf("push-pull reply that was not asked for: %w", ErrMalformed), out)
			return
		}
		m.onRequest(now, from, msg, out)
	default:
		m.refuse(from, fmt.Errorf("message %T: %w", msg, ErrMalformed), out)
	}
}

// Tick does what is due at now. It is to be called at NextDeadline; earlier
// does nothing, later is noticed.
func (m *Machine) Tick(now time.Time, out *Effects) {
	m.begin(now)
	if m.yielded {
		return
	}
	m.expireSuspects(now, out)
	m.tickProbe(now, out)
	m.tickGossip(now, out)
	m.tickExchange(now, out)
	m.tickLeave(now, out)
	m.reapLeft(now)
	m.relays.expire(now)
}

// NextDeadline returns when Tick has something to do; zero when nothing is.
func (m *Machine) NextDeadline() time.Time {
	if m.yielded {
		return time.Time{}
	}
	var next time.Time
	for _, at := range [...]time.Time{
		m.suspect.next(), m.prober.next(), m.gossip.nextRound, m.tables.next(),
		m.leaveDeadline, m.nextReap, m.relays.next(),
	} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// begin runs before every step. A step that comes more than a probe interval
// after it was due means that this process stood still, paused or starved.
// Answers may be waiting unread, so nobody is judged by deadlines that passed
// meanwhile: the probe in flight is dropped, and every suspect gets the lost
// time back and an interval more.
func (m *Machine) begin(now time.Time) {
	if m.born.IsZero() {
		m.born = now
	}
	m.tableFull = false
	since := m.NextDeadline()
	if since.IsZero() {
		m.stepped = now
		return
	}
	if since.Before(m.stepped) {
		since = m.stepped // overdue, but awake: messages are served before the tick
	}
	m.stepped = now
	if late := now.Sub(since); late > m.cfg.ProbeInterval {
		m.prober.abandon(now)
		m.suspect.postpone(late + m.cfg.ProbeInterval)
	}
}

// due tells whether a deadline is set and has come.
func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// Self returns the own member as the cluster is told it.
func (m *Machine) Self() Member { return m.self.clone() }

// Members returns all rows, the own among them, one a name and its newest
// instance, in the names' order.
func (m *Machine) Members() []Member {
	members := make([]Member, len(m.table.all))
	for i, r := range m.table.all {
		members[i] = r.clone()
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return members
}

// Alive returns the members that are alive or suspect, the own among them, in
// the names' order.
func (m *Machine) Alive() []Member { return Live(m.Members()) }

// Leader returns the longest-lived of the live members, suspects included,
// so that a suspicion that is refuted moves nothing.
func (m *Machine) Leader() Member {
	leader, _ := LeaderOf(m.Members())
	return leader
}

// Live returns those of the members that are alive or suspect.
func Live(members []Member) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return !m.State.live() })
}

// LeaderOf returns the longest-lived of the live members: the smallest start
// time, then the smallest instance.
func LeaderOf(members []Member) (leader Member, ok bool) {
	for _, m := range members {
		if !m.State.live() {
			continue
		}
		if !ok || m.Started < leader.Started || m.Started == leader.Started && m.Instance < leader.Instance {
			leader, ok = m, true
		}
	}
	return leader, ok
}

// Version changes whenever a row does, so that a driver knows when to publish
// Members anew.
func (m *Machine) Version() uint64 { return m.table.version }

// Unanswered returns the join addresses that nobody has answered yet, oldest
// first.
func (m *Machine) Unanswered() []string { return slices.Clone(m.tables.join) }

// nextSeq numbers probes; an answer must carry the number.
func (m *Machine) nextSeq() uint32 {
	m.seq++
	return m.seq
}

// payload asks the driver for what goes with a message.
func (m *Machine) payload() []byte {
	if m.cfg.Payload == nil {
		return nil
	}
	p := m.cfg.Payload()
	if len(p) == 0 || len(p) > MaxPayloadBytes {
		return nil
	}
	return slices.Clone(p)
}

// handOut passes a payload on if its sender is a live member.
func (m *Machine) handOut(sender uint64, payload []byte, out *Effects) {
	r := m.table.byInstance[sender]
	if len(payload) == 0 || r == nil || r == m.self || !r.State.live() {
		return
	}
	out.Payloads = append(out.Payloads, PayloadEvent{Member: r.clone(), Payload: slices.Clone(payload)})
}

func (m *Machine) refuse(from string, err error, out *Effects) {
	out.event(Event{Kind: EventBadMessage, From: from, Err: err})
}

// room returns how many bytes of updates still fit into a datagram with msg.
func (m *Machine) room(msg Message) int {
	m.scratch = msg.AppendTo(m.scratch[:0])
	return m.cfg.MaxPacket - len(m.scratch)
}
