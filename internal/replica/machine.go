package replica

import (
	"cmp"
	"slices"
	"time"
)

// Peer is a live member as the membership knows it.
type Peer struct {
	Instance uint64
	Started  int64 // ms since 1970
}

// older orders members by age; the instance decides between equal starts.
func (p Peer) older(o Peer) bool {
	if p.Started != o.Started {
		return p.Started < o.Started
	}
	return p.Instance < o.Instance
}

// Machine is one node's replication. See the package comment.
type Machine struct {
	cfg  Config
	self Peer

	peers    []*peer // by instance, so that order never depends on a map
	ready    bool
	searched bool
	seq      uint64       // of the last push
	round    *activeRound // the one round that this node initiates
	nextSync time.Time    // no round for a differing root before
	leaving  bool         // this node is to hand over what it has
}

// peer is what the machine knows of one live member. A record outlives
// PeerDown only while a push to it is in flight.
type peer struct {
	Peer
	up       bool
	ready    bool // as it last said
	searched bool // likewise
	full     bool // likewise
	joins    bool // it has said that it is not ready
	upAt     time.Time

	queue    queue
	inflight uint64 // seq of the push in flight; 0: the link is idle
	sending  bool   // the push in flight belongs to this life of the peer

	lost     bool      // what we hold may be missing there
	differs  bool      // its last reported root differed from ours
	unsure   time.Time // since when its reports may differ for their cut alone
	doubts   int       // how many did, in a row
	diverged time.Time // since when, while it differs
	owed     Reason    // a round is owed, and why
	since    time.Time // when the youngest of what is owed arose
	due      time.Time // when the owed round may start
	retryAt  time.Time // backoff after failures: nothing but a request by hand starts earlier
	fails    int       // failed rounds in a row
	again    int       // complete rounds in a row with unequal roots
	// calmUntil is set by such rounds: a peer that refuses entries, for their
	// clock or their size, would be sent them once an interval for ever.
	calmUntil time.Time
	settled   bool // a round has been settled since it came up
}

// New returns a machine without peers. It is ready if cfg.Alone says so.
func New(cfg Config) (*Machine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &Machine{cfg: cfg, self: Peer{cfg.Self, cfg.Started}, ready: cfg.Alone}, nil
}

func (m *Machine) index(instance uint64) (int, bool) {
	return slices.BinarySearchFunc(m.peers, instance, func(p *peer, id uint64) int {
		return cmp.Compare(p.Instance, id)
	})
}

func (m *Machine) find(instance uint64) *peer {
	if i, ok := m.index(instance); ok {
		return m.peers[i]
	}
	return nil
}

// PeerUp says that a member is alive: it has joined, or a partition healed. A
// round with it is owed. For a member already known as alive, and for the node
// itself, it only corrects the start.
func (m *Machine) PeerUp(now time.Time, who Peer, out *Effects) {
	if who.Instance == m.self.Instance {
		m.self.Started = who.Started
		m.advance(now, out)
		return
	}
	i, ok := m.index(who.Instance)
	switch {
	case !ok:
		m.peers = slices.Insert(m.peers, i, &peer{Peer: who})
	case m.peers[i].up:
		m.peers[i].Started = who.Started
		m.advance(now, out)
		return
	default: // it was away while a push was in flight: the link stays busy
		m.peers[i] = &peer{Peer: who, inflight: m.peers[i].inflight}
	}
	p := m.peers[i]
	p.up, p.lost, p.upAt = true, true, now
	due := now
	if m.self.older(who) {
		due = now.Add(m.cfg.SyncInterval)
	}
	m.owe(now, p, ReasonPeerUp, due)
	m.advance(now, out)
}

// PeerDown says that a member is no longer alive. What waited for it is
// dropped: should it come back, PeerUp owes it a round.
func (m *Machine) PeerDown(now time.Time, instance uint64, out *Effects) {
	i, ok := m.index(instance)
	if !ok || !m.peers[i].up {
		return
	}
	if seq := m.peers[i].inflight; seq != 0 {
		m.peers[i] = &peer{Peer: m.peers[i].Peer, inflight: seq}
	} else {
		m.peers = slices.Delete(m.peers, i, i+1)
	}
	m.advance(now, out)
}

