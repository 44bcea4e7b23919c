package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tochemey/gokv/internal/auth"
)

// Names of the transports, as metrics label them.
const (
	OverQUIC = "quic"
	OverTLS  = "tls"
)

// ClientSession describes the client at the other end of a stream.
type ClientSession struct {
	Role      auth.Role
	Transport string // OverQUIC or OverTLS
	Remote    string // address
	Instance  uint64 // that the client drew
	Name      string // that the client gave; often empty
	// Draining is closed when the listener shuts down: finish what is in progress
	// and return.
	Draining <-chan struct{}
}

// ClientHandler serves one stream of a client until it returns; the stream is
// closed then. rw is also a Stream. The context ends with the connection, or when
// the listener is closed.
type ClientHandler func(ctx context.Context, session ClientSession, rw io.ReadWriteCloser)

// ClientConfig says how to listen for clients. Zero values are the defaults.
type ClientConfig struct {
	// UDP takes QUIC, TCP takes TLS; either may be nil. The listener owns and
	// closes them, unless ListenClients fails.
	UDP net.PacketConn
	TCP net.Listener
	// Auth proves and verifies. Required.
	Auth *auth.Authenticator
	// Self is told to clients.
	Self auth.Hello
	// Need lists the roles that are let in; default RoleAdmin.
	Need []auth.Role
	// Handler serves streams. Required.
	Handler ClientHandler
	// Logger defaults to none.
	Logger *slog.Logger
	// Refused counts refused handshakes; the reason is one of auth.Reasons.
	Refused func(reason string)

	// MaxConns is how many clients may be connected over both transports together;
	// default 4,096.
	MaxConns int
	// MaxHandshakes is how many handshakes may be in progress on each transport;
	// default 256.
	MaxHandshakes int
	// MaxStreams is how many streams a client may have open on one QUIC connection;
	// default 64.
	MaxStreams int
	// RetryAbove is as in Config; default 256.
	RetryAbove int
}

