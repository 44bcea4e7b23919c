package membership

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// MaxJoinAddrs is how many unanswered join addresses are kept.
	MaxJoinAddrs = 1024
	// maxCalls bounds the push-pulls in flight.
	maxCalls = 16
	// rejoinRedundancy is how many members of a large cluster contact a dead
	// one in one rejoin interval, between them; in a smaller one all do.
	rejoinRedundancy = 4
	// maxWarnings is how many members one table's accusations are passed on
	// to. The accuser keeps calling, so that the others get theirs later.
	maxWarnings = 64
	// exchangeScale is the number of members up to which the interval of
	// periodic push-pulls holds. Tables grow with the cluster; beyond, the
	// interval grows too, so that the bytes a second do not.
	exchangeScale = 64
	// exchangeSoon is by how much the first interval after news is shorter
	// than the usual one. Each following one is twice as long.
	exchangeSoon = 16
)

// exchange is everything about whole tables: join, rejoin, and the slow
// repair of whatever gossip missed.
type exchange struct {
	calls  []call
	callID uint64

	join       []string // unanswered, oldest first
	joinCursor int
	// credit is how many dead members may be contacted now; in a large
	// cluster it grows by less than one an interval.
	credit     float64
	deadCursor string // address contacted last
	nextRejoin time.Time

	nextExchange time.Time
	// eager shortens the interval; it is halved until it is 1.
	eager     time.Duration
	nextGreet time.Time
}

type call struct {
	id    uint64
	addr  string
	until time.Time
}

func (x *exchange) next() time.Time {
	next := x.nextRejoin
	if next.IsZero() || !x.nextExchange.IsZero() && x.nextExchange.Before(next) {
		next = x.nextExchange
	}
	return next
}

// stop forgets whom to contact.
func (x *exchange) stop() {
	x.join, x.nextRejoin, x.nextExchange = nil, time.Time{}, time.Time{}
}

func (x *exchange) calling(addr string) bool {
	return slices.ContainsFunc(x.calls, func(c call) bool { return c.addr == addr })
}

func (x *exchange) take(id uint64) (call, bool) {
	i := slices.IndexFunc(x.calls, func(c call) bool { return c.id == id })
	if i < 0 {
		return call{}, false
	}
	c := x.calls[i]
	x.calls = slices.Delete(x.calls, i, i+1)
	return c, true
}

// answered strikes join addresses off.
func (m *Machine) answered(is func(addr string) bool) {
	before := len(m.tables.join)
	m.tables.join = slices.DeleteFunc(m.tables.join, is)
	if len(m.tables.join) != before {
		m.table.version++
	}
}

// Join contacts peers at addresses, now and again every rejoin interval until
// each has answered. It changes nothing when an address is wrong.
func (m *Machine) Join(now time.Time, addrs []string, out *Effects) error {
	for _, addr := range addrs {
		if err := checkAddr(addr); err != nil {
			return fmt.Errorf("join address %w", err)
		}
		if addr == "" {
			return errors.New("join address is empty")
		}
	}
	if total := len(m.tables.join) + len(addrs); total > MaxJoinAddrs {
		return fmt.Errorf("join: %d addresses, the limit is %d", total, MaxJoinAddrs)
	}
	m.begin(now)
	if m.left || m.yielded {
		return nil
	}
	budget := m.cfg.RejoinFanout
	for _, addr := range addrs {
		if addr == m.self.PeerAddr || slices.Contains(m.tables.join, addr) {
			continue
		}
		m.tables.join = append(m.tables.join, addr)
		m.table.version++
		if budget > 0 && m.call(now, addr, out) {
			budget--
		}
	}
	m.scheduleRejoin(now)
	return nil
}

// scheduleRejoin sets the time of the next attempt, if there is somebody to
// contact and none is set.
func (m *Machine) scheduleRejoin(now time.Time) {
	x := &m.tables
	if x.nextRejoin.IsZero() && !m.left && (len(x.join) > 0 || m.table.dead.Len() > 0) {
		x.nextRejoin = now.Add(m.cfg.RejoinInterval/2 + m.fraction(m.cfg.RejoinInterval/2))
	}
}

// scheduleExchange sets the time of the next periodic push-pull.
func (m *Machine) scheduleExchange(now time.Time) {
	x := &m.tables
	if !x.nextExchange.IsZero() || m.left {
		return
	}
	every := m.cfg.PushPullInterval
	if x.eager > 1 {
		every /= x.eager
		x.eager /= 2
	} else {
		every *= time.Duration(len(m.table.live)/exchangeScale + 1)
	}
	x.nextExchange = now.Add(every/2 + m.fraction(every))
}

