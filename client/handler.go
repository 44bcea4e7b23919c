package client

import (
	"context"

	"github.com/tochemey/gokv/client/wire"
)

// Handler answers requests: a node, or a fake in tests.
//
// Handle may be called concurrently. req and all it points to are lent until it
// returns: what is kept must be copied. What resp points to may be the handler's
// own memory and is not copied before it is sent, so it must not change
// afterwards (a store's immutable entries need no copy). ctx ends when the
// request's timeout has passed, its caller has gone, or the connection ends.
type Handler interface {
	Handle(ctx context.Context, req *wire.Request, resp *wire.Response)
}

// ImmediateHandler is a Handler that answers some requests without ever waiting
// for anything but a short lock. Such requests need no goroutine: HandleImmediate
// is called by the connection's reader (in process, by the caller itself).
//
// HandleImmediate fills resp and returns true, or returns false, having changed
// nothing, where the answer could take long or has to wait; Handle is then called
// on a goroutine of its own. It must not block: the connection's other requests
// stand behind it. ctx is the connection's, without the request's timeout.
type ImmediateHandler interface {
	Handler
	HandleImmediate(ctx context.Context, req *wire.Request, resp *wire.Response) bool
}

// backend carries one request to a node and its answer back, or says why not.
// resp belongs to the caller. What resp points to after do may be the backend's
// own memory where shared says so.
type backend interface {
	do(ctx context.Context, req *wire.Request, resp *wire.Response) error
	// shared says whether responses alias memory that callers must not change.
	shared() bool
	close() error
}