// PeerPayload takes in what a peer's probe or acknowledgement carried, and how the
// peer compares with this node by it. The comparison was made no earlier than the
// last Write was handed in: a peer that is the same has every write, deletes
// included, which do not show in what it holds.
func (m *Machine) PeerPayload(now time.Time, instance uint64, pl *Payload, like Likeness, out *Effects) {
	p := m.find(instance)
	if p == nil || !p.up {
		return
	}
	p.ready, p.searched, p.full, p.joins = pl.Ready, pl.Searched, pl.Full, !pl.Ready
	switch {
	case like != Unsure:
		p.unsure, p.doubts = time.Time{}, 0
	case p.unsure.IsZero():
		p.unsure = now
	}
	if like == Unsure {
		p.doubts++
	}
	switch {
	case like >= Alike:
		p.differs = false
		p.calm()
		if like == Alike && p.lost {
			if p.owed == ReasonNone { // a round has to show it
				m.owe(now, p, ReasonPushFailed, now)
			}
			break
		}
		p.lost = false
		// A node that is not ready yet needs its round all the same: it also
		// brings the cluster's digest key and the peer's clock.
		if m.ready && p.owed != ReasonAsked {
			p.settle()
		}
	case like == Unlike || p.doubts >= minDoubts && now.Sub(p.unsure) >= maxUnsure:
		m.differ(now, p)
	}
	m.advance(now, out)
}

// maxUnsure is for how long a peer may seem different for its cut of expiry before
// it counts as different, minDoubts how often: a clock that is off by more than a
// second keeps the cuts apart for ever. Two of a peer's reports can be seconds apart,
// each of them just when a key expires (seed 1684 of the simulation).
const (
	maxUnsure = 3 * time.Second
	minDoubts = 3
)

// SyncAll owes a round to every live peer now, and returns their instances.
func (m *Machine) SyncAll(now time.Time, out *Effects) []uint64 {
	var ids []uint64
	for _, p := range m.peers {
		if p.up {
			ids = append(ids, p.Instance)
			m.owe(now, p, ReasonAsked, now)
		}
	}
	m.advance(now, out)
	return ids
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time, out *Effects) { m.advance(now, out) }

// Ready reports whether the node may serve.
func (m *Machine) Ready() bool { return m.ready }

// Drained reports whether every live peer has acknowledged every write handed
// in: nothing queued, nothing in flight, nothing lost that a round has yet to
// bring.
func (m *Machine) Drained() bool {
	for _, p := range m.peers {
		if p.up && (p.queue.len() > 0 || p.sending || p.lost || m.carries(p)) {
			return false
		}
	}
	return true
}

// carries reports whether the round in flight is to bring p what pushes lost.
func (m *Machine) carries(p *peer) bool {
	return m.round != nil && m.round.peer == p.Instance && m.round.lost
}

// Behind returns the live peers, by instance, that are not known to hold what
// this node holds until a round shows it: they have just come up, or a push to
// them was dropped or failed.
func (m *Machine) Behind() []uint64 {
	var ids []uint64
	for _, p := range m.peers {
		if p.up && (p.lost || m.carries(p)) {
			ids = append(ids, p.Instance)
		}
	}
	return ids
}

// Full appends the live peers, by instance, whose memory is full as they last said.
func (m *Machine) Full(dst []uint64) []uint64 {
	for _, p := range m.peers {
		if p.up && p.full {
			dst = append(dst, p.Instance)
		}
	}
	return dst
}

// Queued is how many bytes of entries wait in the peers' queues. One that waits for
// several peers is counted with each.
func (m *Machine) Queued() int {
	n := 0
	for _, p := range m.peers {
		n += p.queue.bytes
	}
	return n
}