// expectMore makes the next exchanges come soon: a table held news, so there
// may be more. When many start at once each is given the table of a moment,
// and what is told meanwhile goes to those who were known by then.
func (m *Machine) expectMore(now time.Time) {
	m.tables.eager = exchangeSoon
	m.tables.nextExchange = time.Time{}
	m.scheduleExchange(now)
}

// tickExchange makes the calls that are due.
func (m *Machine) tickExchange(now time.Time, out *Effects) {
	x := &m.tables
	if due(x.nextRejoin, now) {
		x.nextRejoin = time.Time{}
		m.rejoin(now, out)
		if len(x.join) > 0 || m.table.dead.Len() > 0 {
			x.nextRejoin = now.Add(m.cfg.RejoinInterval)
		}
	}
	if due(x.nextExchange, now) {
		x.nextExchange = time.Time{}
		for _, r := range m.table.sample(m.cfg.Rand, 1, func(r *row) bool { return r.State == Alive }) {
			m.call(now, r.PeerAddr, out)
		}
		if len(m.table.live) > 0 {
			m.scheduleExchange(now)
		}
	}
}

// rejoin contacts the next few of those who are dead or have not answered
// (see docs/membership.md for why ten seconds suffice). It goes round in
// turn, so that nobody waits behind others who will never answer.
func (m *Machine) rejoin(now time.Time, out *Effects) {
	x := &m.tables
	used := make(map[string]bool, len(m.table.live)+1)
	used[m.self.PeerAddr] = true
	for _, r := range m.table.live {
		used[r.PeerAddr] = true
	}
	// An address where a live member is has been answered.
	m.answered(func(addr string) bool { return used[addr] })

	fanout := m.cfg.RejoinFanout
	dead := m.deadAddrs(now, used)
	share := min(1, rejoinRedundancy/float64(len(m.table.live)+1))
	x.credit = min(x.credit+share*float64(len(dead)), float64(fanout))
	budget := min(int(x.credit), len(dead))
	if len(x.join) > 0 {
		budget = min(budget, max(1, fanout/2))
	}
	at, _ := slices.BinarySearch(dead, x.deadCursor+"\x00")
	for i := 0; i < len(dead) && budget > 0; i++ {
		addr := dead[(at+i)%len(dead)]
		if m.call(now, addr, out) {
			x.deadCursor = addr
			x.credit--
			budget--
			fanout--
		}
	}
	for range x.join {
		if fanout == 0 {
			break
		}
		x.joinCursor = (x.joinCursor + 1) % len(x.join)
		if m.call(now, x.join[x.joinCursor], out) {
			fanout--
		}
	}
}

