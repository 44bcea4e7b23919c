package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tochemey/gokv/internal/auth"
)

const (
	// dialTimeout bounds one attempt: name, TLS and proofs.
	dialTimeout = 5 * time.Second

	// maxDials bounds the attempts at a time. Addresses whose last attempt failed
	// may take all but a few: those that are alive do not wait for the dead.
	maxDials      = 16
	maxRetryDials = 12

	// After a failure an address rests for a random time up to a limit that
	// doubles from the first to the last of these ("full jitter"). The last is
	// short: whoever comes back is reached about a second after somebody asks,
	// and an attempt that nobody answers is four packets in three seconds.
	firstRest = 50 * time.Millisecond
	lastRest  = 500 * time.Millisecond
	// A refusal costs both ends a handshake, and is seldom mended in a moment.
	lastRefusedRest = 5 * time.Second
)

// backoff is how an address that failed is spared.
type backoff struct {
	failures int
	until    time.Time
	err      error // of the last failure
}

// failed notes a failure; draw returns a number in [0,1).
func (b *backoff) failed(now time.Time, err error, draw func() float64) {
	limit, last := firstRest, lastRest
	if auth.ReasonOf(err) != auth.ReasonNone {
		last = lastRefusedRest
	}
	for range min(b.failures, 16) {
		limit = min(2*limit, last)
	}
	b.failures++
	b.err = err
	b.until = now.Add(time.Duration(draw() * float64(limit)))
}

func (b *backoff) wait(now time.Time) time.Duration { return max(b.until.Sub(now), 0) }

// refusedUntil reports whether the address rests because of a refusal.
func (b *backoff) refusedUntil(now time.Time) bool {
	return now.Before(b.until) && auth.ReasonOf(b.err) != auth.ReasonNone
}

// dialSlots bounds dials; see maxDials.
type dialSlots struct {
	all, retries chan struct{}
}

func newDialSlots() dialSlots {
	return dialSlots{all: make(chan struct{}, maxDials), retries: make(chan struct{}, maxRetryDials)}
}

func (s dialSlots) take(ctx context.Context, retry bool) (release func(), err error) {
	take := func(slots chan struct{}) error {
		select {
		case slots <- struct{}{}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if retry {
		if err := take(s.retries); err != nil {
			return nil, err
		}
	}
	if err := take(s.all); err != nil {
		if retry {
			<-s.retries
		}
		return nil, err
	}
	return func() {
		<-s.all
		if retry {
			<-s.retries
		}
	}, nil
}

// dialLocked starts a dial, or joins the one in progress.
func (t *Transport) dialLocked(l *link, class Class) *dialCall {
	if call := l.calls[class]; call != nil {
		return call
	}
	call := &dialCall{kick: make(chan struct{}), done: make(chan struct{})}
	l.calls[class] = call
	wait, retry, failures := l.backoff.wait(time.Now()), l.backoff.failures > 0, l.backoff.failures
	t.wg.Go(func() {
		c, err := t.dial(l, class, call, wait, retry, failures)
		t.finishDial(l, class, call, c, err)
	})
	return call
}

// finishDial tells everybody who waits.
func (t *Transport) finishDial(l *link, class Class, call *dialCall, c *conn, err error) {
	t.mu.Lock()
	l.calls[class] = nil
	if err != nil {
		t.stats.dialFailures.Add(1)
		l.backoff.failed(time.Now(), err, rand.Float64)
		if class == Main {
			t.stats.dropped.Add(uint64(l.waiting.clear()))
		}
	}
	t.mu.Unlock()
	call.conn, call.err = c, err
	close(call.done)
}

// dial waits until the address has rested and makes one attempt, unless the peer
// connects by itself meanwhile.
func (t *Transport) dial(l *link, class Class, call *dialCall, wait time.Duration, retry bool, failures int) (*conn, error) {
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-call.kick:
		case <-t.ctx.Done():
			return nil, ErrClosed
		}
	}
	release, err := t.dialing.take(t.ctx, retry)
	if err != nil {
		return nil, ErrClosed
	}
	defer release()
	if c := t.arrived(l, class, call); c != nil {
		return c, nil
	}
	t.stats.dials.Add(1)
	ctx, cancel := context.WithTimeout(t.ctx, dialTimeout)
	defer cancel()
	addr, err := t.resolve(ctx, l.addr, failures)
	if err != nil {
		return nil, err
	}
	c, err := t.dialAddr(ctx, addr, class)
	if err != nil {
		if t.ctx.Err() != nil {
			return nil, ErrClosed
		}
		t.refusals.note(asDialler, l.addr, err)
		if c := t.arrived(l, class, call); c != nil {
			return c, nil
		}
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	if err := t.register(c, l.addr); err != nil {
		auth.CloseQUIC(c.quic, err)
		return nil, err
	}
	return t.settled(c), nil
}

// arrived returns the connection that the peer has opened by itself.
func (t *Transport) arrived(l *link, class Class, call *dialCall) *conn {
	if !call.kicked() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pickLocked(l.instance, class, time.Now())
}

// settled returns the connection that is preferred now to one just registered.
func (t *Transport) settled(c *conn) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if best := t.pickLocked(c.peer.Instance, c.class, time.Now()); best != nil {
		return best
	}
	return c
}

