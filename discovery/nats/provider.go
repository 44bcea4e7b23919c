package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tochemey/gokv/discovery"
)

// answersPerSecond bounds what a flood of requests costs: a thousand nodes that
// all ask every two seconds stay below it.
const answersPerSecond = 500

var errClosed = errors.New("the nats provider is closed")

// Provider finds peers over NATS. See the package comment.
type Provider struct {
	// Fixed by New.
	cfg     Config
	servers []endpoint
	log     *slog.Logger
	changes chan struct{}
	limit   *rate.Limiter
	quiet   time.Duration   // how old a connection is before nobody is believed
	ctx     context.Context // ended by Close
	cancel  context.CancelFunc
	keeper  sync.WaitGroup

	// Fixed by Announce and Initialize, before there is a session.
	self     discovery.Self
	messages map[kind][]byte
	attempts int // that failed since the last success

	registered atomic.Bool

	mu   sync.Mutex
	cur  *session // nil while there is no connection
	down error    // why not
	runs bool     // the keeper does
}

var (
	_ discovery.Provider  = (*Provider)(nil)
	_ discovery.Announcer = (*Provider)(nil)
	_ discovery.Watcher   = (*Provider)(nil)
)

// New returns a provider that is not connected yet, or what Validate says.
func New(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	servers, err := parseServers(cfg.Server)
	if err != nil {
		return nil, err
	}
	p := &Provider{
		cfg: cfg, servers: servers, log: cfg.Logger, changes: make(chan struct{}, 1),
		limit: rate.NewLimiter(answersPerSecond, answersPerSecond),
		down:  errors.New("never connected: Initialize has not succeeded"),
	}
	// So long it may take until a node that has lost its connection has another.
	p.quiet = silence + cfg.ReconnectWait + cfg.ReconnectWait/4 + connectTimeout
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// ID returns "nats".
func (p *Provider) ID() string { return "nats" }

// Announce says which node this is. It has to be called before Initialize.
func (p *Provider) Announce(self discovery.Self) { p.self = self }

// Changes has a value when a node of the cluster has said hello or goodbye, or
// the connection is back.
func (p *Provider) Changes() <-chan struct{} { return p.changes }

func (p *Provider) signal() {
	select {
	case p.changes <- struct{}{}:
	default: // one is pending
	}
}

// prepare makes the node's messages.
func (p *Provider) prepare() error {
	if p.ctx.Err() != nil {
		return errClosed
	}
	if p.messages != nil {
		return nil
	}
	permanent := func(err error) error { return fmt.Errorf("%w: %w", discovery.ErrPermanent, err) }
	if p.self == (discovery.Self{}) {
		return permanent(errors.New("Announce was not called: the provider does not know whom it works for"))
	}
	host, port, err := p.cfg.addr(p.self.Addr)
	if err != nil {
		return permanent(err)
	}
	messages := map[kind][]byte{}
	for _, k := range []kind{request, answer, hello, goodbye} {
		m := message{protocolVersion, k, p.self.Cluster, p.self.Instance, host, port}
		if messages[k], err = m.encode(); err != nil {
			return permanent(fmt.Errorf("cluster %q: %w", p.self.Cluster, err))
		}
	}
	p.messages = messages
	return nil
}

// encoded returns a message of this node's, which nobody may change.
func (p *Provider) encoded(k kind) []byte { return p.messages[k] }

// Register makes the node answer requests, says hello and waits until its own
// hello has come back, for 2 s at most.
func (p *Provider) Register(ctx context.Context) error {
	s, err := p.session()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w := s.open(hello)
	defer s.close(w)
	// Who hears the hello asks at once, so the node answers from here on.
	p.registered.Store(true)
	if err = s.nc.Publish(p.cfg.Subject, p.encoded(hello)); err != nil {
		err = s.ended(err)
	} else {
		err = s.await(ctx, w)
	}
	if err != nil {
		p.registered.Store(false)
	}
	return err
}

// Deregister makes the node answer no more, says goodbye and waits until the
// server has it, for 2 s at most. The node is no longer found, even if that
// fails.
func (p *Provider) Deregister(ctx context.Context) error {
	p.registered.Store(false)
	s, err := p.session()
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.nc.Publish(p.cfg.Subject, p.encoded(goodbye)); err != nil {
		return s.ended(err)
	}
	return s.flush(ctx, echoWithin)
}

// Close ends the connection and what keeps it, and returns nil. What is on the
// way is not waited for: Deregister has done so. It may be called at any time,
// more than once.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.cancel()
	p.mu.Unlock()
	p.keeper.Wait()
	return nil
}

// session returns the connection, or why there is none.
func (p *Provider) session() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ctx.Err() != nil:
		return nil, errClosed
	case p.cur == nil:
		return nil, fmt.Errorf("not connected: %w", p.down)
	}
	return p.cur, nil
}

func (p *Provider) started() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runs
}

// shuffled returns the servers in random order, so that nodes spread over them.
func (p *Provider) shuffled() []endpoint {
	servers := append([]endpoint(nil), p.servers...)
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	return servers
}
