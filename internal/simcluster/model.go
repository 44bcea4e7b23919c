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
	writes map[string]map[engine.Version]write
}

type write struct {
	kind    engine.Kind
	value   []byte
	expires int64
	by      string
}

func newModel() *model { return &model{writes: make(map[string]map[engine.Version]write)} }

// acknowledged records what a node answered to a client.
func (m *model) acknowledged(n *node, e *engine.Entry) error {
	of := m.writes[e.Key]
	if of == nil {
		of = make(map[engine.Version]write)
		m.writes[e.Key] = of
	}
	if had, ok := of[e.Version]; ok {
		return fmt.Errorf("%s gave version %s of %q out, which %s had given out already", n.host.name, e.Version, e.Key, had.by)
	}
	of[e.Version] = write{kind: e.Kind, value: slices.Clone(e.Value), expires: e.ExpiresAt, by: n.host.name}
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
	must := n.must[key]
	e, err := n.held(key)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", n.host.name, err)
	case e == nil:
		return fmt.Errorf("%s: %q is gone, it held version %s", n.host.name, key, must)
	case e.Version.Less(must):
		return fmt.Errorf("%s: %q went back to version %s, it held %s", n.host.name, key, e.Version, must)
	case e.Version != must:
		return fmt.Errorf("%s: %q is at version %s, nobody gave it more than %s", n.host.name, key, e.Version, must)
	}
	if err := c.model.matches(e); err != nil {
		return fmt.Errorf("%s: %w", n.host.name, err)
	}
	return c.checkRead(n, key, c.model.writes[key][must])
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

// held is what the node's engine holds of a key, tombstones and expired entries
// included; nil: nothing.
func (n *node) held(key string) (*engine.Entry, error) {
	pos := n.engine.Hasher().Position(key)
	items := n.source.Items(merkle.RangeOf(pos, merkle.MaxDepth), pos, n.items[:0], 4)
	n.items = items
	for _, it := range items {
		e, err := n.entry(it)
		if err != nil || e.Key == key {
			return e, err
		}
	}
	return nil, nil
}

// entry is an item as its wire form has it.
func (n *node) entry(it merkle.Item) (*engine.Entry, error) {
	n.scratch = n.source.AppendEntry(n.scratch[:0], it)
	e, err := engine.ParseEntry(n.scratch, 0)
	if err != nil {
		return nil, fmt.Errorf("own entry: %w", err)
	}
	return e, nil
}

// source is the engine as a round sees it, with the harness looking on.
type source struct {
	*engine.Source
	n *node
}

// Apply implements merkle.Source.
func (s source) Apply(entry []byte) (merkle.Outcome, error) {
	e, parseErr := engine.ParseEntry(entry, 0)
	outcome, err := s.Source.Apply(entry)
	if parseErr == nil {
		s.n.applied(e, outcome)
	}
	return outcome, err
}

// applied notes an entry that a peer brought, and what became of it.
func (n *node) applied(e *engine.Entry, outcome merkle.Outcome) {
	if outcome == merkle.Refused {
		n.c.failf("%s refused version %s of %q, its clock being %d ms: offsets are within the limit",
			n.host.name, e.Version, e.Key, n.wall())
		return
	}
	n.learn(e.Key, e.Version)
}
