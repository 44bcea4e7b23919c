package gokv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/merkle"
	"github.com/tochemey/gokv/transport"
)

// The kinds of streams between nodes: the first byte of each.
const (
	streamPushPull byte = 1 // membership: one request, one answer
	streamPush     byte = 2 // pushes and their acknowledgements, in turn
	streamRound    byte = 3 // one anti-entropy round
	streamPing     byte = 4 // who is there: an empty frame, answered with the instance
	streamHeld     byte = 5 // what is held of a key: one question, one answer
	streamForget   byte = 6 // a member will not return: one frame, one answer
)

// progressTimeout is how long a peer may take over one frame of a push or a
// round before the stream is given up.
const progressTimeout = 10 * time.Second

// pusher carries this node's writes to one peer, over one long-lived stream.
type pusher struct {
	r        *replication
	instance uint64
	name     string
	ctx      context.Context
	cancel   context.CancelFunc
	next     chan replica.Push // holds one: the machine has at most one in flight

	addr string // guarded by r.mu

	// Owned by run.
	stream transport.Stream
	reader *bufio.Reader
	writer *bufio.Writer
	buf    []byte
	hidden causal.Vector // what has been said on the stream of what this node hides
}

func (p *pusher) run() {
	defer p.hangUp()
	for {
		select {
		case <-p.ctx.Done():
			select {
			case push := <-p.next: // the machine waits to hear of it
				p.r.pushDone(p.instance, push.Seq, true)
			default:
			}
			return
		case push := <-p.next:
			err := p.push(push)
			if err != nil {
				p.hangUp()
				p.r.node.heedRefusal(p.name, err)
				if p.ctx.Err() == nil {
					p.r.node.metrics.pushDropped.Add(float64(len(push.Entries)))
					p.r.node.log.Debug("push failed", "peer", p.name, "entries", len(push.Entries), "error", err)
				}
			} else {
				p.r.node.metrics.pushEntries.WithLabelValues(directionSent).Add(float64(len(push.Entries)))
			}
			p.r.pushDone(p.instance, push.Seq, err != nil)
		}
	}
}

// push sends one batch and waits for its acknowledgement.
func (p *pusher) push(push replica.Push) error {
	hidden := p.r.node.engine.Hidden()
	if replica.Outdated(p.hidden, hidden) {
		p.hangUp()
	}
	if p.stream == nil {
		if err := p.dial(); err != nil {
			return err
		}
	}
	if err := p.stream.SetDeadline(time.Now().Add(progressTimeout)); err != nil {
		return err
	}
	frame := replica.PushFrame{
		Seq: push.Seq, Clock: p.r.node.engine.Clock().Read(),
		Hidden: replica.News(&p.hidden, hidden), Entries: push.Entries,
	}
	p.buf = frame.AppendTo(p.buf[:0])
	inFlight := held{memory: &p.r.node.memory}
	inFlight.set(2 * len(p.buf)) // the entries too
	defer inFlight.set(0)
	if err := writeFrame(p.writer, p.buf); err != nil {
		return err
	}
	if err := p.writer.Flush(); err != nil {
		return err
	}
	body, err := readFrame(p.reader, p.buf)
	if err != nil {
		return err
	}
	ack, err := replica.ParseAck(body)
	if err != nil {
		return err
	}
	if ack.Seq != push.Seq {
		return fmt.Errorf("push %d was answered as %d", push.Seq, ack.Seq)
	}
	p.buf = trimBuffer(p.buf)
	p.r.node.observe(ack.Clock)
	if ack.Refused > 0 {
		p.r.node.warnRefused("a peer refused entries that this node pushed", p.name, int(ack.Refused))
	}
	if ack.Refused == 0 {
		p.r.node.concerns.acknowledged(p.instance, push.Entries)
	}
	if ack.Held > 0 {
		p.r.step(func(now time.Time) { p.r.machine.PushUnseen(now, p.instance, &p.r.out) })
	}
	return nil
}

