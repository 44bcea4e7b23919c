package transport

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tochemey/gokv/internal/auth"
)

// connectedPeer is an instance with at least one connection.
type connectedPeer struct {
	peer  Peer
	conns []*conn // of all classes, oldest first
}

const (
	// Two connections of one pair and class that came up within this time may be
	// simultaneous dials. One that comes up later was dialled by an end that had
	// lost the other: a dial does not take longer.
	simultaneous = 5 * time.Second

	// maxPairConns bounds the connections of one pair and class.
	maxPairConns = 4
)

// rank is what the choice between connections of one pair and class goes by.
type rank struct {
	since   time.Time
	dialled bool // by us
}

// choose returns the preferred one of ranks, which must not be empty: of those
// that came up together, that which the smaller instance dialled, so that both
// ends choose the same; else the newest.
func choose(ranks []rank, weAreSmaller bool) int {
	newest := 0
	for i, r := range ranks {
		if r.since.After(ranks[newest].since) {
			newest = i
		}
	}
	best := newest
	for i, r := range ranks {
		if ranks[newest].since.Sub(r.since) >= simultaneous {
			continue
		}
		won, bestWon := r.dialled == weAreSmaller, ranks[best].dialled == weAreSmaller
		if won != bestWon {
			if won {
				best = i
			}
			continue
		}
		if r.since.After(ranks[best].since) {
			best = i
		}
	}
	return best
}

// register puts a proven connection on the books and starts it. dialled is the
// address that we reached it at, or empty.
func (t *Transport) register(c *conn, dialled string) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return ErrClosed
	}
	p := t.peers[c.peer.Instance]
	if p == nil {
		if len(t.peers) >= t.cfg.MaxPeers {
			t.mu.Unlock()
			return &auth.RefusedError{Reason: auth.Limit}
		}
		p = &connectedPeer{}
		t.peers[c.peer.Instance] = p
	}
	p.peer = c.peer
	p.conns = append(p.conns, c)
	old := t.supersedeLocked(c)
	stale := t.settleLocked(p, c.class)
	for _, addr := range []string{c.peer.Addr, dialled} {
		if addr != "" {
			t.bindLocked(addr, c)
		}
	}
	c.start()
	t.mu.Unlock()

	t.log.Debug("connected", "peer", c.peer.Name, "addr", c.peer.Addr, "instance", hexInstance(c.peer.Instance),
		"class", c.class.String(), "dialled", c.dialled)
	if len(old) > 0 {
		t.log.Info("another instance answers at a peer's address; its predecessor's connections end",
			"peer", c.peer.Name, "addr", c.peer.Addr, "old", hexInstance(old[0].peer.Instance), "new", hexInstance(c.peer.Instance))
	}
	for _, s := range slices.Concat(old, stale) {
		s.close(auth.CloseSuperseded, "superseded")
	}
	return nil
}

// supersedeLocked finds the connections of an older instance at the address that c
// advertises: a process that was restarted. They are no longer found from now on.
func (t *Transport) supersedeLocked(c *conn) []*conn {
	if c.peer.Addr == "" {
		return nil
	}
	l := t.links[c.peer.Addr]
	if l == nil || l.instance == 0 || l.instance == c.peer.Instance {
		return nil
	}
	old := t.peers[l.instance]
	if old == nil || old.peer.Addr != c.peer.Addr {
		return nil
	}
	t.unbindLocked(old.peer.Instance)
	return slices.Clone(old.conns)
}

// settleLocked decides which connection of a pair and class is used. It returns
// those that must go at once, being too many; the others that lost end when their
// streams have, or are found dead.
func (t *Transport) settleLocked(p *connectedPeer, class Class) []*conn {
	conns := p.of(class)
	if len(conns) == 0 {
		return nil
	}
	ranks := make([]rank, len(conns))
	for i, c := range conns {
		ranks[i] = rank{since: c.since, dialled: c.dialled}
	}
	best := choose(ranks, t.cfg.Self.Instance < p.peer.Instance)
	newest := conns[len(conns)-1].since
	var stale []*conn
	for i, c := range conns {
		lost := i != best
		c.retire(lost)
		switch {
		case lost && i < len(conns)-maxPairConns:
			stale = append(stale, c)
		case lost && newest.Sub(c.since) >= simultaneous:
			c.doubted()
		}
	}
	return stale
}

func (p *connectedPeer) of(class Class) []*conn {
	var conns []*conn
	for _, c := range p.conns {
		if c.class == class {
			conns = append(conns, c)
		}
	}
	return conns
}

// pickLocked returns the connection of an instance to use now, or nil. One that
// has fallen silent is used only if there is no other.
func (t *Transport) pickLocked(instance uint64, class Class, now time.Time) *conn {
	p := t.peers[instance]
	if p == nil {
		return nil
	}
	var best *conn
	for _, c := range p.conns {
		if c.class != class || !c.usable(now) {
			continue
		}
		if best == nil || best.isRetired() || !c.isRetired() {
			best = c
		}
	}
	return best
}

// deregister takes an ended connection off the books.
func (t *Transport) deregister(c *conn) {
	c.stop()
	t.stats.dropped.Add(uint64(c.queue.clear()))

	t.mu.Lock()
	p := t.peers[c.peer.Instance]
	p.conns = slices.DeleteFunc(p.conns, func(o *conn) bool { return o == c })
	if len(p.conns) == 0 {
		delete(t.peers, c.peer.Instance)
		t.unbindLocked(c.peer.Instance)
	} else {
		t.settleLocked(p, c.class)
	}
	gone := c.class == Main && len(p.of(Main)) == 0
	t.mu.Unlock()

	t.log.Debug("disconnected", "peer", c.peer.Name, "addr", c.peer.Addr, "instance", hexInstance(c.peer.Instance),
		"class", c.class.String(), "cause", context.Cause(c.quic.Context()))
	if gone {
		t.cfg.Handler.PeerGone(c.peer)
	}
}

func hexInstance(id uint64) string { return fmt.Sprintf("%016x", id) }
