package transport

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tochemey/gokv/internal/auth"
)

const (
	// A connection on which we have sent and heard nothing for so long is no
	// longer relied on. QUIC alone would back off to a packet a minute and give up
	// after idleTimeout; a partition that heals must be noticed in seconds.
	silenceLimit = 3 * time.Second

	// bulkIdle is how long a bulk connection may be without a stream.
	bulkIdle = 30 * time.Second
	// The end that did not dial stops using it a little earlier, so that it opens
	// no stream on a connection that is being closed.
	bulkIdleMargin = 5 * time.Second

	// retiredIdle is how long a connection that lost against another stays open
	// without a stream: the other end may not know yet.
	retiredIdle = 5 * time.Second

	// kindTimeout is how long the first byte of a stream may take.
	kindTimeout = 5 * time.Second
)

var errClosing = errors.New("connection is closing")

// conn is one authenticated connection with a peer.
type conn struct {
	t       *Transport
	quic    *quic.Conn
	peer    Peer
	class   Class
	dialled bool // by us
	since   time.Time

	queue *queue // of datagrams to send

	mu        sync.Mutex
	streams   int       // open ones, of both ends
	idleSince time.Time // when streams became zero
	retired   bool      // another connection is preferred
	closing   bool
	timer     *time.Timer // looks whether an idle connection may go
	doubt     *time.Timer // looks whether a superseded one is dead

	received   uint64    // packets, when silent was last asked
	sent       uint64    // packets, when received last grew
	unanswered time.Time // since when packets were sent and none received; zero: no
}

func newConn(t *Transport, q *quic.Conn, h auth.Hello, dialled bool) *conn {
	now := time.Now()
	return &conn{
		t: t, quic: q, dialled: dialled, class: Class(h.Class), since: now, idleSince: now,
		peer:  Peer{Instance: h.Instance, Name: h.Name, Addr: h.Addr, Proto: h.Proto},
		queue: newQueue(),
	}
}

// start runs the connection's goroutines. They end with the connection.
func (c *conn) start() {
	c.t.wg.Go(c.acceptStreams)
	if c.class == Main {
		c.t.wg.Go(c.sendDatagrams)
		c.t.wg.Go(c.receiveDatagrams)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watchLocked()
}

// sendDatagrams hands queued datagrams to quic-go, which blocks when it has 32.
func (c *conn) sendDatagrams() {
	ctx := c.quic.Context()
	for {
		b, ok := c.queue.pop(ctx.Done())
		if !ok {
			return
		}
		err := c.quic.SendDatagram(b)
		if err == nil {
			c.t.stats.datagramsOut.Add(1)
			continue
		}
		c.t.stats.dropped.Add(1)
		if _, tooLarge := errors.AsType[*quic.DatagramTooLargeError](err); !tooLarge {
			return
		}
	}
}

func (c *conn) receiveDatagrams() {
	ctx := c.quic.Context()
	for {
		b, err := c.quic.ReceiveDatagram(ctx)
		if err != nil {
			return
		}
		c.t.stats.datagramsIn.Add(1)
		c.t.cfg.Handler.HandleDatagram(c.peer, b)
	}
}

// acceptStreams hands the peer's streams to the handler, and takes the
// connection off the books when it has ended.
func (c *conn) acceptStreams() {
	ctx := c.quic.Context()
	for {
		s, err := c.quic.AcceptStream(ctx)
		if err != nil {
			break
		}
		if !c.begin() {
			s.CancelRead(codeAborted)
			s.CancelWrite(codeAborted)
			continue
		}
		c.t.wg.Go(func() { c.serve(ctx, newIncoming(s, c.end)) })
	}
	<-ctx.Done()
	c.t.deregister(c)
}

func (c *conn) serve(ctx context.Context, s *quicStream) {
	var kind [1]byte
	s.SetReadDeadline(time.Now().Add(kindTimeout)) //nolint:errcheck // a dead stream fails at the read
	if _, err := io.ReadFull(s, kind[:]); err != nil {
		s.Abort()
		return
	}
	s.SetReadDeadline(time.Time{}) //nolint:errcheck // likewise
	c.t.cfg.Handler.HandleStream(ctx, c.peer, kind[0], s)
	s.Close() //nolint:errcheck // the handler has seen what matters
}

// open begins a stream of ours.
func (c *conn) open(ctx context.Context, kind byte) (Stream, error) {
	if !c.begin() {
		return nil, errClosing
	}
	s, err := c.quic.OpenStreamSync(ctx)
	if err != nil {
		c.end()
		return nil, err
	}
	return newOutgoing(s, kind, c.end), nil
}

// begin counts a stream, unless the connection is closing.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	c.streams++
	return true
}

