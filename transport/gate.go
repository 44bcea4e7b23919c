package transport

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"

	"github.com/tochemey/gokv/internal/auth"
)

// gate bounds the handshakes in progress of one listener, from the first packet
// until the proof, and asks for QUIC's Retry when addresses that may be
// spoofed come too often.
type gate struct {
	max      int
	pending  atomic.Int64
	unproven *rate.Limiter // first packets from unverified addresses
	refusals *refusals
	closed   atomic.Bool // what fails now fails because we go

	mu     sync.Mutex
	turned string    // whom we turned away last
	at     time.Time // and when
}

func newGate(max, retryAbove int, r *refusals) *gate {
	return &gate{max: max, unproven: rate.NewLimiter(rate.Limit(retryAbove), retryAbove), refusals: r}
}

// enter takes a place; release gives it back, once, however often it is called.
func (g *gate) enter() (release func(), ok bool) {
	if g.pending.Add(1) > int64(g.max) {
		g.pending.Add(-1)
		return nil, false
	}
	return sync.OnceFunc(func() { g.pending.Add(-1) }), true
}

// askRetry is quic.Transport.VerifySourceAddress. A Retry costs an honest
// dialler one round trip and a liar its anonymity. So that liars cannot take
// all places, it is also asked for once a quarter of them are taken.
func (g *gate) askRetry(net.Addr) bool {
	return g.pending.Load() >= int64(g.max+3)/4 || !g.unproven.Allow()
}

// knock is one QUIC connection on its way from first packet to proof.
type knock struct {
	release func()
	remote  string
	told    atomic.Bool // somebody notes its failure, or has
}

type knockKey struct{}

var errNoPlace = errors.New("too many handshakes in progress")

// connContext is quic.Transport.ConnContext. quic-go reports no failed TLS
// handshake but by the end of this context, with its cause.
func (g *gate) connContext(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	release, ok := g.enter()
	if !ok {
		g.turnAway(info.RemoteAddr.String())
		return nil, errNoPlace
	}
	k := &knock{release: release, remote: info.RemoteAddr.String()}
	context.AfterFunc(ctx, func() {
		k.release()
		if k.take() {
			g.failed(k.remote, context.Cause(ctx))
		}
	})
	return context.WithValue(ctx, knockKey{}, k), nil
}

// turnAway notes that there was no place, once for all packets of a first flight.
func (g *gate) turnAway(remote string) {
	now := time.Now()
	g.mu.Lock()
	again := g.turned == remote && now.Sub(g.at) < firstFlight
	g.turned, g.at = remote, now
	g.mu.Unlock()
	if !again {
		g.refusals.note(asListener, remote, &auth.RefusedError{Reason: auth.Limit, Err: errNoPlace})
	}
}

// firstFlight is how far apart the packets of one first flight may arrive.
const firstFlight = 50 * time.Millisecond

// failed notes how a handshake ended.
func (g *gate) failed(remote string, err error) {
	if !g.closed.Load() {
		g.refusals.note(asListener, remote, listenerError(err))
	}
}

// take is called by whoever goes on with a connection when TLS is up. If it
// returns true, the caller tells how the handshake ends: what the connection
// itself ends with may only be how the other end took the refusal.
func (k *knock) take() bool { return !k.told.Swap(true) }

func knockOf(conn *quic.Conn) *knock {
	k, _ := conn.Context().Value(knockKey{}).(*knock) // set for every accepted one
	return k
}

// listenerError is auth.Classify for an end that listens: to it, a handshake
// that does not come to its end in time is a refusal too.
func listenerError(err error) error {
	if err == nil {
		return nil
	}
	err = auth.Classify(err)
	if auth.ReasonOf(err) != auth.ReasonNone {
		return err
	}
	if isQUICTimeout(err) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return &auth.RefusedError{Reason: auth.Timeout, Err: err}
	}
	return err
}