// deadAddrs returns where dead members may be found, sorted, each once. One
// whose address another member has taken cannot come back there: it is not
// contacted, and forgotten in the end as if it had left.
func (m *Machine) deadAddrs(now time.Time, used map[string]bool) []string {
	var addrs []string
	for e := m.table.dead.Front(); e != nil; {
		r := e.Value.(*row)
		e = e.Next()
		switch {
		case !used[r.PeerAddr]:
			addrs = append(addrs, r.PeerAddr)
		case now.Sub(r.since) >= m.cfg.LeftRetention:
			m.forget(r)
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// greet asks a sender that has no row for its table.
func (m *Machine) greet(now time.Time, addr string, out *Effects) {
	if m.left || now.Before(m.tables.nextGreet) || checkAddr(addr) != nil || addr == "" {
		return
	}
	m.tables.nextGreet = now.Add(m.cfg.ProbeInterval)
	m.call(now, addr, out)
}

// call starts a push-pull, unless one with that address or too many are in
// flight already.
func (m *Machine) call(now time.Time, addr string, out *Effects) bool {
	x := &m.tables
	// The driver ends every call; should it forget one, the place is free
	// again after twice the time that it may take.
	x.calls = slices.DeleteFunc(x.calls, func(c call) bool { return due(c.until, now) })
	if m.yielded || len(x.calls) >= maxCalls || addr == m.self.PeerAddr || x.calling(addr) {
		return false
	}
	x.callID++
	x.calls = append(x.calls, call{id: x.callID, addr: addr, until: now.Add(2 * m.cfg.PushPullTimeout)})
	out.PushPulls = append(out.PushPulls, PushPullCall{ID: x.callID, To: addr, Req: m.wholeTable(false)})
	return true
}

func (m *Machine) wholeTable(reply bool) *PushPull {
	msg := &PushPull{Reply: reply, From: m.self.Instance, Payload: m.payload(), Members: make([]Member, len(m.table.all))}
	for i, r := range m.table.all {
		msg.Members[i] = r.Member
	}
	return msg
}

// onRequest merges the sender's table and answers with what came out, any
// refutation of our own included.
func (m *Machine) onRequest(now time.Time, from string, msg *PushPull, out *Effects) {
	m.merge(now, from, msg, out)
	if !m.yielded {
		out.Replies = append(out.Replies, Reply{To: from, Msg: m.wholeTable(true)})
	}
}

// Answered tells the machine that the call's peer sent this answer, a PushPull
// or a NameTaken.
func (m *Machine) Answered(now time.Time, id uint64, answer Message, out *Effects) {
	m.begin(now)
	if c, ok := m.tables.take(id); ok {
		m.onAnswer(now, c.addr, answer, out)
	}
}

// Request returns what to send to an address that is contacted from outside
// the machine; nil when it has given its name up. The answer goes to
// Contacted.
func (m *Machine) Request(now time.Time) *PushPull {
	m.begin(now)
	if m.yielded {
		return nil
	}
	return m.wholeTable(false)
}

// Contacted tells the machine how a Request was answered.
func (m *Machine) Contacted(now time.Time, addr string, answer Message, out *Effects) {
	m.begin(now)
	m.onAnswer(now, addr, answer, out)
}

func (m *Machine) onAnswer(now time.Time, addr string, answer Message, out *Effects) {
	if m.yielded {
		return
	}
	reply, ok := answer.(*PushPull)
	switch taken, isTaken := answer.(*NameTaken); {
	case isTaken:
		m.onNameTaken(now, addr, taken, out)
		return
	case !ok || !reply.Reply:
		m.refuse(addr, fmt.Errorf("push-pull was answered with a request: %w", ErrMalformed), out)
		return
	}
	m.answered(func(a string) bool { return a == addr })
	if reply.From == m.self.Instance {
		return // the address was our own
	}
	if m.merge(now, addr, reply, out) {
		m.gossipTo(addr, reply.From, []*row{m.self}, out)
	}
}

// onNameTaken gives the name up, unless this process has borne it for a while:
// then it is no newcomer, and the two find out between them (see rivals.go).
func (m *Machine) onNameTaken(now time.Time, addr string, msg *NameTaken, out *Effects) {
	holder := msg.Holder
	if holder.Name != m.self.Name || holder.Instance == m.self.Instance {
		m.refuse(addr, fmt.Errorf("told that the name %.40q is taken, which is not ours: %w", holder.Name, ErrMalformed), out)
		return
	}
	if m.left || now.Sub(m.born) >= newcomer {
		out.event(Event{Kind: EventConflict, Member: holder})
		return
	}
	m.yield(holder, out)
}

// Failed tells the machine that the call has no answer. With self set the
// address turned out to be our own, and is not tried again.
func (m *Machine) Failed(now time.Time, id uint64, self bool, out *Effects) {
	m.begin(now)
	if c, ok := m.tables.take(id); ok && self {
		m.answered(func(addr string) bool { return addr == c.addr })
	}
}

// merge takes in a whole table, and tells whether the own claim is news to
// its sender.
func (m *Machine) merge(now time.Time, from string, msg *PushPull, out *Effects) (refuted bool) {
	if msg.From == m.self.Instance {
		m.refuse(from, fmt.Errorf("push-pull from our own instance: %w", ErrMalformed), out)
		return false
	}
	alone, joined := len(m.table.live) == 0, m.joined
	m.warnings = maxWarnings
	for _, c := range msg.Members {
		if r := m.hear(now, from, c, byTable, out); r == m.self {
			refuted = true
		}
		if m.yielded {
			return false
		}
	}
	if alone {
		// Whoever gave us this table has told it to the others already.
		for _, r := range m.table.live {
			m.gossip.remove(r)
		}
		m.tell(now, m.self)
	}
	if m.joined != joined {
		m.expectMore(now)
	}
	m.handOut(msg.From, msg.Payload, out)
	return refuted
}