func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams--
	if c.streams == 0 {
		c.idleSince = time.Now()
		c.watchLocked()
	}
}

// usable reports whether new streams may be opened here.
func (c *conn) usable(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.quic.Context().Err() != nil {
		return false
	}
	return c.class != Bulk || c.dialled || c.streams > 0 || now.Sub(c.idleSince) < bulkIdle-bulkIdleMargin
}

// retire marks a connection that lost against another. Its streams go on.
func (c *conn) retire(retired bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = retired
	c.watchLocked()
}

// doubted gives a connection that the peer has replaced, or that we have, a last
// chance: it ends unless something arrives on it. If it lives after all, as after
// a partition that has just healed, its streams go on to their end.
func (c *conn) doubted() {
	heard := c.quic.ConnectionStats().PacketsReceived
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doubt != nil || c.closing {
		return
	}
	c.doubt = time.AfterFunc(silenceLimit, func() {
		if c.isRetired() && c.quic.ConnectionStats().PacketsReceived == heard {
			c.close(auth.CloseSuperseded, "superseded")
		}
	})
}

func (c *conn) isRetired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retired
}

// allowanceLocked is how long the connection may be without streams; zero: as long
// as it likes. Only the end that dialled closes: one judge suffices.
func (c *conn) allowanceLocked() time.Duration {
	switch {
	case !c.dialled:
		return 0
	case c.retired:
		return retiredIdle
	case c.class == Bulk:
		return bulkIdle
	}
	return 0
}

// watchLocked sets the timer that looks again when the connection may be closed.
func (c *conn) watchLocked() {
	allowed := c.allowanceLocked()
	if allowed == 0 || c.streams > 0 || c.closing {
		return
	}
	wait := max(allowed-time.Since(c.idleSince), 0)
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.closeIdle)
		return
	}
	c.timer.Reset(wait)
}

func (c *conn) closeIdle() {
	c.mu.Lock()
	allowed := c.allowanceLocked()
	if allowed == 0 || c.streams > 0 || c.closing {
		c.mu.Unlock()
		return
	}
	if time.Since(c.idleSince) < allowed {
		c.watchLocked()
		c.mu.Unlock()
		return
	}
	code := auth.CloseIdle
	if c.retired {
		code = auth.CloseSuperseded
	}
	c.closing = true // in the same step: no stream begins in between
	c.mu.Unlock()
	c.close(code, "idle")
}

// close ends the connection and tells the peer. It returns when the message is
// on its way.
func (c *conn) close(code quic.ApplicationErrorCode, text string) {
	c.stop()
	c.quic.CloseWithError(code, text) //nolint:errcheck // always nil
}

// stop lets nothing begin any more.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	for _, t := range []*time.Timer{c.timer, c.doubt} {
		if t != nil {
			t.Stop()
		}
	}
}

// silent reports whether what we sent has long been without any answer. It is
// asked before something is sent. QUIC acknowledges at once whatever we send, so a
// peer that is there is never silent.
func (c *conn) silent(now time.Time) bool {
	stats := c.quic.ConnectionStats()
	c.mu.Lock()
	defer c.mu.Unlock()
	if stats.PacketsReceived != c.received {
		c.received, c.sent, c.unanswered = stats.PacketsReceived, stats.PacketsSent, time.Time{}
	}
	if c.unanswered.IsZero() {
		if stats.PacketsSent > c.sent {
			c.unanswered = now
		}
		return false
	}
	return now.Sub(c.unanswered) > silenceLimit
}
