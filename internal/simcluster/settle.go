package simcluster

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/membership"
	"github.com/tochemey/gokv/merkle"
)

const (
	// convergeWithin is the virtual time after the last fault in which all
	// must be equal: a stream that a fault left hanging is given up after 10 s,
	// a dead member is contacted again every 2 s, a failed round every 5 s.
	convergeWithin = 60 * time.Second
	// What was written by a clock that was far ahead is merged when it is due.
	parkedFor = 60 * time.Second
	// Once equal, reports of equal roots must have settled what was owed after
	// the first span, and no round may be opened during the second.
	calmDown = 8 * time.Second
	idle     = 6 * time.Second
	// retireWithin is the virtual time in which who is gone must be forgotten: some
	// probes have to come round twice.
	retireWithin = 60 * time.Second
)

// stopFaults ends everything that disturbs: it resumes, restarts and heals.
func (c *cluster) stopFaults() {
	c.world.Logf("the faults stop")
	c.net.SetLinks(calm)
	c.net.Heal()
	for _, h := range c.hosts {
		if h.node == nil {
			c.boot(h, false)
		} else {
			h.node.proc.Resume()
		}
	}
}

// converge runs until the cluster is as it should be, or says what is not.
func (c *cluster) converge() error {
	began, within := c.world.Elapsed(), convergeWithin
	if c.jumped {
		within += parkedFor
	}
	for {
		unsettled := c.unsettled()
		if unsettled == nil {
			c.counts["milliseconds to converge"] += int((c.world.Elapsed() - began).Milliseconds())
			return nil
		}
		if c.world.Elapsed()-began >= within {
			return fmt.Errorf("not converged %v after the faults stopped: %w", within, unsettled)
		}
		if err := c.run(500 * time.Millisecond); err != nil {
			return err
		}
	}
}

func (c *cluster) run(d time.Duration) error {
	return c.world.RunUntil(c.world.Now().Add(d), c.checkTouched)
}

