package gokv

import (
	"slices"
	"time"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/membership"
)

// heldUp says for whom dead entries wait that this node would purge: nobody, the
// members that are believed dead, or else the one that is furthest behind. A
// dead member goes first even where a live one is further behind by a moment:
// nobody can see more of a dead one's writes than it last told, so that it is
// what the others wait for as well. The node must be wired.
func (n *Node) heldUp() []wire.HeldUpInfo {
	horizon, members := n.replication.horizon, n.memberList()
	own := replica.Holding{Instance: n.self, Least: horizon.Report().Least, Heard: true}
	var out []wire.HeldUpInfo
	for _, h := range culprits(own, horizon.HeldUp()) {
		if len(out) > 0 && !h.Failed {
			break // all dead ones, or a single live one
		}
		waiting := n.engine.DeadAfter(h.Least)
		if waiting == 0 {
			continue
		}
		info := wire.HeldUpInfo{
			Name: n.nameOf(h.Instance), Instance: h.Instance, Dead: h.Failed, Reported: h.Heard && h.Least > 0, Waiting: waiting,
		}
		info.Earlier = slices.ContainsFunc(members, func(m membership.Member) bool { return m.Name == info.Name && m.Instance != h.Instance })
		if info.Reported {
			info.BehindSeconds = (time.Duration(max(n.nowMS()-engine.WallOf(h.Least), 0)) * time.Millisecond).Seconds()
		}
		out = append(out, info)
	}
	return out
}

// culprits orders who may hold purging up: the failed members, then the others
// and this node, those that are furthest behind first.
func culprits(own replica.Holding, others []replica.Holding) []replica.Holding {
	var failed, rest []replica.Holding
	for _, h := range others {
		if h.Failed {
			failed = append(failed, h)
		} else {
			rest = append(rest, h)
		}
	}
	at := slices.IndexFunc(rest, func(h replica.Holding) bool { return own.Least < h.Least })
	if at < 0 {
		at = len(rest)
	}
	return append(failed, slices.Insert(rest, at, own)...)
}
