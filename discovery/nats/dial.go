package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tochemey/gokv/discovery"
)

// connectTimeout bounds one attempt at one server: name, TCP, TLS, greeting and
// subscription.
const connectTimeout = 2 * time.Second

// dialer ends what nats.Connect does when its context ends, which the library
// has no way to ask for: it closes the connection under the handshake. It also
// keeps the reason of a failure, which the library drops if it is a refusal.
type dialer struct {
	ctx context.Context

	mu   sync.Mutex
	err  error
	stop func() bool
}

// Dial is nats.CustomDialer's.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(d.ctx, network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.err = err
		return nil, err
	}
	d.stop = context.AfterFunc(d.ctx, func() { conn.Close() })
	return conn, nil
}

// release lets the connection outlive the context, if that has not ended.
func (d *dialer) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.stop()
	}
}

func (d *dialer) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// connect tries each server once, in random order.
func (p *Provider) connect(ctx context.Context) (*session, error) {
	opts, err := p.cfg.secrets()
	if err != nil {
		return nil, err
	}
	servers := p.shuffled()
	errs := make([]string, 0, len(servers))
	var causes []error
	for _, srv := range servers {
		s, err := p.open(ctx, srv, opts)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("nats-server %s: %w", srv.name, err)
		}
		errs = append(errs, fmt.Sprintf("nats-server %s: %v", srv.name, err))
		causes = append(causes, err)
	}
	return nil, &unconnected{strings.Join(errs, "; "), causes}
}

// unconnected is what each server had to say, in a line.
type unconnected struct {
	text   string
	causes []error
}

func (u *unconnected) Error() string   { return u.text }
func (u *unconnected) Unwrap() []error { return u.causes }

// open makes a session with one server.
func (p *Provider) open(parent context.Context, srv endpoint, secrets []nats.Option) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(parent, connectTimeout, fmt.Errorf("no answer within %v", connectTimeout))
	defer cancel()
	d := &dialer{ctx: ctx}
	s := newSession(p, srv.name)
	opts := append([]nats.Option{
		nats.Name("gokv " + p.self.Name),
		nats.SetCustomDialer(d),
		nats.SkipHostLookup(),            // the dialer looks names up, and stops when told to
		nats.Timeout(2 * connectTimeout), // of the handshake alone: the dialer's context ends first
		// keep connects anew, and says why.
		nats.NoReconnect(),
		nats.IgnoreDiscoveredServers(),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.FlusherTimeout(writeTimeout),
		nats.SyncQueueLen(queueMessages),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { s.onError(err) }),
		nats.ClosedHandler(func(nc *nats.Conn) { s.onClosed(nc.LastError()) }),
	}, secrets...)
	nc, err := nats.Connect(srv.url, opts...)
	if err != nil {
		switch failure := d.failure(); {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case failure != nil:
			err = failure
		}
		return nil, p.explained(err)
	}
	if err := s.start(ctx, nc); err != nil {
		s.shut()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	d.release()
	if ctx.Err() != nil { // the connection may have been closed
		s.shut()
		return nil, context.Cause(ctx)
	}
	return s, nil
}

// explained says which setting a refusal is about.
func (p *Provider) explained(err error) error {
	for _, refused := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired, nats.ErrNkeysNotSupported} {
		if !errors.Is(err, refused) {
			continue
		}
		switch {
		case p.cfg.Credentials != "":
			return fmt.Errorf("the server refuses nats-creds %s: %w", p.cfg.Credentials, err)
		case p.cfg.NKey != "":
			return fmt.Errorf("the server refuses nats-nkey %s: %w", p.cfg.NKey, err)
		default:
			return fmt.Errorf("the server refuses the user of nats-server, or the lack of one (nats-creds and nats-nkey are not set): %w", err)
		}
	}
	return err
}

// Initialize connects, in at most MaxJoinAttempts attempts over all calls, with
// ReconnectWait between them; then it gives up with an error that wraps
// discovery.ErrPermanent. An attempt that the context ended does not count.
// Once connected, the provider keeps itself so until Close.
func (p *Provider) Initialize(ctx context.Context) error {
	if err := p.prepare(); err != nil {
		return err
	}
	if p.started() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)() // Close ends it too
	for {
		s, err := p.connect(ctx)
		switch {
		case err == nil:
			p.attempts = 0
			return p.begin(s)
		case p.ctx.Err() != nil:
			return errClosed
		case ctx.Err() != nil:
			return fmt.Errorf("%w, after %d of %d attempts", err, p.attempts, p.cfg.MaxJoinAttempts)
		}
		if p.attempts++; p.attempts >= p.cfg.MaxJoinAttempts {
			n := p.attempts
			p.attempts = 0
			return fmt.Errorf("%w, after %d attempts: %w", discovery.ErrPermanent, n, err)
		}
		if !pause(ctx, p.cfg.ReconnectWait) {
			return fmt.Errorf("%w after %d of %d attempts: %w", context.Cause(ctx), p.attempts, p.cfg.MaxJoinAttempts, err)
		}
	}
}

// pause waits for d, or until ctx ends: false.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
