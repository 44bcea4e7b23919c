package simcluster

import (
	"encoding/binary"
	"time"

	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/internal/sim"
	"github.com/tochemey/gokv/membership"
)

// The kinds of streams between nodes.
const (
	streamPushPull byte = iota + 1
	streamPush
	streamRound
)

// pushPullTimeout is the membership's default.
const pushPullTimeout = 3 * time.Second

// progressTimeout is how long a peer may take over one frame of a push or a
// round, as in the root package.
const progressTimeout = 10 * time.Second

// meet steps the membership and does what it asks for.
func (n *node) meet(input func(now time.Time, out *membership.Effects)) []membership.Reply {
	var out membership.Effects
	input(n.c.world.Now(), &out)
	if self := n.members.Self(); self.Started != n.started {
		n.started = self.Started
		n.c.count("starts corrected")
		n.peerUp(self)
	}
	for _, e := range out.Events {
		n.onEvent(e)
	}
	for _, p := range out.Payloads {
		n.onPayload(p)
	}
	for _, p := range out.Packets {
		n.c.net.Send(n.host.addr, p.To, p.Msg.AppendTo(nil))
	}
	for _, call := range out.PushPulls {
		n.pushPull(call)
	}
	n.set(&n.memberTimer, n.members.NextDeadline(), func() {
		n.meet(func(now time.Time, out *membership.Effects) { n.members.Tick(now, out) })
	})
	return out.Replies
}

func (n *node) onEvent(e membership.Event) {
	switch e.Kind {
	case membership.EventJoined:
		n.peers[e.Member.Instance] = e.Member.PeerAddr
		n.peerUp(e.Member)
	case membership.EventUpdated:
		n.peerUp(e.Member)
	case membership.EventFailed:
		n.horizon.Failed(n.c.world.Now(), e.Member.Instance)
		n.peerDown(e.Member.Instance)
	case membership.EventLeft:
		n.horizon.Left(e.Member.Instance)
		n.peerDown(e.Member.Instance)
	case membership.EventLeaveDone:
		if n.left != nil {
			n.proc.After(0, n.left)
			n.left = nil
		}
	case membership.EventConflict:
		if e.Fatal {
			n.c.failf("%s gave its name up, and nobody else uses it", n.host.name)
		}
	case membership.EventBadMessage:
		n.c.failf("%s: bad message from %s: %v", n.host.name, e.From, e.Err)
	}
	if e.Kind != membership.EventProbe {
		n.c.world.Logf("%s: %s %s (%016x)", n.host.name, e.Kind, e.Member.Name, e.Member.Instance)
		n.c.count("members " + e.Kind.String())
		return
	}
	n.c.count("probes " + string(e.Probe))
}

func (n *node) peerUp(m membership.Member) {
	n.horizon.Alive(m.Instance, m.Name)
	n.replicate(func(now time.Time, out *replica.Effects) {
		n.replica.PeerUp(now, replica.Peer{Instance: m.Instance, Started: m.Started}, out)
	})
	n.membersChanged()
}

func (n *node) peerDown(instance uint64) {
	delete(n.peers, instance)
	n.offsets.Gone(n.c.world.Now(), instance)
	n.membersChanged()
	n.replicate(func(now time.Time, out *replica.Effects) { n.replica.PeerDown(now, instance, out) })
	if l := n.links[instance]; l != nil {
		n.proc.After(0, func() { l.fail("peer down") })
	}
}

func (n *node) onPayload(p membership.PayloadEvent) {
	pl, err := replica.ParsePayload(p.Payload)
	if err != nil {
		n.c.failf("%s: %v", n.host.name, err)
		return
	}
	n.observe(pl.Clock)
	n.horizon.Heard(p.Member.Instance, pl.Report)
	n.horizon.HeardGone(p.Member.Instance, &pl.Gone)
	if pl.Wall != 0 {
		n.offsets.Heard(n.c.world.Now(), p.Member.Instance, pl.Wall)
	}
	like := pl.Compare(n.engine, p.Member.Instance)
	n.replicate(func(now time.Time, out *replica.Effects) {
		n.replica.PeerPayload(now, p.Member.Instance, &pl, like, out)
	})
}

// Datagram implements sim.Host.
func (n *node) Datagram(from string, b []byte) {
	msg, err := membership.ParseDatagram(b)
	if err != nil {
		n.c.failf("%s: %v", n.host.name, err)
		return
	}
	n.meet(func(now time.Time, out *membership.Effects) { n.members.Step(now, from, msg, out) })
}

// dial opens a stream to one instance, or to whoever is at an address (0). Who
// the two are, which the transport's handshake proves, goes ahead on the stream.
func (n *node) dial(addr string, to uint64, kind byte) *sim.Stream {
	s := n.c.net.Dial(n.host.addr, addr, kind)
	head := binary.BigEndian.AppendUint64(nil, to)
	s.Send(binary.BigEndian.AppendUint64(head, n.instance))
	return s
}

// Accept implements sim.Host.
func (n *node) Accept(from string, kind byte, s *sim.Stream) {
	s.OnMessage = func(head []byte) {
		to, peer := binary.BigEndian.Uint64(head), binary.BigEndian.Uint64(head[8:])
		if to != 0 && to != n.instance {
			n.c.count("streams for a former instance refused")
			s.Reset()
			return
		}
		switch kind {
		case streamPushPull:
			n.servePushPull(from, s)
		case streamPush:
			n.servePush(peer, s)
		case streamRound:
			n.serveRound(peer, s)
		}
	}
}

// pushPull carries out an exchange of whole tables that the membership wants.
func (n *node) pushPull(call membership.PushPullCall) {
	n.exchange(call.To, call.Req, func(answer *membership.PushPull) {
		n.meet(func(now time.Time, out *membership.Effects) {
			if answer == nil {
				n.members.Failed(now, call.ID, false, out)
			} else {
				n.members.Answered(now, call.ID, answer, out)
			}
		})
	})
}

// exchange sends a table to whoever is at an address. ended gets the answer,
// or nil, once.
func (n *node) exchange(addr string, req *membership.PushPull, ended func(answer *membership.PushPull)) {
	s := n.dial(addr, 0, streamPushPull)
	timeout := n.proc.After(pushPullTimeout, func() {
		s.OnClose = nil
		s.Reset()
		ended(nil)
	})
	s.OnClose = func(error) {
		timeout.Stop()
		ended(nil)
	}
	s.OnMessage = func(b []byte) {
		timeout.Stop()
		s.OnClose = nil
		s.Close()
		answer, err := membership.ParsePushPull(b)
		if err != nil {
			n.c.failf("%s: %v", n.host.name, err)
			return
		}
		ended(answer)
	}
	s.Send(req.AppendTo(nil))
}

func (n *node) servePushPull(from string, s *sim.Stream) {
	s.OnMessage = func(b []byte) {
		req, err := membership.ParsePushPull(b)
		if err != nil {
			n.c.failf("%s: %v", n.host.name, err)
			return
		}
		replies := n.meet(func(now time.Time, out *membership.Effects) { n.members.Step(now, from, req, out) })
		for _, r := range replies {
			s.Send(r.Msg.AppendTo(nil))
		}
		s.Close()
	}
}
