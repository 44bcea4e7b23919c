package dns

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/tochemey/gokv/discovery"
)

// ID is the provider's name in logs and metrics.
const ID = "dns"

// Provider finds peers by their DNS records. See the package comment.
type Provider struct {
	cfg    Config
	system *system // nil where cfg names the server
	cache  cache
	now    func() time.Time

	closing context.Context // ended by Close
	end     context.CancelCauseFunc
	mu      sync.Mutex // guards calls.Add against calls.Wait
	calls   sync.WaitGroup
}

var _ discovery.Provider = (*Provider)(nil)

// New returns a provider for cfg, or what Validate says. It asks nothing yet.
func New(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Provider{cfg: cfg, now: time.Now}
	if cfg.Server == "" {
		p.system = &system{path: resolvConf, port: defaultPort}
	}
	p.closing, p.end = context.WithCancelCause(context.Background())
	return p, nil
}

// ID implements discovery.Provider.
func (p *Provider) ID() string { return ID }

// Initialize implements discovery.Provider. Nothing is asked: a DNS server that
// is down is back one day.
func (p *Provider) Initialize(ctx context.Context) error { return p.alive(ctx) }

// Register implements discovery.Provider. Who runs the zone publishes records.
func (p *Provider) Register(ctx context.Context) error { return p.alive(ctx) }

// Deregister implements discovery.Provider. There is nothing to take back.
func (p *Provider) Deregister(ctx context.Context) error { return ctx.Err() }

// Close implements discovery.Provider. It ends calls that are in flight and
// waits for them.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.end(errClosed)
	p.mu.Unlock()
	p.calls.Wait()
	return nil
}

func (p *Provider) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Cause(p.closing)
}

// DiscoverPeers implements discovery.Provider. The addresses have the form
// ip:port, or [ip]:port, and no order.
func (p *Provider) DiscoverPeers(ctx context.Context) ([]string, error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	defer p.calls.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(p.closing, func() { cancel(errClosed) })
	defer stop()

	s, err := p.settings()
	if err != nil {
		return nil, err
	}
	l := &lookup{exchange: newExchange(s), cache: &p.cache, now: p.now, qtype: dns.TypeA}
	if p.cfg.IPv6 {
		l.qtype = dns.TypeAAAA
	}
	if isService(p.cfg.DomainName) {
		return l.services(ctx, p.cfg.DomainName)
	}
	return l.hosts(ctx, p.cfg.DomainName, p.cfg.Port)
}

// enter counts a call that Close has to wait for.
func (p *Provider) enter(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.alive(ctx); err != nil {
		return err
	}
	p.calls.Add(1)
	return nil
}

// settings returns whom to ask now, and how.
func (p *Provider) settings() (settings, error) {
	var s settings
	if p.system == nil {
		addr, err := serverAddr(p.cfg.Server)
		if err != nil {
			return settings{}, fmt.Errorf("dns-server: %w", err)
		}
		s = configured(addr)
	} else {
		var changed bool
		var err error
		if s, changed, err = p.system.read(); err != nil {
			return settings{}, fmt.Errorf("the system's DNS servers: %w", err)
		}
		if changed {
			p.cache.forget()
		}
	}
	if p.cfg.Timeout != 0 {
		s.timeout = p.cfg.Timeout
	}
	return s, nil
}
