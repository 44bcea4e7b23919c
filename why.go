package gokv

import (
	"context"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/membership"
)

// held is what this node holds of a key.
func (n *Node) held(key string) wire.HoldingInfo {
	name := n.cfg.Name
	if n.isWired() {
		name = n.name
	}
	return n.holdingInfo(name, replica.HoldingOf(n.engine, n.nowMS(), key))
}

// why is what each member holds of a key, this node first, the others by name.
func (n *Node) why(ctx context.Context, key string) []wire.HoldingInfo {
	out := []wire.HoldingInfo{n.held(key)}
	var asked []membership.Member
	var places []int // of asked, in out
	for _, m := range n.memberList() {
		switch {
		case m.Instance == n.self || m.State == membership.Left: // it holds nothing any more
			continue
		case m.State == membership.Dead:
			out = append(out, wire.HoldingInfo{Member: m.Name, Error: "believed dead"})
			continue
		}
		asked, places = append(asked, m), append(places, len(out))
		out = append(out, wire.HoldingInfo{Member: m.Name})
	}
	n.inquireAll(ctx, asked, streamHeld, replica.HeldFrame{Key: key}.AppendTo(nil), func(i int, answer []byte, err error) {
		var h replica.KeyHolding
		if err == nil {
			h, err = replica.ParseHolding(answer)
		}
		if err != nil {
			out[places[i]].Error = err.Error()
			return
		}
		out[places[i]] = n.holdingInfo(asked[i].Name, h)
	})
	return out
}

func (n *Node) holdingInfo(member string, h replica.KeyHolding) wire.HoldingInfo {
	info := wire.HoldingInfo{Member: member, State: h.State.String()}
	if h.State == replica.KeyUnknown {
		return info
	}
	info.Version = h.Version.String()
	info.Instance, info.Writer = h.Version.Instance, n.nameOf(h.Version.Instance)
	info.Written, info.ExpiresAt, info.Size = h.Version.Wall(), h.ExpiresAt, uint64(h.Size)
	return info
}

// answerHeld answers a peer's question.
func (n *Node) answerHeld(question []byte) ([]byte, error) {
	f, err := replica.ParseHeld(question)
	if err != nil {
		n.badMessage("inquiry", "", err)
		return nil, err
	}
	return replica.HoldingOf(n.engine, n.nowMS(), f.Key).AppendTo(nil), nil
}