func (p *pusher) dial() error {
	p.r.mu.Lock()
	addr := p.addr
	p.r.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, progressTimeout)
	defer cancel()
	stream, peer, err := p.r.node.transport.OpenStream(ctx, addr, transport.Main, streamPush)
	if err != nil {
		return err
	}
	if peer.Instance != p.instance {
		stream.Abort()
		return fmt.Errorf("%s is now another instance of %q", addr, peer.Name)
	}
	p.stream, p.hidden = stream, nil
	p.reader = bufio.NewReaderSize(stream, 4<<10)
	p.writer = bufio.NewWriterSize(stream, 64<<10)
	return nil
}

func (p *pusher) hangUp() {
	if p.stream != nil {
		p.stream.Abort()
		p.stream = nil
	}
}

// keptBuffer is how large a buffer may be that is kept for the next frame.
const keptBuffer = 1 << 20

func trimBuffer(b []byte) []byte {
	if cap(b) > keptBuffer {
		return nil
	}
	return b
}

// servePush merges a peer's pushes and acknowledges each, until the stream
// ends.
func (n *Node) servePush(ctx context.Context, from transport.Peer, s transport.Stream) error {
	ends, ok := n.replication.horizon.PushesBegin(from.Instance)
	if !ok {
		return refuseGone(s, from.Instance)
	}
	defer ends() // after what is held has been merged
	reader, writer := bufio.NewReaderSize(s, 64<<10), bufio.NewWriterSize(s, 4<<10)
	var buf, ack []byte
	refused, ignored := uint32(0), 0
	pushes := replica.NewPushes(n.engine, func(_ *engine.Entry, outcome merkle.Outcome, lag int64) {
		switch outcome {
		case merkle.Refused:
			refused++
		case merkle.Applied:
			n.merged(lag)
			n.tally.lag.Store(lag * int64(time.Millisecond))
		case merkle.Ignored:
			ignored++
		}
	})
	defer func() { pushes.End(time.Now(), n.nowMS) }()
	inFlight := held{memory: &n.memory}
	defer inFlight.set(0)
	for ctx.Err() == nil {
		if err := n.holdPushes(s, reader, pushes); err != nil {
			return endOfStream(err)
		}
		body, err := readFrame(reader, buf)
		if err != nil {
			return endOfStream(err)
		}
		inFlight.set(cap(body) + len(body) + pushes.Bytes()) // the entries that are parsed from it too
		buf = trimBuffer(body)
		frame, err := replica.ParsePush(body)
		if err != nil {
			n.badMessage("push", from.Name, err)
			return err
		}
		if n.replication.horizon.Gone(from.Instance) {
			return refuseGone(s, from.Instance)
		}
		n.observe(frame.Clock)
		pushes.Take(time.Now(), n.nowMS, frame, n.joining())
		if refused > 0 {
			n.warnRefused("refused entries that a peer pushed", from.Name, int(refused))
		}
		n.metrics.ignored.WithLabelValues(byPush).Add(float64(ignored))
		acked := replica.AckFrame{Seq: frame.Seq, Clock: n.engine.Clock().Read(), Refused: refused, Held: pushes.Unseen()}
		refused, ignored = 0, 0
		n.metrics.pushEntries.WithLabelValues(directionReceived).Add(float64(len(frame.Entries)))
		ack = acked.AppendTo(ack[:0])
		inFlight.set(cap(buf) + pushes.Bytes())
		if err := s.SetWriteDeadline(time.Now().Add(progressTimeout)); err != nil {
			return err
		}
		if err := writeFrame(writer, ack); err != nil {
			return err
		}
		if err := writer.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// holdPushes looks at the pushes that are held until the next one begins to come.
func (n *Node) holdPushes(s transport.Stream, reader *bufio.Reader, pushes *replica.Pushes) error {
	if !pushes.Holds() {
		return nil
	}
	for pushes.Holds() {
		if err := s.SetReadDeadline(time.Now().Add(replica.HoldCheck)); err != nil {
			return err
		}
		_, err := reader.Peek(1)
		pushes.Look(time.Now(), n.nowMS)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return s.SetReadDeadline(time.Time{})
}
