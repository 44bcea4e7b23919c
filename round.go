package gokv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/merkle"
	"github.com/tochemey/gokv/transport"
)

// roundReport is what one round did.
type roundReport struct {
	peer  string
	stats merkle.RoundStats
	took  time.Duration
	err   error
}

func (rep roundReport) result() string {
	switch {
	case rep.err != nil:
		return resultFailed
	case rep.stats.Equal:
		return resultEqual
	}
	return resultRepaired
}

// initiate runs the round that the machine asked for, and tells it the end.
func (r *replication) initiate(p *pusher, start replica.RoundStart) {
	n := r.node
	begin := time.Now()
	r.mu.Lock()
	addr := p.addr
	// Those who asked before the round began are answered by it.
	waiting := r.asked[start.Peer]
	if start.Reason == replica.ReasonAsked {
		delete(r.asked, start.Peer)
	} else {
		waiting = nil
	}
	r.mu.Unlock()

	rep := roundReport{peer: p.name}
	var peer replica.Payload
	rep.stats, peer, rep.err = n.openRound(p.ctx, addr, start)
	rep.took = time.Since(begin)
	n.reportRound(roleInitiator, start.Reason.String(), rep)
	r.step(func(now time.Time) {
		r.machine.RoundDone(now, start.Peer, replica.RoundResult{
			Initiator: true, Failed: rep.err != nil, Converged: rep.stats.Converged, PeerReady: peer.Ready, Began: begin,
		}, &r.out)
	})
	for _, ch := range waiting {
		ch <- rep
	}
}

// openRound opens the stream of a round and drives the dialogue to its end.
// Both sides first say their payload, which tells whether each is ready.
func (n *Node) openRound(ctx context.Context, addr string, start replica.RoundStart) (merkle.RoundStats, replica.Payload, error) {
	class := transport.Main
	if start.Bulk {
		class = transport.Bulk
	}
	dial, cancel := context.WithTimeout(ctx, progressTimeout)
	defer cancel()
	stream, peer, err := n.transport.OpenStream(dial, addr, class, streamRound)
	if err != nil {
		return merkle.RoundStats{}, replica.Payload{}, err
	}
	if peer.Instance != start.Peer {
		stream.Abort()
		return merkle.RoundStats{}, replica.Payload{}, fmt.Errorf("%s is now another instance of %q", addr, peer.Name)
	}
	return n.runRound(ctx, stream, true)
}

// serveRound is the other side of openRound.
func (n *Node) serveRound(ctx context.Context, from transport.Peer, s transport.Stream) {
	begin := time.Now()
	stats, peer, err := n.runRound(ctx, s, false)
	rep := roundReport{peer: from.Name, stats: stats, took: time.Since(begin), err: err}
	n.reportRound(roleResponder, "", rep)
	r := n.replication
	r.step(func(now time.Time) {
		r.machine.RoundDone(now, from.Instance, replica.RoundResult{
			Failed: err != nil, Converged: stats.Converged, PeerReady: peer.Ready, Began: begin,
		}, &r.out)
	})
}

// runRound drives one side of a round over s, which it ends. The dialogue
// goes by turns: while one side writes, the other reads, so that one
// goroutine serves both directions.
func (n *Node) runRound(ctx context.Context, s transport.Stream, initiator bool) (stats merkle.RoundStats, peer replica.Payload, err error) {
	unhook := context.AfterFunc(ctx, s.Abort)
	defer func() {
		unhook()
		if err != nil {
			s.Abort()
			return
		}
		n.hangUp(s)
	}()
	reader, writer := bufio.NewReaderSize(s, 64<<10), bufio.NewWriterSize(s, 64<<10)
	progress := func() error { return s.SetDeadline(time.Now().Add(progressTimeout)) }
	if err := progress(); err != nil {
		return stats, peer, err
	}
	var in, out []byte
	if err := writeFrame(writer, n.replication.payload(nil)); err != nil {
		return stats, peer, err
	}
	if !initiator {
		if err := writer.Flush(); err != nil {
			return stats, peer, err
		}
	}
	said := false
	round := merkle.NewRound(merkle.RoundConfig{Initiator: initiator, Source: n.source(), Salt: n.salt()})
	for {
		for {
			frame, ok := round.Next(out[:0])
			if !ok {
				break
			}
			out = frame
			if err := progress(); err != nil {
				return round.Stats(), peer, err
			}
			if err := writeFrame(writer, frame); err != nil {
				return round.Stats(), peer, err
			}
		}
		if err := writer.Flush(); err != nil {
			return round.Stats(), peer, err
		}
		if round.Done() && said {
			return round.Stats(), peer, nil
		}
		if err := progress(); err != nil {
			return round.Stats(), peer, err
		}
		if in, err = readFrame(reader, in); err != nil {
			return round.Stats(), peer, err
		}
		if !said {
			said = true
			if peer, err = replica.ParsePayload(in); err != nil {
				n.badMessage("round", "", err)
				return round.Stats(), peer, err
			}
			n.observe(peer.Clock)
			continue
		}
		if err = round.Receive(in); err != nil {
			n.badMessage("round", "", err)
			return round.Stats(), peer, err
		}
	}
}

func (n *Node) reportRound(role, reason string, rep roundReport) {
	n.metrics.round(role, rep.result(), rep.stats, rep.took)
	n.tally.count(rep.result())
	if rep.err != nil && !errors.Is(rep.err, context.Canceled) {
		n.log.Debug("round failed", "role", role, "peer", rep.peer, "error", rep.err)
		return
	}
	if rep.stats.Refused > 0 {
		n.warnRefused("refused entries that a round brought", rep.peer, int(rep.stats.Refused))
	}
	n.log.Debug("round", "role", role, "peer", rep.peer, "reason", reason, "result", rep.result(), "converged", rep.stats.Converged,
		"digest_bytes", rep.stats.DigestSent+rep.stats.DigestReceived,
		"entries_sent", rep.stats.EntriesSent, "entries_received", rep.stats.EntriesReceived, "took", rep.took)
}

// hangUp closes a stream on which both sides have said all. That the other
// side closed first, and wants no more, is an error to QUIC and none to us.
func (n *Node) hangUp(s transport.Stream) {
	if err := s.Close(); err != nil {
		n.log.Debug("closing a stream that has ended", "error", err)
	}
}

// endOfStream is nil for a stream that its other side ended properly.
func endOfStream(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
