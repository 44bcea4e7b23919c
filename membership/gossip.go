package membership

import (
	"container/list"
	"math"
	"time"
)

// gossip is the queue of claims to tell (SWIM §4.1). Those told least come
// first; each is told about λ log n times and then let go. A list for each
// count keeps that order without sorting.
type gossip struct {
	byTold    []*list.List
	pending   int
	nextRound time.Time
}

// maxMisfits is how many claims that are too long for what is left of a
// packet are passed over in search of shorter ones.
const maxMisfits = 8

func (g *gossip) push(r *row, told int) {
	for len(g.byTold) <= told {
		g.byTold = append(g.byTold, list.New())
	}
	r.told = told
	r.queued = g.byTold[told].PushBack(r)
	g.pending++
}

func (g *gossip) remove(r *row) {
	if r.queued == nil {
		return
	}
	g.byTold[r.told].Remove(r.queued)
	r.queued = nil
	g.pending--
}

// tell queues a row's claim, from the start if it was queued already.
func (m *Machine) tell(now time.Time, r *row) {
	m.gossip.remove(r)
	if len(m.table.live) == 0 {
		return // whoever comes is given the whole table
	}
	m.gossip.push(r, 0)
	if m.gossip.nextRound.IsZero() {
		// Soon, but not at once: what happens together is told together.
		m.gossip.nextRound = now.Add(m.cfg.GossipInterval / 10)
	}
}

// retransmits is λ log n, rounded up.
func (m *Machine) retransmits() int {
	n := float64(len(m.table.live) + 1)
	return m.cfg.RetransmitMult * int(math.Ceil(math.Log10(n+1)))
}

// updates fills room bytes for a message to a member: the rows in first, then
// the queue. What of first did not fit is returned.
func (m *Machine) updates(room int, to uint64, first []*row) (claims []Member, unfit []*row) {
	for _, r := range first {
		if r.size > room {
			unfit = append(unfit, r)
			continue
		}
		claims = append(claims, r.Member)
		room -= r.size
	}
	if m.gossip.pending == 0 {
		return claims, unfit
	}
	var taken []*row
	misfits := 0
search:
	for _, l := range m.gossip.byTold {
		for e := l.Front(); e != nil; e = e.Next() {
			if room < minMemberBytes || misfits > maxMisfits || len(claims) == maxUpdates {
				break search
			}
			r := e.Value.(*row)
			if containsRow(first, r) || r.Instance == to && r.State == Alive {
				continue // told already; or known to nobody better than to it
			}
			if r.size > room {
				misfits++
				continue
			}
			claims = append(claims, r.Member)
			room -= r.size
			taken = append(taken, r)
		}
	}
	limit := m.retransmits()
	for _, r := range taken {
		told := r.told + 1
		m.gossip.remove(r)
		if told < limit {
			m.gossip.push(r, told)
		}
	}
	return claims, unfit
}

// tickGossip tells a few members what is queued. With nothing queued there is
// no round, and no packet.
func (m *Machine) tickGossip(now time.Time, out *Effects) {
	if !due(m.gossip.nextRound, now) {
		return
	}
	m.gossip.nextRound = time.Time{}
	for _, r := range m.table.sample(m.cfg.Rand, m.cfg.GossipFanout, func(*row) bool { return true }) {
		m.gossipTo(r.PeerAddr, r.Instance, nil, out)
	}
	if len(m.table.live) == 0 {
		for _, r := range m.table.all {
			m.gossip.remove(r)
		}
	}
	if m.gossip.pending > 0 {
		m.gossip.nextRound = now.Add(m.cfg.GossipInterval)
	}
}

// gossipTo sends one packet of updates to an instance (0: not known which),
// the rows in first before what is queued; nothing when there is nothing.
func (m *Machine) gossipTo(addr string, to uint64, first []*row, out *Effects) {
	msg := &Gossip{From: m.self.Instance}
	msg.Updates, _ = m.updates(m.room(msg), to, first)
	if len(msg.Updates) > 0 {
		m.send(addr, msg, out)
	}
}

// gossipRest sends the rows, if there are any, in a packet of their own.
func (m *Machine) gossipRest(addr string, to uint64, rows []*row, out *Effects) {
	if len(rows) > 0 {
		m.gossipTo(addr, to, rows, out)
	}
}

// send sends a datagram, except to ourselves: the own address in a row is
// that of a process that was here before; and never once the name is given up.
func (m *Machine) send(addr string, msg Message, out *Effects) {
	if addr != m.self.PeerAddr && !m.yielded {
		out.send(addr, msg)
	}
}

func (m *Machine) onGossip(now time.Time, from string, msg *Gossip, out *Effects) {
	tell := m.hearAll(now, from, msg.Updates, out)
	tell = m.accuse(now, from, msg.From, tell, out)
	m.gossipRest(from, msg.From, tell, out)
}
