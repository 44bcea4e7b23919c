package replica

import (
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/merkle"
)

// A push that builds upon what has not come yet is held for a while: other members,
// or the same one, are about to push that. What comes after it on its stream does not
// wait meanwhile, as it may be just what is missing.
const (
	// HoldTime is for how long a push is held before it is merged all the same.
	HoldTime = 100 * time.Millisecond
	// HoldCheck is the pause between two looks at what is held.
	HoldCheck = 10 * time.Millisecond

	maxHeld      = 1024    // pushes a stream
	maxHeldBytes = 1 << 20 // of keys and values
)

// Pushes takes in what comes on one stream of pushes. It is not safe for concurrent
// use.
type Pushes struct {
	engine *engine.Engine
	done   func(ent *engine.Entry, outcome merkle.Outcome, lag int64)

	hidden causal.Vector // what the issuer hides, as far as it has said
	held   []heldPush    // by when they came
	bytes  int
	looked time.Time
	unseen uint32
}

type heldPush struct {
	ent   *engine.Entry
	until time.Time
}

// NewPushes returns one for a stream. done is called with each entry when it is
// settled what becomes of it, in any order.
func NewPushes(e *engine.Engine, done func(ent *engine.Entry, outcome merkle.Outcome, lag int64)) *Pushes {
	return &Pushes{engine: e, done: done}
}

// Take takes in a frame at a monotonic time and a wall time, a function of its own as
// entries take time. Its entries are merged or held; none is held by a node that joins,
// as what they build upon comes with its first round, and seldom within HoldTime.
func (p *Pushes) Take(now time.Time, wall func() int64, f *PushFrame, joining bool) {
	p.hidden.Merge(f.Hidden)
	for _, e := range f.Entries {
		size := len(e.Key) + len(e.Value)
		room := len(p.held) < maxHeld && p.bytes+size <= maxHeldBytes
		outcome, lag := p.engine.Push(wall(), e, p.hidden, room && !joining)
		if outcome == merkle.Held {
			p.held = append(p.held, heldPush{e, now.Add(HoldTime)})
			p.bytes += size
			continue
		}
		p.settle(e, outcome, lag)
	}
	p.Look(now, wall)
}

// Look merges what is held and need not wait any longer. It is to be called every
// HoldCheck while something is held; called more often it does nothing.
func (p *Pushes) Look(now time.Time, wall func() int64) {
	if len(p.held) > 0 && now.Sub(p.looked) >= HoldCheck {
		p.looked = now
		p.look(now, wall)
	}
}

// End merges all that is held: the stream is over, and what was taken is acknowledged.
func (p *Pushes) End(now time.Time, wall func() int64) { p.look(now.Add(HoldTime), wall) }

func (p *Pushes) look(now time.Time, wall func() int64) {
	// What is merged may be what others wait for: in the order of their coming, one
	// pass is enough for a chain.
	left := p.held[:0]
	for _, h := range p.held {
		outcome, lag := p.engine.Push(wall(), h.ent, p.hidden, now.Before(h.until))
		if outcome == merkle.Held {
			left = append(left, h)
			continue
		}
		p.bytes -= len(h.ent.Key) + len(h.ent.Value)
		p.settle(h.ent, outcome, lag)
	}
	clear(p.held[len(left):])
	p.held = left
}

// Holds reports whether anything is held.
func (p *Pushes) Holds() bool { return len(p.held) > 0 }

// Bytes is the size of what is held, keys and values.
func (p *Pushes) Bytes() int { return p.bytes }

// Unseen is how many were merged since it was last asked without what they build
// upon: a round has to bring that.
func (p *Pushes) Unseen() uint32 {
	n := p.unseen
	p.unseen = 0
	return n
}

func (p *Pushes) settle(e *engine.Entry, outcome merkle.Outcome, lag int64) {
	if outcome == merkle.Unseen {
		p.unseen++
	}
	p.done(e, outcome, lag)
}