// unsettled is what is still missing to a converged cluster.
func (c *cluster) unsettled() error {
	var errs []error
	missing := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	var first merkle.Digest
	for i, h := range c.hosts {
		n := h.node
		if n == nil {
			missing("%s does not run", h.name)
			continue
		}
		root, count := n.engine.Root()
		if i == 0 {
			first = root
		}
		if root != first {
			missing("%s has root %s over %d entries, %s has %s", h.name, root, count, c.hosts[0].name, first)
		}
		if !n.serves() {
			missing("%s is not ready", h.name)
		}
		if !n.replica.Drained() {
			missing("%s is not drained", h.name)
		}
		if parked := n.engine.Stats().Parked; parked != 0 {
			missing("%s has %d versions parked", h.name, parked)
		}
		if err := n.checkMembers(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// checkMembers compares what the membership believes with what is.
func (n *node) checkMembers() error {
	members := n.members.Members()
	if len(members) != len(n.c.hosts) {
		return fmt.Errorf("%s knows %d members, there are %d", n.host.name, len(members), len(n.c.hosts))
	}
	for i, m := range members { // both are in the names' order
		h := n.c.hosts[i]
		if m.State != membership.Alive || h.node == nil || m.Name != h.name || m.Instance != h.node.instance {
			return fmt.Errorf("%s believes %s (%016x) %s", n.host.name, m.Name, m.Instance, m.State)
		}
		if _, up := n.peers[m.Instance]; m.Instance != n.instance && !up {
			return fmt.Errorf("%s does not replicate to %s", n.host.name, m.Name)
		}
	}
	return nil
}

// stayIdle lets the converged cluster run, and demands that it rests.
func (c *cluster) stayIdle() error {
	if err := c.run(calmDown); err != nil {
		return err
	}
	before := c.rounds
	if err := c.run(idle); err != nil {
		return err
	}
	// A clock that was far off may have left readings that are still ahead of the
	// others': they are owed a round when these are due, and may wait for that.
	if c.rounds != before && !c.jumped {
		return fmt.Errorf("%d rounds were opened in an idle, converged cluster", c.rounds-before)
	}
	if err := c.unsettled(); err != nil {
		if c.jumped {
			return c.converge()
		}
		return fmt.Errorf("after it had converged: %w", err)
	}
	return nil
}

// checkEnd compares each node, entry by entry, with what has to be there.
func (c *cluster) checkEnd() error {
	survives := make(map[string]engine.Version)
	for _, h := range c.hosts {
		for key, v := range h.node.must {
			if survives[key].Less(v) {
				survives[key] = v
			}
		}
	}
	now := c.world.Now().Add(maxOffset).UnixMilli() // past what any clock has shown
	want, err := c.wantExport(survives, now)
	if err != nil {
		return err
	}
	for _, h := range c.hosts {
		if err := h.node.checkHolds(survives, now); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		if err := h.node.checkExport(want, now); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		if err := h.node.engine.Check(); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		s := h.node.engine.Stats()
		if c.jumped {
			s.Refused, s.ClockReadings = 0, 0
		}
		if s.Refused+s.Parked+s.Conflicts+s.Mismatches+s.ClockReadings != 0 {
			return fmt.Errorf("%s: refused, conflicts or readings ahead: %+v", h.name, s)
		}
	}
	return c.checkPurged()
}

// checkHolds demands that what the node holds was written, and that it is the
// greatest write that survived, unless that is dead.
func (n *node) checkHolds(survives map[string]engine.Version, now int64) error {
	for key, must := range survives {
		of := n.c.model.writes[key]
		e, held := n.engine.Held(key, nil)
		if !held {
			continue // wantExport has judged
		}
		if e.Version != must && (e.LiveAt(now) && !of.mayLive(e.Version, must, now) || must.Less(e.Version)) {
			return fmt.Errorf("%q ended as version %s, the greatest that survived is %s", key, e.Version, must)
		}
		if err := n.c.model.matches(&e); err != nil {
			return err
		}
	}
	return nil
}

// mayLive tells whether v may give its key a value although the greater must
// survived: that is dead, had not seen v, and was purged before v came.
func (of writesOf) mayLive(v, must engine.Version, now int64) bool {
	return of[must].diesAt(now) && !of[must].past[v]
}

// checkPurged demands that nothing dead is left, unless somebody waits for a
// failed member.
func (c *cluster) checkPurged() error {
	for _, h := range c.hosts {
		if slices.ContainsFunc(h.node.horizon.HeldUp(), func(m replica.Holding) bool { return m.Failed }) {
			c.count("ends that wait for a failed member")
			return nil
		}
	}
	for _, h := range c.hosts {
		dead := h.node.engine.Stats().Tombstones
		if dead != 0 && c.jumped {
			c.count("ends that wait for a clock") // readings ahead of it are not taken in
			return nil
		}
		if dead != 0 {
			return fmt.Errorf("%s: %d dead entries are left, and no failed member is waited for: %+v", h.name, dead, h.node.horizon.HeldUp())
		}
	}
	c.count("ends with nothing dead left")
	return c.checkRetired()
}

// checkRetired demands that no member names an instance whose process has ended and
// of which nobody holds anything, once it has had the time to go.
func (c *cluster) checkRetired() error {
	var left error
	for range retireWithin / time.Second {
		if left = c.leftovers(); left == nil {
			c.count("ends with nobody named who is gone")
			return nil
		}
		if err := c.run(time.Second); err != nil {
			return err
		}
	}
	if c.jumped { // readings ahead of a clock are not taken in
		c.count("ends that name who is gone, for a clock")
		return nil
	}
	return fmt.Errorf("%v after all was at rest: %w", retireWithin, left)
}

// checkNobodyHolds demands that nobody who runs and may return, by a member that
// retires an instance, holds an entry of it, wherever he is cut off.
func (c *cluster) checkNobodyHolds(by *replica.Horizon, instance uint64) {
	for _, h := range c.hosts {
		if h.node == nil || by.Gone(h.node.instance) {
			continue
		}
		for key := range c.model.writes {
			if e, ok := h.node.engine.Held(key, nil); ok && e.Version.Instance == instance {
				c.failf("%016x is retired, and %s holds its entry of %q", instance, h.name, key)
				return
			}
		}
	}
}

// leftovers is what is still named of those that nothing is held of. What was seen
// ahead of a gap, which nobody can fill, stays named.
func (c *cluster) leftovers() error {
	runs, held := make(map[uint64]bool), make(map[uint64]bool)
	for _, h := range c.hosts {
		runs[h.node.instance] = true
		for key := range c.model.writes {
			if e, ok := h.node.engine.Held(key, nil); ok {
				held[e.Version.Instance] = true
			}
		}
		for _, a := range h.node.engine.State().Knowledge.Seen.Ahead {
			held[a.Instance] = true
		}
	}
	for _, h := range c.hosts {
		state := h.node.engine.State()
		for _, v := range []causal.Vector{state.Knowledge.Seen.Base, state.Knowledge.Hidden} {
			for _, d := range v {
				if !runs[d.Instance] && !held[d.Instance] {
					return fmt.Errorf("%s names %016x: %s", h.name, d.Instance, h.node.horizon.Explain(d.Instance))
				}
			}
		}
		if g := h.node.horizon.Leaving(held); g != 0 {
			return fmt.Errorf("%s has not forgotten %016x: %s", h.name, g, h.node.horizon.Explain(g))
		}
	}
	return nil
}

type exported struct {
	key     string
	value   []byte
	expires int64
}

// wantExport is what listing everything must give.
func (c *cluster) wantExport(survives map[string]engine.Version, now int64) ([]exported, error) {
	var want []exported
	for _, key := range slices.Sorted(maps.Keys(survives)) {
		must, of := survives[key], c.model.writes[key]
		e, held := c.hosts[0].node.engine.Held(key, nil)
		switch live := held && e.LiveAt(now); {
		case live && (e.Version == must || of.mayLive(e.Version, must, now)):
			w := of[e.Version]
			want = append(want, exported{key, w.value, w.expires})
			if e.Version != must {
				c.counts["keys that live beside a purged delete"]++
			}
		case live:
			return nil, fmt.Errorf("%q ended as version %s, the greatest that survived is %s", key, e.Version, must)
		case of[must].liveAt(now) && !of.killed(must, now):
			return nil, fmt.Errorf("%q ended without version %s, which nothing has deleted", key, must)
		}
	}
	c.counts["live keys at the end"] += len(want)
	c.counts["dead keys at the end"] += len(survives) - len(want)
	return want, nil
}

// checkExport lists everything, by pages, as a client would.
func (n *node) checkExport(want []exported, now int64) error {
	after, more := "", true
	for more {
		var page []engine.Entry
		page, more = n.engine.List(now, engine.ListOptions{After: after, Limit: 16})
		for _, e := range page {
			if len(want) == 0 {
				return fmt.Errorf("the export has %q, which is deleted, expired or lost", e.Key)
			}
			if w := want[0]; e.Key != w.key || !bytes.Equal(e.Value, w.value) || e.ExpiresAt != w.expires {
				return fmt.Errorf("the export has %q=%q, it should have %q=%q", e.Key, e.Value, w.key, w.value)
			}
			want, after = want[1:], e.Key
		}
	}
	if len(want) != 0 {
		return fmt.Errorf("the export lacks %q", want[0].key)
	}
	return nil
}
