package gokv

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/transport"
)

// peerHandler hands what peers send to the part that it is for.
type peerHandler struct{ node *Node }

// HandleDatagram takes a membership message. Those that come before the node
// is put together are lost, as datagrams may be.
func (h peerHandler) HandleDatagram(from transport.Peer, b []byte) {
	if h.node.isWired() {
		h.node.members.HandleDatagram(from.Addr, b)
	}
}

// HandleStream serves one stream that a peer opened, to its end.
func (h peerHandler) HandleStream(ctx context.Context, from transport.Peer, kind byte, s transport.Stream) {
	select {
	case <-h.node.wired:
	case <-ctx.Done():
		s.Abort()
		return
	}
	var err error
	switch kind {
	case streamPushPull:
		err = h.node.servePushPull(ctx, from, s)
	case streamPush:
		if err = h.node.servePush(ctx, from, s); err != nil {
			s.Abort()
		} else {
			h.node.hangUp(s)
		}
	case streamRound:
		h.node.serveRound(ctx, from, s)
	case streamPing:
		err = h.node.servePing(s)
	case streamHeld:
		err = h.node.answer(s, h.node.answerHeld)
	case streamForget:
		err = h.node.answer(s, h.node.answerForget)
	default:
		s.Abort()
		err = fmt.Errorf("unknown kind of stream %d", kind)
	}
	if err != nil && ctx.Err() == nil {
		h.node.log.Debug("stream ended", "peer", from.Name, "kind", kind, "error", err)
	}
}

// PeerGone is told when the last connection with a peer has ended. Whether
// the member is gone is for the membership's probes to say.
func (h peerHandler) PeerGone(p transport.Peer) {
	h.node.log.Debug("connection ended", "peer", p.Name, "addr", p.Addr)
}

// servePushPull answers one exchange of the membership.
func (n *Node) servePushPull(ctx context.Context, from transport.Peer, s transport.Stream) error {
	if err := s.SetDeadline(time.Now().Add(progressTimeout)); err != nil {
		return err
	}
	req, err := readFrame(bufio.NewReader(s), nil)
	if err != nil {
		s.Abort()
		return err
	}
	answer, err := n.members.HandlePushPull(ctx, from.Addr, req)
	if err != nil {
		s.Abort()
		return err
	}
	writer := bufio.NewWriter(s)
	if err := writeFrame(writer, answer); err != nil {
		s.Abort()
		return err
	}
	if err := writer.Flush(); err != nil {
		s.Abort()
		return err
	}
	n.hangUp(s)
	return nil
}

// servePing says who is here.
func (n *Node) servePing(s transport.Stream) error {
	return n.answer(s, func([]byte) ([]byte, error) { return binary.BigEndian.AppendUint64(nil, n.self), nil })
}

// answer serves a stream of one question, a frame, and one answer.
func (n *Node) answer(s transport.Stream, reply func(question []byte) ([]byte, error)) error {
	if err := s.SetDeadline(time.Now().Add(progressTimeout)); err != nil {
		return err
	}
	question, err := readFrame(bufio.NewReader(s), nil)
	if err != nil {
		s.Abort()
		return err
	}
	b, err := reply(question)
	if err != nil {
		s.Abort()
		return err
	}
	writer := bufio.NewWriter(s)
	if err := errors.Join(writeFrame(writer, b), writer.Flush()); err != nil {
		s.Abort()
		return err
	}
	n.hangUp(s)
	return nil
}

// exchange writes one frame and reads one.
func exchange(ctx context.Context, s transport.Stream, req []byte) ([]byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(progressTimeout)
	}
	if err := s.SetDeadline(deadline); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, s.Abort)()
	writer := bufio.NewWriter(s)
	if err := writeFrame(writer, req); err != nil {
		return nil, err
	}
	if err := writer.Flush(); err != nil {
		return nil, err
	}
	return readFrame(bufio.NewReader(s), nil)
}

// observe takes in a peer's clock reading. One too far ahead is counted and
// not taken in: the peer's versions are judged one by one.
func (n *Node) observe(reading uint64) {
	if err := n.engine.Clock().Observe(n.nowMS(), reading); errors.Is(err, engine.ErrClockAhead) {
		n.metrics.clockRefused.Inc()
	}
}

// warnRefused tells, now and then, that entries are not merged: members whose
// clocks or limits differ do not converge, and somebody has to know.
func (n *Node) warnRefused(what, peer string, entries int) {
	if n.odd.Allow() {
		n.log.Warn(what, "peer", peer, "entries", entries,
			"because", "their versions are further ahead of the receiver's clock than max-clock-skew, or their values are over its max-value-size, or its memory is at max-memory")
	}
}

// badMessage counts what an authenticated peer should not have sent; it
// changed nothing.
func (n *Node) badMessage(protocol, peer string, err error) {
	n.metrics.badMessages.WithLabelValues(protocol).Inc()
	if n.badLog.Allow() {
		n.log.Warn("malformed message", "protocol", protocol, "peer", peer, "error", err)
	}
}

// salt draws what a round's short digests are salted with.
func (n *Node) salt() uint64 { return rand.Uint64() }
