package membership

import (
	"container/list"
	"math"
	"slices"
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

// maxTold bounds the lists; what was told more often waits with the last.
const maxTold = 64

// toldAll is set in a row's toldTo once each neighbour has been told.
const toldAll = 1 << 31

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
	r.toldTo = 0
	if m.speaker >= 0 && r != m.self {
		r.toldTo = 1 << m.speaker // from whom we have it
	}
	m.gossip.push(r, 0)
	if m.gossip.nextRound.IsZero() {
		// Soon, but not at once: what happens together is told together.
		m.gossip.nextRound = now.Add(m.cfg.GossipInterval / 10)
	}
}

// retransmits is λ log n, rounded up (SWIM §4.1), and at most what it takes to
// tell every neighbour once.
func (m *Machine) retransmits() int {
	n := float64(len(m.table.live) + 1)
	times := m.cfg.RetransmitMult * int(math.Ceil(math.Log10(n+1)))
	if m.cfg.Plain {
		return times
	}
	return min(times, 2*rings)
}

// forgetTold is for when the neighbours are others.
func (g *gossip) forgetTold() {
	for _, l := range g.byTold {
		for e := l.Front(); e != nil; e = e.Next() {
			e.Value.(*row).toldTo = 0
		}
	}
}

// heardAgain notes that whoever the message at hand came from has told us what
// we tell ourselves: it need not be told, and others hear it from there.
func (m *Machine) heardAgain(r *row, c Member) {
	if r.queued != nil && m.speaker >= 0 && len(c.Accusers) == len(r.Accusers) {
		m.countTold(r, m.speaker, 1)
	}
}

// countTold counts a claim as told so often, to neighbour i or to somebody
// else (-1), and lets it go once it has been told often enough: λ log n times
// (SWIM §4.1), and to each neighbour or by it. So each link carries it at
// least once, and a member misses it only if all of its links lose it.
func (m *Machine) countTold(r *row, i, times int) {
	if i >= 0 {
		r.toldTo |= 1 << i
	}
	told := r.told + times
	all := uint32(1)<<len(m.near.rows) - 1
	m.gossip.remove(r)
	if r.toldTo&all == all {
		r.toldTo = toldAll // another time round, but not to its end
	}
	if told >= m.retransmits() && (m.cfg.Plain || r.toldTo&toldAll != 0) {
		return
	}
	m.gossip.push(r, min(told, maxTold))
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
	near := -1
	if !m.cfg.Plain {
		near = slices.IndexFunc(m.neighbours(), func(r *row) bool { return r.Instance == to })
	}
	var taken, known []*row
	misfits := 0
search:
	for _, l := range m.gossip.byTold {
		for e := l.Front(); e != nil; e = e.Next() {
			if room < minMemberBytes || misfits > maxMisfits || len(claims) == maxUpdates {
				break search
			}
			r := e.Value.(*row)
			if containsRow(first, r) || near >= 0 && r.toldTo&(1<<near) != 0 {
				continue // told already
			}
			if r.Instance == to && r.State == Alive {
				known = append(known, r) // to nobody better than to it
				continue
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
	for _, r := range taken {
		m.countTold(r, near, 1)
	}
	if near >= 0 {
		for _, r := range known {
			m.countTold(r, near, 0)
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
	for _, r := range m.listeners(m.cfg.GossipFanout) {
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
