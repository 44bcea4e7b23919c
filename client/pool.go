package client

import (
	"context"
	"fmt"

	"github.com/tochemey/gokv/client/wire"
)

// New makes a client of the nodes at config.Addrs. It dials nothing yet: the
// first call does.
func New(config Config) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Client{backend: newPool(config.withDefaults())}, nil
}

// pool spreads calls over several nodes.
type pool struct {
	config Config
}

func newPool(config Config) *pool { return &pool{config: config} }

func (p *pool) do(context.Context, *wire.Request, *wire.Response) error {
	return fmt.Errorf("%v: %w", p.config.Addrs, ErrUnavailable)
}

func (p *pool) shared() bool { return false }
func (p *pool) close() error { return nil }
