package simcluster

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tochemey/gokv/internal/sim"
)

// cluster is a running history.
type cluster struct {
	history *history
	world   *sim.World
	net     *sim.Network
	rand    *rand.Rand
	hosts   []*host
	model   *model

	touched []touch
	counts  map[string]int
	rounds  int // opened so far
	endOnly bool
	jumped  bool // a wall clock was further off than is allowed, at some time
	err     error
}

// host is a place where a process runs: its name, address and wall clock stay
// when the process crashes.
type host struct {
	name, addr string
	offset     time.Duration
	jump       time.Duration // on top of it, while its clock is wrong
	node       *node         // nil while nothing runs
}

func newCluster(h *history) *cluster {
	w := sim.NewWorld(h.seed)
	c := &cluster{
		history: h, world: w, net: sim.NewNetwork(w, h.links.all), rand: w.Fork(),
		model: newModel(), counts: make(map[string]int),
	}
	for _, p := range h.hosts {
		c.hosts = append(c.hosts, &host{name: p.name, addr: p.addr, offset: p.offset})
	}
	for i := range h.hosts {
		for j := range h.hosts {
			if l, ok := h.links.worse[[2]int{i, j}]; ok {
				c.net.SetLink(c.hosts[i].addr, c.hosts[j].addr, l)
			}
		}
	}
	return c
}

// count notes that something happened, for the batch's test that everything did.
func (c *cluster) count(what string) { c.counts[what]++ }

// failf keeps the first thing that went wrong; the run ends after the event.
func (c *cluster) failf(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// schedule puts the whole history on the world's calendar.
func (c *cluster) schedule() {
	for i, p := range c.history.hosts {
		h := c.hosts[i]
		c.world.After(p.boots, func() { c.boot(h, i == 0 && c.history.oneFirst) })
	}
	for _, o := range c.history.ops {
		c.world.After(o.at, func() { c.perform(o) })
	}
	for _, f := range c.history.faults {
		c.world.After(f.at, func() { c.strike(f) })
	}
}

// strike makes a fault happen and sees to its end, at the latest when all
// faults stop.
func (c *cluster) strike(f fault) {
	end := c.untilCalm(f.lasts)
	h := c.hosts[f.a[0]]
	switch f.kind {
	case faultHalves, faultIsolate, faultOneWay:
		c.count(faultNames[f.kind])
		c.partition(f, c.net.Cut)
		if f.kind != faultOneWay {
			f.a, f.b = f.b, f.a
			c.partition(f, c.net.Cut)
			c.world.After(end, func() { c.partition(f, c.net.Mend) })
			f.a, f.b = f.b, f.a
		}
		c.world.After(end, func() { c.partition(f, c.net.Mend) })
	case faultCrash:
		if h.node != nil {
			c.count(faultNames[f.kind])
			c.stop(h)
			c.world.After(end, func() {
				c.stepClock(h, f.step)
				c.boot(h, false)
				if f.again > 0 {
					f.again--
					c.world.After(c.untilCalm(2*f.lasts), func() { c.strike(f) })
				}
			})
		}
	case faultLeave:
		if n := h.node; n != nil && n.serves() && !n.proc.Paused() {
			n.leave(f.lasts)
		}
	case faultPause:
		if n := h.node; n != nil && !n.proc.Paused() {
			c.count(faultNames[f.kind])
			n.proc.Pause()
			c.world.After(end, n.proc.Resume)
		}
	case faultJump:
		if h.jump == 0 {
			c.count(faultNames[f.kind])
			c.jump(h, f.jump)
			c.world.After(end, func() { c.jump(h, 0) })
		}
	case faultClock:
		c.count(faultNames[f.kind])
		c.stepClock(h, f.step)
	}
}

func (c *cluster) stepClock(h *host, by time.Duration) {
	if by == 0 {
		return
	}
	h.offset = min(max(h.offset+by, -maxOffset), maxOffset)
	c.world.Logf("%s: its wall clock is now off by %v", h.name, h.offset)
}

// jump sets a wall clock wrong, or right again. Who has heard the others' notices by
// itself.
func (c *cluster) jump(h *host, to time.Duration) {
	h.jump = to
	c.jumped = true
	c.world.Logf("%s: its wall clock is wrong by %v", h.name, to)
}

// untilCalm shortens a fault that would outlast the time of faults.
func (c *cluster) untilCalm(d time.Duration) time.Duration {
	return max(0, min(d, c.history.faultsFor-c.world.Elapsed()))
}

func (c *cluster) partition(f fault, how func(from, to string)) {
	for _, i := range f.a {
		for _, j := range f.b {
			how(c.hosts[i].addr, c.hosts[j].addr)
		}
	}
}

// stop ends a host's process, however it runs.
func (c *cluster) stop(h *host) {
	h.node.proc.Kill()
	h.node = nil
	c.net.Detach(h.addr)
	c.serviceChanged()
}