func (c ClientConfig) withDefaults() (ClientConfig, error) {
	switch {
	case c.UDP == nil && c.TCP == nil:
		return c, errors.New("transport: no socket to listen on for clients")
	case c.Auth == nil:
		return c, errors.New("transport: no authenticator")
	case c.Handler == nil:
		return c, errors.New("transport: no handler")
	}
	for _, f := range []struct {
		name  string
		value *int
		usual int
	}{
		{"MaxConns", &c.MaxConns, 4096},
		{"MaxHandshakes", &c.MaxHandshakes, 256},
		{"MaxStreams", &c.MaxStreams, 64},
		{"RetryAbove", &c.RetryAbove, 256},
	} {
		if err := positive(f.name, f.value, f.usual); err != nil {
			return c, err
		}
	}
	if len(c.Need) == 0 {
		c.Need = []auth.Role{auth.RoleAdmin}
	}
	c.Need = slices.Clone(c.Need)
	if err := c.Self.Validate(); err != nil {
		return c, fmt.Errorf("transport: %w", err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// clientWindow is how much a client may send on one stream before it is read.
const clientWindow = 1 << 20

// ClientListener takes clients over QUIC, TLS or both.
type ClientListener struct {
	cfg      ClientConfig
	refusals *refusals
	quicGate *gate
	tlsGate  *gate
	traffic  traffic
	quic     *quic.Transport
	listener *quic.Listener
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup // every goroutine but those of quic-go
	draining chan struct{}

	connected         atomic.Int64 // proven, over both
	overQUIC, overTLS atomic.Int64

	mu       sync.Mutex
	stopped  bool            // takes no new connections
	handlers int             // running
	idle     chan struct{}   // closed when stopped and no handler runs
	conns    map[closer]bool // to be closed at the end
}

// closer ends one connection of a client.
type closer interface{ shut() }

// ListenClients starts listening on the sockets of cfg.
func ListenClients(cfg ClientConfig) (*ClientListener, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := newRefusals(cfg.Logger, cfg.Refused)
	l := &ClientListener{
		cfg:      cfg,
		refusals: r,
		quicGate: newGate(cfg.MaxHandshakes, cfg.RetryAbove, r),
		tlsGate:  newGate(cfg.MaxHandshakes, cfg.RetryAbove, r),
		draining: make(chan struct{}),
		idle:     make(chan struct{}),
		conns:    make(map[closer]bool),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if cfg.UDP != nil {
		if err := l.listenQUIC(); err != nil {
			l.cancel()
			return nil, err
		}
	}
	if cfg.TCP != nil {
		l.wg.Go(l.acceptTLS)
	}
	return l, nil
}

// Connections counts proven connections over OverQUIC or OverTLS.
func (l *ClientListener) Connections(over string) int {
	switch over {
	case OverQUIC:
		return int(l.overQUIC.Load())
	case OverTLS:
		return int(l.overTLS.Load())
	}
	return 0
}

// Stats counts UDP payload; the bytes of TLS are not counted.
func (l *ClientListener) Stats() Stats {
	return Stats{
		BytesIn: l.traffic.in.Load(), BytesOut: l.traffic.out.Load(),
		Connections: int(l.connected.Load()),
	}
}

// Shutdown takes no new connections and streams, tells the handlers through
// ClientSession.Draining, waits until they have returned or ctx ends, and closes
// everything. It returns ctx's error if handlers were cut short.
func (l *ClientListener) Shutdown(ctx context.Context) error {
	l.stop()
	var err error
	select {
	case <-l.idle:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return errors.Join(err, l.Close())
}

// stop refuses whatever is new from now on.
func (l *ClientListener) stop() {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return
	}
	l.stopped = true
	if l.handlers == 0 {
		close(l.idle)
	}
	l.mu.Unlock()
	l.quicGate.closed.Store(true)
	close(l.draining)
	if l.listener != nil {
		l.listener.Close() //nolint:errcheck // always nil
	}
	if l.cfg.TCP != nil {
		l.cfg.TCP.Close() //nolint:errcheck // nothing is accepted any more either way
	}
}

// Close ends everything at once and waits for the handlers to return.
func (l *ClientListener) Close() error {
	l.stop()
	l.cancel()
	l.mu.Lock()
	conns := make([]closer, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		c.shut()
	}
	var err error
	if l.quic != nil {
		err = l.quic.Close()
	}
	l.wg.Wait()
	if l.cfg.UDP != nil {
		if cerr := l.cfg.UDP.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, cerr)
		}
	}
	return err
}

// prove runs the listener's side of a handshake. Where it succeeds, a place among
// the connections is taken, which enter or its leave gives back.
func (l *ClientListener) prove(ctx context.Context, s auth.Stream, state tls.ConnectionState, over, remote string) (ClientSession, error) {
	placed := false
	hello, role, err := l.cfg.Auth.AcceptIf(ctx, s, state, l.cfg.Need, l.cfg.Self, func(auth.Hello, auth.Role) auth.Reason {
		if l.connected.Add(1) > int64(l.cfg.MaxConns) {
			l.connected.Add(-1)
			return auth.Limit
		}
		placed = true
		return auth.ReasonNone
	})
	if err != nil {
		if placed {
			l.connected.Add(-1)
		}
		return ClientSession{}, err
	}
	return ClientSession{
		Role: role, Transport: over, Remote: remote,
		Instance: hello.Instance, Name: hello.Name, Draining: l.draining,
	}, nil
}

// enter counts a proven connection, and is told how to end it.
func (l *ClientListener) enter(c closer, gauge *atomic.Int64) (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		l.connected.Add(-1)
		return nil, false
	}
	l.conns[c] = true
	gauge.Add(1)
	return func() {
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
		gauge.Add(-1)
		l.connected.Add(-1)
	}, true
}

// serve runs the handler on one stream.
func (l *ClientListener) serve(ctx context.Context, session ClientSession, s Stream) {
	if !l.began() {
		s.Abort()
		return
	}
	defer l.ended()
	l.cfg.Handler(ctx, session, s)
	l.farewell(s)
}

func (l *ClientListener) began() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.handlers++
	return true
}

func (l *ClientListener) ended() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers--
	if l.stopped && l.handlers == 0 {
		close(l.idle)
	}
}

const (
	// lingerTime and lingerBytes bound how long a closing stream still listens, so
	// that what was written last is not lost with the connection.
	lingerTime  = time.Second
	lingerBytes = 64 << 10
	// drainLinger is lingerTime for a client in good standing, on a machine that
	// may be busy with the end of everything else too.
	drainLinger = 3 * time.Second
)

// farewell ends a stream. While the listener drains, the connection ends right
// after; so it waits until the client, having read all, has closed too.
func (l *ClientListener) farewell(s Stream) {
	select {
	case <-l.draining:
		if l.ctx.Err() == nil && s.CloseWrite() == nil {
			linger(s, drainLinger)
		}
	default:
	}
	s.Close() //nolint:errcheck // the handler has seen what matters
}

// linger reads on until the other end closes.
func linger(s interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}, patience time.Duration,
) {
	if s.SetReadDeadline(time.Now().Add(patience)) == nil {
		io.CopyN(io.Discard, s, lingerBytes) //nolint:errcheck // any end will do
	}
}
