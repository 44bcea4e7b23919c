package simcluster

import (
	"time"

	"github.com/tochemey/gokv/membership"
)

// handOver bounds how long a leaving node waits for its writes to be elsewhere,
// as in the root package.
const handOver = 5 * time.Second

// leave stops the process as SIGTERM does: no more requests, hand over what is
// not pushed, say goodbye, end. Another process starts there some time later.
func (n *node) leave(restart time.Duration) {
	c, h := n.c, n.host
	c.count(faultNames[faultLeave])
	c.world.Logf("%s: leaves", h.name)
	n.draining = true
	n.left = func() {
		c.stop(h)
		c.world.After(c.untilCalm(restart), func() { c.boot(h, false) })
	}
	n.replicate(n.replica.Leaving)
	deadline := c.world.Now().Add(handOver)
	var wait func()
	wait = func() {
		switch drained := n.replica.Drained(); {
		case drained:
			c.count("leaves with everything handed over")
			n.checkHandOver()
		case c.world.Now().Before(deadline):
			n.proc.After(20*time.Millisecond, wait)
			return
		}
		n.meet(func(now time.Time, out *membership.Effects) { n.members.Leave(now, out) })
	}
	wait()
}

// checkHandOver holds the machine to its word: drained means that each member
// that the node believes alive has every write that the node acknowledged.
func (n *node) checkHandOver() {
	for _, h := range n.c.hosts {
		peer := h.node
		if peer == nil || peer == n || n.peers[peer.instance] == "" {
			continue
		}
		for _, e := range n.own {
			if _, held := n.engine.Held(e.Key, nil); !held || n.c.jumped || len(peer.holds) > 0 {
				continue // all had seen that it was dead; or it may be parked or held there
			}
			if peer.must[e.Key].Less(e.Version) && !peer.engine.Seen(e.Version) {
				n.c.failf("%s leaves drained, and %s lacks its version %s of %q", n.host.name, h.name, e.Version, e.Key)
				return
			}
		}
	}
}
