package static

import (
	"errors"
	"fmt"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/internal/hostlist"
)

// Config is what a Provider is made from.
type Config struct {
	// Hosts are host:port addresses: an IPv4 address, an IPv6 address in
	// brackets or a name, and a port from 1 to 65535. At least one.
	Hosts []string
}

// Validate reports every malformed entry.
func (c Config) Validate() error {
	if len(c.Hosts) == 0 {
		return errors.New("join: empty: at least one host:port")
	}
	var errs []error
	for _, h := range c.Hosts {
		if err := hostlist.Check(h); err != nil {
			errs = append(errs, fmt.Errorf("join: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Provider gives the addresses of a list. See the package comment.
type Provider struct{ *hostlist.Provider }

var _ discovery.Provider = (*Provider)(nil)

// New returns a provider of cfg's hosts, or what Validate says.
func New(cfg Config) (*Provider, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p, err := hostlist.New(cfg.Hosts)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	return &Provider{p}, nil
}
