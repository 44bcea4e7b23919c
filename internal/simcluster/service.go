package simcluster

import (
	"math/rand/v2"
	"time"
)

// servicePlan is the discovery service of a history: what it answers, how
// slowly, and when it is not itself.
type servicePlan struct {
	registers bool          // it names the nodes that run; else all hosts, as a list would
	watched   bool          // it signals changes
	slow      time.Duration // the longest that an answer takes
	majority  bool          // nodes wait for more than half of the hosts
	outages   []outage
}

// outage is a span in which the service answers something else.
type outage struct {
	at, lasts time.Duration
	kind      outageKind
}

type outageKind uint8

const (
	outageFails  outageKind = iota // with an error, at once
	outageHangs                    // with an error, once the node has lost its patience
	outageHalf                     // with an error, and some addresses
	outageNobody                   // that nobody is there
	outageKinds
)

var outageNames = [outageKinds]string{
	"discovery: fails", "discovery: hangs", "discovery: fails, and names some", "discovery: nobody, which is wrong",
}

// askTimeout is how long a node waits for an answer, as in the root package.
const askTimeout = 10 * time.Second

func (h *history) drawService(r *rand.Rand) {
	h.service = servicePlan{
		registers: r.IntN(2) == 0, watched: r.IntN(2) == 0, majority: r.IntN(4) == 0,
		slow: pick(r, 10*time.Millisecond, 10*time.Millisecond, 2*time.Second),
	}
	for range r.IntN(4) {
		o := outage{kind: outageKind(r.IntN(int(outageKinds))), lasts: span(r, 0, h.faultsFor)}
		if r.IntN(2) == 0 { // else it is so when the nodes start
			o.at = span(r, 0, h.faultsFor)
		}
		h.service.outages = append(h.service.outages, o)
	}
}

// expect is the number of members that a node waits for.
func (h *history) expect(alone bool) int {
	if !h.service.majority || alone {
		return 0
	}
	return len(h.hosts)/2 + 1
}

// outage returns what is wrong with the service.
func (c *cluster) outage() (kind outageKind, ok bool) {
	at := c.world.Elapsed()
	if at >= c.history.faultsFor {
		return 0, false
	}
	for _, o := range c.history.service.outages {
		if at >= o.at && at < o.at+o.lasts {
			return o.kind, true
		}
	}
	return 0, false
}

// ask is a node's question to the service. answer gets what it says, once.
func (c *cluster) ask(n *node, answer func(addrs []string, failed bool)) {
	takes := span(n.rand, 0, c.history.service.slow)
	kind, out := c.outage()
	if out && kind == outageHangs {
		takes = askTimeout
	}
	n.proc.After(takes, func() {
		now, still := c.outage()
		if !out {
			kind, out = now, still // it struck meanwhile
		}
		if out {
			c.count(outageNames[kind])
		}
		var addrs []string
		for _, i := range n.rand.Perm(len(c.hosts)) {
			if h := c.hosts[i]; h.node != nil || !c.history.service.registers {
				addrs = append(addrs, h.addr)
			}
		}
		switch {
		case !out:
			answer(addrs, false)
		case kind == outageHalf:
			answer(addrs[:len(addrs)/2], true)
		default:
			answer(nil, kind != outageNobody)
		}
	})
}

// serviceChanged tells whoever watches that the answer may be another one.
func (c *cluster) serviceChanged() {
	if !c.history.service.watched || !c.history.service.registers {
		return
	}
	for _, h := range c.hosts {
		if n := h.node; n != nil && n.search != nil {
			n.proc.After(span(n.rand, 0, c.history.service.slow), func() {
				n.look(n.search.machine.Changed)
			})
		}
	}
}
