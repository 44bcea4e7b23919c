package replica

import "github.com/tochemey/gokv/engine"

// Reason says why a round was started; it is bounded, and serves as a label.
type Reason uint8

// The reasons for a round, weakest first: a stronger one is not overwritten.
const (
	ReasonNone         Reason = iota
	ReasonDiffers             // the peer's last reported root differed from ours
	ReasonUnlike              // statements of an instance that is gone differ
	ReasonNotConverged        // the last round ended with unequal roots
	ReasonNotReady            // the peer has become ready, and this node is not
	ReasonPeerUp              // the peer has just come up: a join or a heal
	ReasonPushFailed          // a push to it failed
	ReasonQueueDropped        // its queue overflowed
	ReasonAsked               // SyncAll
)

var reasonNames = [...]string{"none", "differs", "unlike", "not_converged", "not_ready", "peer_up", "push_failed", "queue_dropped", "asked"}

// String gives the name used in logs.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// Push is a batch for one peer, in the order of the writes. The entries are
// immutable; the slice belongs to whoever took it from the effects.
type Push struct {
	To      uint64 // the peer's instance
	Seq     uint64 // to be handed back in PushDone; never zero
	Entries []*engine.Entry
}

// RoundStart asks for a round that this node initiates.
type RoundStart struct {
	Peer   uint64
	Reason Reason
	Bulk   bool // much may move: keep it off the connection that carries probes
}

// Effects is what is to be done. The caller owns it, drains it and reuses it.
type Effects struct {
	Pushes  []Push
	Rounds  []RoundStart
	Ready   bool // the node has just become ready
	Dropped int  // writes dropped from queues; a round brings them
}

// Reset empties the effects and keeps their room.
func (e *Effects) Reset() {
	clear(e.Pushes)
	*e = Effects{Pushes: e.Pushes[:0], Rounds: e.Rounds[:0]}
}
