package gokv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/transport"
)

// roundReport is what one round did.
type roundReport struct {
	peer  string
	stats replica.SessionResult
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
	rep.stats, rep.err = n.openRound(p.ctx, addr, start)
	rep.took = time.Since(begin)
	n.reportRound(roleInitiator, start.Reason.String(), rep)
	if rep.err == nil && rep.stats.Converged {
		n.concerns.equal(start.Peer, begin)
	}
	r.step(func(now time.Time) {
		r.machine.RoundDone(now, start.Peer, replica.RoundResult{
			Initiator: true, Failed: rep.err != nil, Converged: rep.stats.Converged, PeerReady: rep.stats.PeerReady, Began: begin,
		}, &r.out)
	})
	for _, ch := range waiting {
		ch <- rep
	}
}

// openRound opens the stream of a round and drives the dialogue to its end.
func (n *Node) openRound(ctx context.Context, addr string, start replica.RoundStart) (replica.SessionResult, error) {
	class := transport.Main
	if start.Bulk {
		class = transport.Bulk
	}
	dial, cancel := context.WithTimeout(ctx, progressTimeout)
	defer cancel()
	stream, peer, err := n.transport.OpenStream(dial, addr, class, streamRound)
	if err != nil {
		return replica.SessionResult{}, err
	}
	if peer.Instance != start.Peer {
		stream.Abort()
		return replica.SessionResult{}, fmt.Errorf("%s is now another instance of %q", addr, peer.Name)
	}
	return n.runRound(ctx, start.Peer, stream, true)
}

// serveRound is the other side of openRound.
func (n *Node) serveRound(ctx context.Context, from transport.Peer, s transport.Stream) {
	begin := time.Now()
	stats, err := n.runRound(ctx, from.Instance, s, false)
	rep := roundReport{peer: from.Name, stats: stats, took: time.Since(begin), err: err}
	n.reportRound(roleResponder, "", rep)
	if err == nil && stats.Converged {
		n.concerns.equal(from.Instance, begin)
	}
	r := n.replication
	r.step(func(now time.Time) {
		r.machine.RoundDone(now, from.Instance, replica.RoundResult{
			Failed: err != nil, Converged: stats.Converged, PeerReady: stats.PeerReady, Began: begin,
		}, &r.out)
	})
}

// runRound drives one side of a round over s, which it ends. The dialogue
// goes by turns: while one side writes, the other reads, so that one
// goroutine serves both directions.
func (n *Node) runRound(ctx context.Context, peer uint64, s transport.Stream, initiator bool) (res replica.SessionResult, err error) {
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
	ends, ok := n.replication.horizon.SessionBegins(peer)
	if !ok {
		return res, refuseGone(s, peer)
	}
	defer ends()
	if n.joining() { // it serves no List, and may be brought everything there is
		defer n.engine.DeferIndex()()
	}
	session := replica.NewSession(replica.SessionConfig{
		Initiator: initiator, Engine: n.engine, Now: n.nowMS, Ready: n.Ready(), Salt: n.salt(),
		Applied: func(_ *engine.Entry, lag int64) { n.merged(lag) },
	})
	var in, out []byte
	inFlight := held{memory: &n.memory}
	defer inFlight.set(0)
	for {
		if err := progress(); err != nil {
			return session.Result(), err
		}
		for {
			frame, ok := session.Next(out[:0])
			if !ok {
				break
			}
			out = frame
			inFlight.set(cap(in) + cap(out))
			if err := writeFrame(writer, frame); err != nil {
				return session.Result(), err
			}
			if err := progress(); err != nil {
				return session.Result(), err
			}
		}
		if err := session.Err(); err != nil {
			return session.Result(), err
		}
		if err := writer.Flush(); err != nil {
			return session.Result(), err
		}
		if session.Done() {
			return session.Result(), nil
		}
		if in, err = readFrame(reader, in); err != nil {
			return session.Result(), err
		}
		inFlight.set(cap(in) + cap(out))
		if err = session.Receive(in); err != nil {
			n.badMessage("round", "", err)
			return session.Result(), err
		}
	}
}

func (n *Node) reportRound(role, reason string, rep roundReport) {
	n.metrics.round(role, rep.result(), rep.stats.RoundStats, rep.took)
	n.tally.count(rep.result())
	if rep.err != nil && !errors.Is(rep.err, context.Canceled) {
		n.heedRefusal(rep.peer, rep.err)
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
