package gokv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/membership"
	"github.com/tochemey/gokv/transport"
)

// Member is a member of the cluster as this node sees it: the newest instance
// of its name.
type Member struct {
	Name        string
	State       string // alive, suspect, dead or left
	PeerAddr    string
	ClientAddr  string // empty where it serves no clients
	Instance    uint64
	Incarnation uint64
	Leader      bool // the longest-lived member
	Started     time.Time
}

// Members lists the known members, this node among them, by name.
func (n *Node) Members() []Member {
	list := n.memberList()
	leader, _ := membership.LeaderOf(list)
	out := make([]Member, 0, len(list))
	for _, m := range list {
		out = append(out, Member{
			Name: m.Name, State: m.State.String(), PeerAddr: m.PeerAddr, ClientAddr: m.ClientAddr,
			Instance: m.Instance, Incarnation: m.Incarnation, Leader: m.Instance == leader.Instance,
			Started: time.UnixMilli(m.Started),
		})
	}
	return out
}

// Self is this node's own row of Members.
func (n *Node) Self() Member {
	return n.pick(func(m Member) bool { return m.Instance == n.self })
}

// Leader is the longest-lived member that is alive. Nothing in gokv depends
// on it, and the two sides of a partition have one each: it is for programs
// that want one member to do a chore that bears being done twice.
func (n *Node) Leader() Member {
	return n.pick(func(m Member) bool { return m.Leader })
}

func (n *Node) pick(want func(Member) bool) Member {
	for _, m := range n.Members() {
		if want(m) {
			return m
		}
	}
	return Member{}
}

// memberList is empty before Start.
func (n *Node) memberList() []membership.Member {
	if !n.isWired() {
		return nil
	}
	return n.members.Members()
}

func (n *Node) memberInfos() []wire.MemberInfo {
	members := n.Members()
	out := make([]wire.MemberInfo, 0, len(members))
	for _, m := range members {
		out = append(out, wire.MemberInfo{
			Name: m.Name, State: m.State, PeerAddr: m.PeerAddr, ClientAddr: m.ClientAddr,
			Instance: m.Instance, Incarnation: m.Incarnation, Leader: m.Leader,
		})
	}
	return out
}

// memberSender is how the membership's loop reaches other nodes.
type memberSender struct{ node *Node }

func (s memberSender) SendDatagram(addr string, b []byte) { s.node.transport.SendDatagram(addr, b) }

// PushPull sends one request over a stream of its own and returns the answer.
func (s memberSender) PushPull(ctx context.Context, addr string, req []byte) ([]byte, error) {
	stream, _, err := s.node.transport.OpenStream(ctx, addr, transport.Main, streamPushPull)
	if err != nil {
		if errors.Is(err, transport.ErrSelf) {
			return nil, fmt.Errorf("%w: %s", membership.ErrSelf, addr)
		}
		return nil, err
	}
	answer, err := exchange(ctx, stream, req)
	if err != nil {
		stream.Abort()
		return nil, err
	}
	s.node.hangUp(stream)
	return answer, nil
}

// Ping asks whoever is at the address who it is, now: a connection that was
// made earlier proves nothing.
func (s memberSender) Ping(ctx context.Context, addr string, instance uint64) error {
	stream, _, err := s.node.transport.OpenStream(ctx, addr, transport.Main, streamPing)
	if err != nil {
		return err
	}
	answer, err := exchange(ctx, stream, nil)
	if err != nil {
		stream.Abort()
		return err
	}
	s.node.hangUp(stream)
	if len(answer) != 8 || binary.BigEndian.Uint64(answer) != instance {
		return fmt.Errorf("%s is another instance than %s", addr, hexID(instance))
	}
	return nil
}

// memberDelegate is what the membership's loop tells the node.
type memberDelegate struct{ node *Node }

func (d memberDelegate) Payload() []byte { return d.node.replication.payload(nil) }

func (d memberDelegate) OnPayload(m membership.Member, p []byte) {
	d.node.replication.peerPayload(m, p)
}

func (d memberDelegate) OnEvent(e membership.Event) {
	n := d.node
	if e.Kind != membership.EventProbe {
		defer n.finder.membersChanged()
	}
	switch e.Kind {
	case membership.EventProbe:
		n.metrics.probes.WithLabelValues(string(e.Probe)).Inc()
	case membership.EventBadMessage:
		n.badMessage("membership", e.From, e.Err)
	case membership.EventJoined:
		n.log.Info("member joined", "name", e.Member.Name, "addr", e.Member.PeerAddr, "instance", hexID(e.Member.Instance))
		n.replication.peerUp(e.Member)
	case membership.EventUpdated:
		n.replication.peerUp(e.Member)
	case membership.EventSuspected:
		n.log.Info("member suspected", "name", e.Member.Name, "instance", hexID(e.Member.Instance))
	case membership.EventRecovered:
		n.log.Info("member recovered", "name", e.Member.Name, "instance", hexID(e.Member.Instance))
	case membership.EventAccused:
		n.log.Info("refuted that this node had failed", "from", e.From)
	case membership.EventConflict:
		n.conflict(e)
	case membership.EventNameTaken:
		if n.taken.Allow() {
			n.log.Warn("refused a member that has just started: its name is in use", "name", e.Member.Name,
				"addr", e.Member.PeerAddr, "in_use_at", e.Holder.PeerAddr)
		}
	case membership.EventTableFull:
		n.log.Warn("the table of members is full", "refused", e.Member.Name)
	case membership.EventFailed:
		n.log.Warn("member failed", "name", e.Member.Name, "addr", e.Member.PeerAddr, "instance", hexID(e.Member.Instance))
		n.memberGone(e.Member, false)
	case membership.EventLeft:
		n.log.Info("member left", "name", e.Member.Name, "addr", e.Member.PeerAddr, "instance", hexID(e.Member.Instance))
		n.memberGone(e.Member, true)
	}
}

// conflict tells that another live process bears this node's name.
func (n *Node) conflict(e membership.Event) {
	n.log.Error("another member has this node's name", "name", e.Member.Name, "own_addr", n.advertise,
		"other_addr", e.Member.PeerAddr, "gives_up", e.Fatal)
	if !e.Fatal {
		return
	}
	n.fail(fmt.Errorf("name %q is in use by the live member at %s (this node is at %s): each member needs a name of its own",
		e.Member.Name, e.Member.PeerAddr, n.advertise))
}

func (n *Node) memberGone(m membership.Member, left bool) {
	n.replication.peerDown(m, left)
	n.transport.Disconnect(m.Instance)
}

func hexID(id uint64) string { return fmt.Sprintf("%016x", id) }
