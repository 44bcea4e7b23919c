package gokv

import (
	"fmt"
	"time"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/merkle"
)

// clockOffset is how the node's wall clock compares with those of its peers.
func (n *Node) clockOffset() replica.Offset {
	return n.offsets.Judge(time.Now(), n.nowMS())
}

// admitsWrites says why the node takes no writes although it serves, or nil: it is
// fenced.
func (n *Node) admitsWrites() error {
	is := n.clockOffset()
	if !is.Fenced {
		return nil
	}
	return refusal{wire.CodeFenced, fmt.Sprintf(
		"the node's clock is %s from those of most of its %d peers, the limit is 80 %% of %v: it takes no writes until that is mended",
		is.Median.Abs(), is.Peers, n.cfg.MaxClockSkew)}
}

// tendClock merges what was parked and is due, and tells when the fence goes up or
// comes down. It returns the time by which expiry is to be judged, none before the
// node serves and a live peer has said what its clock shows. The goroutine of the sweeps calls it.
func (n *Node) tendClock() (sweep int64, ok bool) {
	now := n.nowMS()
	n.engine.Unpark(now, func(_ *engine.Entry, outcome merkle.Outcome, lag int64) {
		if outcome == merkle.Applied {
			n.merged(lag)
		}
	})
	is := n.offsets.Tick(time.Now(), now)
	if is.Fenced != n.wasFenced {
		n.wasFenced = is.Fenced
		if is.Fenced {
			n.log.Error("fenced: the clock differs from those of most peers, and writes are refused until it does not", "ahead_of_this", is.Median, "peers", is.Peers)
		} else {
			n.log.Info("not fenced any more", "ahead_of_this", is.Median, "peers", is.Peers)
		}
	}
	return is.Sweep(now), n.Ready() && (is.Peers > 0 || n.replication.alone())
}
