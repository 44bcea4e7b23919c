package simcluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/replica"
)

// perform does what a client asks of a host. A host that is down, paused or not
// ready does not do it now: a paused one when it resumes, the others never.
func (c *cluster) perform(o op) {
	if o.kind == opDuel {
		for i := range c.hosts {
			p := o
			p.host, p.kind = i, opPut
			if c.rand.IntN(3) == 0 {
				p.kind = opDelete
			}
			c.perform(p)
		}
		c.count("ops: duels")
		return
	}
	n := c.hosts[o.host].node
	if n == nil {
		return
	}
	n.proc.Do(func() {
		if !n.serves() {
			c.count("ops: not ready")
			return
		}
		switch o.kind {
		case opBurst:
			for i := range o.many {
				n.write(op{kind: opPut, key: fmt.Sprintf("%s/%d", o.key, i%7), bytes: o.bytes})
			}
		case opLoad:
			for i := range o.many {
				n.write(op{kind: opPut, key: fmt.Sprintf("load/%d/%04d", o.host, i), bytes: o.bytes})
			}
		default:
			n.write(o)
		}
	})
}

// write does one write, and records it as acknowledged.
func (n *node) write(o op) {
	now := n.wall()
	if n.judge().Fenced {
		n.c.count("writes refused by the fence")
		return
	}
	if n.host.jump > parkedFor {
		// Who has heard nobody, or one alone, takes a write that the others refuse
		// for as long as it is ahead of them. That is so, and no history waits so long.
		n.c.count("writes that no fence would have refused")
		return
	}
	var w engine.Entry
	var err error
	before, _ := n.engine.Held(o.key, nil)
	switch o.kind {
	case opPut:
		w, err = n.engine.Put(now, o.key, n.value(o), engine.PutOptions{})
	case opPutTTL:
		w, err = n.engine.Put(now, o.key, n.value(o), engine.PutOptions{TTL: o.ttl})
	case opPutKeepTTL:
		w, err = n.engine.Put(now, o.key, n.value(o), engine.PutOptions{KeepTTL: true})
	case opDelete:
		w, _, err = n.engine.Delete(now, o.key)
	case opTouch:
		w, err = n.engine.Touch(now, o.key, engine.PutOptions{TTL: o.ttl})
	case opPersist:
		w, err = n.engine.Persist(now, o.key)
	}
	if n.c.jumped && errors.Is(err, engine.ErrClockAhead) {
		n.c.count("writes refused for the clock")
		return
	}
	if errors.Is(err, engine.ErrNotFound) {
		n.c.count("ops: nothing to touch")
		return
	}
	e := &w
	if err == nil {
		err = n.checkWrite(o, now, before.Version, e)
	}
	if err == nil {
		err = n.c.model.acknowledged(n, e)
	}
	if err != nil {
		n.c.failf("%s: %v", n.host.name, err)
		return
	}
	n.c.count("ops: " + opNames[o.kind])
	n.c.world.Trace(opNames[o.kind]+" "+o.key, e.Version.Time, e.Version.Instance)
	n.c.world.Logf("%s: %s %q, version %s, expiry %d", n.host.name, opNames[o.kind], o.key, e.Version, e.ExpiresAt)
	n.learn(e.Key, e.Version)
	n.own = append(n.own, e)
	n.replicate(func(now time.Time, out *replica.Effects) { n.replica.Write(now, e, out) })
}

var opNames = [opKinds]string{"put", "put with a TTL", "put that keeps the TTL", "delete", "touch", "persist", "duel", "burst", "load"}

// value is different each time.
func (n *node) value(o op) []byte {
	v := fmt.Appendf(nil, "%s/%016x/", n.host.name, n.rand.Uint64())
	for len(v) < o.bytes {
		v = append(v, '.')
	}
	return v
}

// checkWrite compares what the engine made of a write with what was asked for.
func (n *node) checkWrite(o op, now int64, held engine.Version, e *engine.Entry) error {
	before, had := n.c.model.writes[o.key][held]
	var expires int64
	switch o.kind {
	case opPutTTL, opTouch:
		expires = now + (o.ttl + time.Millisecond - 1).Milliseconds()
	case opPutKeepTTL:
		// A clock that was set back leaves open whether the engine has seen
		// the old one expire.
		if seen := had && before.liveAt(n.latest); seen || had && before.liveAt(now) && e.ExpiresAt != 0 {
			expires = before.expires
		}
	}
	wantKind := engine.KindPut
	if o.kind == opDelete {
		wantKind = engine.KindTombstone
	}
	keeps := o.kind == opTouch || o.kind == opPersist
	switch {
	case e.Key != o.key || e.Kind != wantKind || e.ExpiresAt != expires:
		return fmt.Errorf("%s %q gave %+v, expiry was to be %d", opNames[o.kind], o.key, e, expires)
	case had && !n.must[o.key].Less(e.Version):
		return fmt.Errorf("%s %q got version %s, not above %s", opNames[o.kind], o.key, e.Version, n.must[o.key])
	case keeps && string(e.Value) != string(before.value):
		return fmt.Errorf("%s %q gave the value %q, it was %q", opNames[o.kind], o.key, e.Value, before.value)
	}
	return nil
}
