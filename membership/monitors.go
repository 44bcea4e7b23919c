package membership

import "slices"

const (
	// rings is how many Hamiltonian cycles make up the graph. A union of a
	// few random ones is an expander with high probability (Law and Siu,
	// "Distributed Construction of Random Expander Networks", INFOCOM 2003);
	// Rapid (Suresh et al., USENIX ATC 2018, §4) lets members monitor each
	// other along such rings. Eight give 16 neighbours: 64 members and more
	// stay connected when half of them are gone at once.
	rings = 8
	// meshLimit is up to how many members everybody probes everybody.
	meshLimit = 64
)

// neighbours caches who stands beside us on the rings.
type neighbours struct {
	rows   []*row // each once
	place  place
	valid  bool // rows and place are up to date
	stale  bool // place is, rows are not
	cursor int  // of the gossip: whose turn it is
}

// place is a member's on each ring: who is next to it, before and behind, and
// how far away, clockwise.
type place struct {
	at           [rings]uint64
	next, before [rings]*row
	near, far    [rings]uint64
}

// scatter spreads the bits of x (the finaliser of splitmix64, Steele, Lea and
// Flood, OOPSLA 2014).
func scatter(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// placeOf is what the positions of a name on the rings follow from (FNV-1a).
// It must never change: members of one cluster have to agree.
func placeOf(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

// onRing is a name's position on ring i.
func onRing(place uint64, i int) uint64 {
	return scatter(place + uint64(i+1)*0x9e3779b97f4a7c15)
}

// meet takes one more member in, and tells whether it stands next to the place.
func (p *place) meet(r *row) (beside bool) {
	for i := range rings {
		d := onRing(r.place, i) - p.at[i]
		if p.next[i] == nil || d < p.near[i] {
			p.next[i], p.near[i], beside = r, d, true
		}
		if p.before[i] == nil || d > p.far[i] {
			p.before[i], p.far[i], beside = r, d, true
		}
	}
	return beside
}

// beside returns who stands next to it: up to 2 × rings members, each once.
func (p *place) beside() []*row {
	rows := make([]*row, 0, 2*rings)
	for i := range rings {
		for _, r := range [...]*row{p.next[i], p.before[i]} {
			if r != nil && !containsRow(rows, r) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// placeAmong finds a member's place among all who are live. Whoever has the
// same view finds the same; to stand beside each other is mutual; and one
// member more or less changes it for its own neighbours alone. It costs a pass
// over the table.
func (m *Machine) placeAmong(of *row) place {
	var p place
	for i := range rings {
		p.at[i] = onRing(of.place, i)
	}
	if of != m.self && !m.left {
		p.meet(m.self)
	}
	for _, r := range m.table.live {
		if r != of {
			p.meet(r)
		}
	}
	return p
}

// beside returns the neighbours of any live member: those who monitor it.
func (m *Machine) beside(of *row) []*row {
	p := m.placeAmong(of)
	return p.beside()
}

// lived and died keep the cache up to date: nearly all who come and go stand
// beside somebody else.
func (n *neighbours) lived(r *row) { n.stale = n.valid && n.place.meet(r) || n.stale }

func (n *neighbours) died(r *row) { n.valid = n.valid && !containsRow(n.rows, r) && !n.stale }

// neighbours returns our own neighbours, who are gossiped with, and beyond
// meshLimit probed. Those that are new are put into the prober's round.
func (m *Machine) neighbours() []*row {
	n := &m.near
	if n.valid && !n.stale {
		return n.rows
	}
	if !n.valid {
		n.place = m.placeAmong(m.self)
	}
	old := n.rows
	n.rows, n.valid, n.stale = n.place.beside(), true, false
	if slices.Equal(old, n.rows) {
		return n.rows
	}
	m.gossip.forgetTold()
	m.speaker = -1 // who it was is not at its place any more
	if m.sparse() {
		for _, r := range n.rows {
			if !containsRow(old, r) {
				m.enlist(r)
			}
		}
	}
	return n.rows
}

// sparse tells whether there are too many members for everybody to probe
// everybody.
func (m *Machine) sparse() bool { return !m.cfg.Plain && len(m.table.live) >= meshLimit }

// monitors tells whether we are one of those who watch a member: its
// neighbours, who help to probe it and confirm suspicions of it.
func (m *Machine) monitors(r *row) bool { return containsRow(m.neighbours(), r) }

// probed tells whether a member is one that we probe in our rounds.
func (m *Machine) probed(r *row) bool { return r.liveAt >= 0 && (!m.sparse() || m.monitors(r)) }

// helpers returns up to k others that can probe a member in our place: those
// who monitor it, and so have a connection with it. Plain SWIM asks anybody.
func (m *Machine) helpers(target *row, k int) []*row {
	able := func(r *row) bool { return r != target && r.State == Alive }
	if m.cfg.Plain {
		return m.table.sample(m.cfg.Rand, k, able)
	}
	others := slices.DeleteFunc(m.beside(target), func(r *row) bool { return r == m.self || !able(r) })
	m.cfg.Rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return others[:min(k, len(others))]
}

// listeners returns whom the next round of gossip goes to: the neighbours in
// turn, so that each is told once before any is told twice. Plain SWIM draws.
func (m *Machine) listeners(k int) []*row {
	if m.cfg.Plain {
		return m.table.sample(m.cfg.Rand, k, func(*row) bool { return true })
	}
	all := m.neighbours()
	k = min(k, len(all))
	rows := make([]*row, 0, k)
	for range k {
		m.near.cursor = (m.near.cursor + 1) % len(all)
		rows = append(rows, all[m.near.cursor])
	}
	return rows
}
