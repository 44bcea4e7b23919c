package simcluster

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/merkle"
)

// model is what the harness knows by itself: every acknowledged write, by its
// version. What a node must hold is kept in the node (node.must): the greatest
// version of each key that it acknowledged to a client, to a pushing peer, or
// that a round brought. It is gone with the node; so what must survive in the
// end is the greatest of what the nodes still there must hold.
type model struct {
	writes map[string]writesOf
}

type write struct {
	kind    engine.Kind
	value   []byte
	expires int64
	by      string
	past    map[engine.Version]bool // the writes of its key that its node had seen
}

func newModel() *model { return &model{writes: make(map[string]writesOf)} }

// acknowledged records what a node answered to a client.
func (m *model) acknowledged(n *node, e *engine.Entry) error {
	of := m.writes[e.Key]
	if of == nil {
		of = make(writesOf)
		m.writes[e.Key] = of
	}
	if had, ok := of[e.Version]; ok {
		return fmt.Errorf("%s gave version %s of %q out, which %s had given out already", n.host.name, e.Version, e.Key, had.by)
	}
	past := make(map[engine.Version]bool)
	for v := range of {
		past[v] = n.engine.Seen(v)
	}
	of[e.Version] = write{kind: e.Kind, value: slices.Clone(e.Value), expires: e.ExpiresAt, by: n.host.name, past: past}
	return nil
}

// matches compares what a node holds with what was written under its version.
func (m *model) matches(e *engine.Entry) error {
	w, ok := m.writes[e.Key][e.Version]
	switch {
	case !ok:
		return fmt.Errorf("version %s of %q was never written", e.Version, e.Key)
	case e.Kind != w.kind || e.ExpiresAt != w.expires:
		return fmt.Errorf("version %s of %q is kind %d expiring at %d, written was kind %d expiring at %d",
			e.Version, e.Key, e.Kind, e.ExpiresAt, w.kind, w.expires)
	case !e.Reaped() && !bytes.Equal(e.Value, w.value):
		return fmt.Errorf("version %s of %q has value %q, written was %q", e.Version, e.Key, e.Value, w.value)
	}
	return nil
}

// liveAt tells whether a write gives its key a value at a wall time.
func (w write) liveAt(now int64) bool {
	return w.kind == engine.KindPut && (w.expires == 0 || now < w.expires)
}

// touch is a key of a node that an event may have changed; it is checked when
// the event is over.
type touch struct {
	n   *node
	key string
}

// checkTouched checks the keys that the last event may have changed: each node
// holds exactly the greatest version that it has been given, and serves that.
func (c *cluster) checkTouched() error {
	if c.err != nil {
		return c.err
	}
	if c.endOnly {
		c.touched = c.touched[:0]
		return nil
	}
	for _, t := range c.touched {
		if t.n.proc.Alive() {
			if err := c.checkKey(t.n, t.key); err != nil {
				return err
			}
		}
	}
	c.touched = c.touched[:0]
	return nil
}

func (c *cluster) checkKey(n *node, key string) error {
	must, of := n.must[key], c.model.writes[key]
	e, held := n.engine.Held(key, nil)
	switch {
	case !held && !of.mayGo(must, n.latest):
		return fmt.Errorf("%s: %q is gone, it held version %s", n.host.name, key, must)
	case !held:
		return c.checkRead(n, key, write{kind: engine.KindTombstone})
	case must.Less(e.Version):
		return fmt.Errorf("%s: %q is at version %s, nobody gave it more than %s", n.host.name, key, e.Version, must)
	case e.Version.Less(must) && !of.mayGo(must, n.latest):
		return fmt.Errorf("%s: %q went back to version %s, it held %s", n.host.name, key, e.Version, must)
	}
	// A dead entry may stay until it is purged: what has been let go elsewhere is not
	// dropped here where all live entries are equal, and harms nobody.
	if later := of.seenAfter(n, e.Version); !later.IsZero() && of[e.Version].liveAt(n.latest) {
		return fmt.Errorf("%s: %q is at version %s, and went back to that: %s, which had seen it, is known", n.host.name, key, e.Version, later)
	}
	if err := c.model.matches(&e); err != nil {
		return fmt.Errorf("%s: %w", n.host.name, err)
	}
	return c.checkRead(n, key, of[e.Version])
}

// writesOf are the acknowledged writes of one key.
type writesOf map[engine.Version]write

// diesAt tells whether a write gives its key no value at a wall time.
func (w write) diesAt(now int64) bool { return !w.liveAt(now) }

// mayGo tells whether a node may hold nothing any more where it held v, or less:
// because v is dead, or because a round told it that v had been replaced
// elsewhere.
func (of writesOf) mayGo(v engine.Version, now int64) bool {
	if of[v].diesAt(now) {
		return true
	}
	for at := range of {
		if v.Less(at) {
			return true
		}
	}
	return false
}

// killed tells whether a write that is dead had seen v.
func (of writesOf) killed(v engine.Version, now int64) bool {
	for _, w := range of {
		if w.past[v] && w.diesAt(now) {
			return true
		}
	}
	return false
}

// seenAfter is a write that had seen v and that the node has seen.
func (of writesOf) seenAfter(n *node, v engine.Version) (later engine.Version) {
	for at, w := range of {
		if w.past[v] && n.engine.Seen(at) && later.Less(at) {
			later = at
		}
	}
	return later
}

// checkRead compares what a reader gets with the write that is held.
func (c *cluster) checkRead(n *node, key string, w write) error {
	now := n.wall()
	e, err := n.engine.Get(now, key, nil)
	switch live := w.liveAt(now); {
	case !live && err == nil:
		return fmt.Errorf("%s: %q is served as %q though deleted or expired", n.host.name, key, e.Value)
	case live && err != nil && !w.liveAt(n.latest):
		// Its clock was set back; what was once seen to expire stays expired.
	case live && err != nil:
		return fmt.Errorf("%s: %q: %w", n.host.name, key, err)
	case live && !bytes.Equal(e.Value, w.value):
		return fmt.Errorf("%s: %q is served as %q, it holds %q", n.host.name, key, e.Value, w.value)
	}
	return nil
}

// learn notes that a node was given a version, by a client, a push or a round.
func (n *node) learn(key string, v engine.Version) {
	if n.must[key].Less(v) {
		n.must[key] = v
	}
	n.c.touched = append(n.c.touched, touch{n, key})
}

// applied notes an entry that a peer brought, and what became of it.
func (n *node) applied(e *engine.Entry, outcome merkle.Outcome) {
	switch {
	case outcome == merkle.Refused && n.c.jumped:
		n.c.count("versions refused")
		return
	case outcome == merkle.Parked && n.c.jumped:
		n.c.count("versions parked")
		return
	case outcome == merkle.Refused, outcome == merkle.Parked:
		n.c.failf("%s did not merge version %s of %q, its clock being %d ms: offsets are within the limit",
			n.host.name, e.Version, e.Key, n.wall())
		return
	}
	n.learn(e.Key, e.Version)
}
