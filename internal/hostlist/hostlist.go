package hostlist

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/tochemey/gokv/discovery"
)

// ID is the provider's name in logs and metrics.
const ID = "static"

// maxLookups is how many names are looked up at a time.
const maxLookups = 16

// Resolver looks names up; net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Provider gives the addresses of a list.
type Provider struct {
	hosts    []host
	resolver Resolver
}

type host struct{ addr, name, port string }

var _ discovery.Provider = (*Provider)(nil)

// New returns a provider of these host:port addresses, or names each one that
// is malformed. An address that stands twice counts once.
func New(addrs []string) (*Provider, error) { return NewWithResolver(addrs, net.DefaultResolver) }

// NewWithResolver is New with another source of names.
func NewWithResolver(addrs []string, r Resolver) (*Provider, error) {
	p := &Provider{resolver: r}
	seen := make(map[string]bool, len(addrs))
	var errs []error
	for _, addr := range addrs {
		if err := Check(addr); err != nil {
			errs = append(errs, err)
			continue
		}
		if seen[addr] {
			continue
		}
		seen[addr] = true
		name, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		p.hosts = append(p.hosts, host{addr, name, port})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, nil
}

// Check accepts host:port where both are given and can be dialled.
func Check(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q: not host:port", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q: port %q is not a number from 1 to 65535", addr, port)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("%q: %q is no host that can be dialled", addr, host)
	}
	return nil
}

// ID implements discovery.Provider.
func (p *Provider) ID() string { return ID }

// Initialize implements discovery.Provider. There is nothing to do.
func (p *Provider) Initialize(ctx context.Context) error { return ctx.Err() }

// Register implements discovery.Provider. There is nobody to tell.
func (p *Provider) Register(ctx context.Context) error { return ctx.Err() }

// Deregister implements discovery.Provider.
func (p *Provider) Deregister(ctx context.Context) error { return ctx.Err() }

// Close implements discovery.Provider.
func (p *Provider) Close() error { return nil }

// DiscoverPeers implements discovery.Provider.
func (p *Provider) DiscoverPeers(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found := make([][]string, len(p.hosts))
	failures := make([]error, len(p.hosts)) // in the list's order, so that the same ones make the same error
	var group errgroup.Group
	group.SetLimit(maxLookups)
	for i, h := range p.hosts {
		if _, err := netip.ParseAddr(h.name); err == nil {
			found[i] = []string{h.addr}
			continue
		}
		group.Go(func() error {
			found[i], failures[i] = p.lookup(ctx, h)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var addrs []string
	seen := make(map[string]bool, len(p.hosts))
	for _, some := range found {
		for _, addr := range some {
			if !seen[addr] {
				seen[addr] = true
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs, summary(slices.DeleteFunc(failures, func(err error) bool { return err == nil }))
}

// lookup returns a name's addresses, or the name itself where it does not exist.
func (p *Provider) lookup(ctx context.Context, h host) ([]string, error) {
	ips, err := p.resolver.LookupNetIP(ctx, "ip", h.name)
	if err != nil {
		if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
			return []string{h.addr}, nil
		}
		return nil, fmt.Errorf("%s: %w", h.addr, err)
	}
	if len(ips) == 0 {
		return []string{h.addr}, nil
	}
	addrs := make([]string, 0, len(ips))
	for _, ip := range ips {
		addrs = append(addrs, net.JoinHostPort(ip.Unmap().String(), h.port))
	}
	return addrs, nil
}

// summary is one error for many: the first in the list's order, and how many
// there are.
func summary(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%d names could not be looked up, among them %w", len(errs), errs[0])
}
