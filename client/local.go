package client

import (
	"context"

	"github.com/tochemey/gokv/client/wire"
)

// Local is a client of a handler in the same process: no socket, no copy of what
// is sent, the same semantics. Values are copied on their way out, so that a
// caller who changes one does not change the store.
func Local(h Handler) *Client {
	immediate, _ := h.(ImmediateHandler)
	return &Client{backend: local{handler: h, immediate: immediate}}
}

type local struct {
	handler   Handler
	immediate ImmediateHandler // nil where the handler is none
}

func (l local) do(ctx context.Context, req *wire.Request, resp *wire.Response) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.immediate != nil && l.immediate.HandleImmediate(ctx, req, resp) {
		return nil
	}
	l.handler.Handle(ctx, req, resp)
	return nil
}

func (l local) shared() bool { return true }
func (l local) close() error { return nil }