// dialAddr makes one connection and proves it.
func (t *Transport) dialAddr(ctx context.Context, addr *net.UDPAddr, class Class) (*conn, error) {
	q, err := t.dialTLS(ctx, addr)
	if err != nil {
		return nil, t.cfg.Auth.ClassifyDial(err)
	}
	hello, err := t.proveOutgoing(ctx, q, class)
	if err != nil {
		auth.CloseQUIC(q, err)
		return nil, err
	}
	hello.Class = uint8(class)
	return newConn(t, q, hello, true), nil
}

func (t *Transport) dialTLS(ctx context.Context, addr *net.UDPAddr) (*quic.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, tlsTimeout, errNoAnswer)
	defer cancel()
	q, err := t.quic.Dial(ctx, addr, t.cfg.Auth.ClientTLS(auth.ALPNPeer), t.config)
	if isQUICTimeout(err) {
		err = errNoAnswer // whichever of the two clocks was first
	}
	return q, err
}

func isQUICTimeout(err error) bool {
	if _, ok := errors.AsType[*quic.HandshakeTimeoutError](err); ok {
		return true
	}
	_, ok := errors.AsType[*quic.IdleTimeoutError](err)
	return ok
}

var errNoAnswer = fmt.Errorf("no answer within %v", tlsTimeout)

func (t *Transport) proveOutgoing(ctx context.Context, q *quic.Conn, class Class) (auth.Hello, error) {
	s, err := q.OpenStreamSync(ctx)
	if err != nil {
		return auth.Hello{}, t.cfg.Auth.ClassifyDial(err)
	}
	own := t.cfg.Self
	own.Class = uint8(class)
	hello, err := t.cfg.Auth.Connect(ctx, s, q.ConnectionState().TLS, auth.RolePeer, own)
	if err != nil {
		return auth.Hello{}, err
	}
	return hello, s.Close()
}

// resolve turns host:port into an address that the socket can reach. A name with
// several addresses gives another one after each failure.
func (t *Transport) resolve(ctx context.Context, addr string, failures int) (*net.UDPAddr, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", addr, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("address %q: port must be 1 to 65535", addr)
	}
	ips, err := lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", addr, err)
	}
	var fit []netip.Addr
	for _, ip := range ips {
		if reachable(t.cfg.Conn.LocalAddr(), ip) {
			fit = append(fit, ip)
		}
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("address %q: the socket %s cannot reach %v", addr, t.cfg.Conn.LocalAddr(), ips)
	}
	ip := fit[failures%len(fit)]
	if err := t.cfg.Auth.CheckAddr(net.JoinHostPort(ip.String(), service)); err != nil {
		return nil, err
	}
	// The 16-byte form, as net.ParseIP gives it: simulated networks compare bytes.
	b := ip.As16()
	return &net.UDPAddr{IP: b[:], Port: int(port), Zone: ip.Zone()}, nil
}

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	if host == "" {
		return nil, errors.New("no host")
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, err
}

// reachable reports whether a socket bound to local can send to ip.
func reachable(local net.Addr, ip netip.Addr) bool {
	udp, ok := local.(*net.UDPAddr)
	if !ok || len(udp.IP) == 0 {
		return true
	}
	bound, ok := netip.AddrFromSlice(udp.IP)
	if !ok {
		return true
	}
	if bound.IsUnspecified() {
		// [::] takes both families, 0.0.0.0 IPv4 alone.
		return bound.Is6() || ip.Is4()
	}
	return bound.Unmap().Is4() == ip.Is4()
}
