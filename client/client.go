package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// Client is a session with a cluster: what it reads and writes, in order, never
// goes back in time, whichever node answers. It is safe for concurrent use.
type Client struct {
	backend backend
	closed  atomic.Bool
	// clock is the highest reading of any response; requests carry it, so that a
	// node's next version is above all that the session has seen.
	clock atomic.Uint64
}

// Put stores value under key. Value is not kept: it may be changed once Put has
// returned. Without an option the entry does not expire.
func (c *Client) Put(ctx context.Context, key string, value []byte, options ...PutOption) error {
	x := exchanges.Get().(*exchange)
	defer x.release()
	x.req = wire.Request{Op: wire.OpPut, Key: x.setKey(key), Value: value}
	for _, o := range options {
		if err := o.applyPut(&x.req); err != nil {
			return fail(&x.req, err)
		}
	}
	if err := c.do(ctx, x); err != nil {
		return err
	}
	tell(options, &x.resp)
	return nil
}

// Get reads the entry of key; ErrNotFound where there is none.
func (c *Client) Get(ctx context.Context, key string) (Entry, error) {
	x := exchanges.Get().(*exchange)
	defer x.release()
	x.req = wire.Request{Op: wire.OpGet, Key: x.setKey(key)}
	if err := c.do(ctx, x); err != nil {
		return Entry{}, err
	}
	value := x.resp.Value
	if c.backend.shared() {
		value = bytes.Clone(value)
	}
	return Entry{Key: key, Value: value, Version: x.resp.Version, ExpiresAt: unixMilli(x.resp.ExpiresAt)}, nil
}

// Exists says whether there is an entry of key.
func (c *Client) Exists(ctx context.Context, key string) (bool, error) {
	x := exchanges.Get().(*exchange)
	defer x.release()
	x.req = wire.Request{Op: wire.OpExists, Key: x.setKey(key)}
	err := c.do(ctx, x)
	return x.resp.Existed, err
}

// Delete removes key, whether or not it exists.
func (c *Client) Delete(ctx context.Context, key string, options ...DeleteOption) error {
	x := exchanges.Get().(*exchange)
	defer x.release()
	x.req = wire.Request{Op: wire.OpDelete, Key: x.setKey(key)}
	for _, o := range options {
		if err := o.applyDelete(&x.req); err != nil {
			return fail(&x.req, err)
		}
	}
	if err := c.do(ctx, x); err != nil {
		return err
	}
	tell(options, &x.resp)
	return nil
}

// Touch makes the entry of key expire after ttl and leaves its value alone;
// ErrNotFound where there is none.
func (c *Client) Touch(ctx context.Context, key string, ttl time.Duration) error {
	req := wire.Request{Op: wire.OpTouch, TTL: ttl}
	if ttl <= 0 {
		req.Key = []byte(key)
		return fail(&req, invalid("TTL is %v, it must be positive", ttl))
	}
	return c.keyed(ctx, req, key)
}

// Persist makes the entry of key not expire; ErrNotFound where there is none.
func (c *Client) Persist(ctx context.Context, key string) error {
	return c.keyed(ctx, wire.Request{Op: wire.OpPersist}, key)
}

func (c *Client) keyed(ctx context.Context, req wire.Request, key string) error {
	x := exchanges.Get().(*exchange)
	defer x.release()
	x.req = req
	x.req.Key = x.setKey(key)
	return c.do(ctx, x)
}

// Members lists the members as the node that answers sees them.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	return info[[]Member](ctx, c, wire.OpMembers)
}

// Status describes the node that answers: with several addresses, whichever of
// them the client prefers.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return info[Status](ctx, c, wire.OpStatus)
}

// Sync makes the node that answers run a round with every live peer, and tells
// what each did.
func (c *Client) Sync(ctx context.Context) ([]SyncResult, error) {
	return info[[]SyncResult](ctx, c, wire.OpSync)
}

// Held tells what the node that answers holds of key, live or not. A node that
// is not ready tells it too.
func (c *Client) Held(ctx context.Context, key string) (Holding, error) {
	return keyInfo[Holding](ctx, c, wire.OpHeld, key)
}

// Why tells what each member holds of key: first the node that answers, then the
// others, which it asks. Members that it could not ask are listed with the reason.
func (c *Client) Why(ctx context.Context, key string) ([]Holding, error) {
	return keyInfo[[]Holding](ctx, c, wire.OpWhy, key)
}

// Forget says that the named member, which is dead or has left, will not return,
// so that no member waits for it any more before it forgets what was deleted. The
// node that answers tells the others; the result says of each live member, the
// node first, whether it knows by now. ErrConditionFailed where the member is
// alive or suspect, ErrInvalid where there is none of that name.
func (c *Client) Forget(ctx context.Context, name string) ([]Forgotten, error) {
	if name == "" {
		return nil, fail(&wire.Request{Op: wire.OpForget}, invalid("name is empty"))
	}
	return keyInfo[[]Forgotten](ctx, c, wire.OpForget, name)
}

func info[T wire.Info](ctx context.Context, c *Client, op wire.Op) (v T, err error) {
	return keyInfo[T](ctx, c, op, "")
}

func keyInfo[T wire.Info](ctx context.Context, c *Client, op wire.Op, key string) (v T, err error) {
	x := exchanges.Get().(*exchange)
	defer x.release()
	x.req = wire.Request{Op: op, Key: x.setKey(key)}
	if err = c.do(ctx, x); err != nil {
		return v, err
	}
	if v, err = wire.DecodeInfo[T](x.resp.Body); err != nil {
		return v, fail(&x.req, err)
	}
	return v, nil
}

// Ping makes a round trip to a node and does nothing there.
func (c *Client) Ping(ctx context.Context) error {
	x := exchanges.Get().(*exchange)
	defer x.release()
	x.req = wire.Request{Op: wire.OpPing}
	return c.do(ctx, x)
}

// Close ends all connections and waits until nothing of the client runs any
// more. Calls in flight and later ones fail with ErrClosed. The store of a
// client in process is not touched.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.backend.close()
}

// do sends x.req and leaves the answer in x.resp. Any code but ok is an error.
func (c *Client) do(ctx context.Context, x *exchange) error {
	if c.closed.Load() {
		return fail(&x.req, ErrClosed)
	}
	if err := checkCall(&x.req); err != nil {
		return fail(&x.req, err)
	}
	x.req.Clock = c.clock.Load()
	err := c.backend.do(ctx, &x.req, &x.resp)
	c.observe(x.resp.Clock)
	if err != nil {
		return fail(&x.req, err)
	}
	if x.resp.Code != wire.CodeOK {
		return refused(&x.req, &x.resp, "")
	}
	return nil
}

func (c *Client) observe(clock uint64) {
	for {
		seen := c.clock.Load()
		if clock <= seen || c.clock.CompareAndSwap(seen, clock) {
			return
		}
	}
}

// exchange is the memory of one call, used again by later ones.
type exchange struct {
	req  wire.Request
	resp wire.Response
	key  []byte
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func (x *exchange) setKey(key string) []byte {
	x.key = append(x.key[:0], key...)
	return x.key
}

func (x *exchange) release() {
	x.req = wire.Request{}
	x.resp.Reset()
	exchanges.Put(x)
}

// checkCall refuses at once what every node would.
func checkCall(req *wire.Request) error {
	switch req.Op {
	case wire.OpGet, wire.OpPut, wire.OpExists, wire.OpDelete, wire.OpTouch, wire.OpPersist,
		wire.OpHeld, wire.OpWhy:
		if len(req.Key) == 0 {
			return invalid("key is empty")
		}
		if len(req.Key) > wire.MaxKeySize {
			return fmt.Errorf("key is %d bytes, the limit is %d: %w", len(req.Key), wire.MaxKeySize, ErrTooLarge)
		}
	}
	if err := req.Check(); err != nil {
		return fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrInvalid)...)
}

// fail gives err the call's name, once.
func fail(req *wire.Request, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	if errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%v: %w", req.Op, err)
	}
	return &Error{Op: req.Op, Key: string(req.Key), Code: CodeOf(err), Message: err.Error(), Cause: err}
}

// refused is the error of an answer.
func refused(req *wire.Request, resp *wire.Response, addr string) error {
	e := &Error{
		Op: req.Op, Key: string(req.Key), Addr: addr,
		Code: resp.Code, Message: resp.Message, RetryAfter: resp.RetryAfter,
	}
	if resp.Members > 0 {
		e.Holders = &Holders{int(resp.Holders), int(resp.Members)}
	}
	if n := int(resp.Item); n > 0 && n <= len(req.Items) {
		e.Item, e.Key = n, string(req.Items[n-1].Key)
	}
	if v := Version(resp.Version); resp.Code == wire.CodeConditionFailed && !v.IsZero() {
		e.Current = &Entry{Key: e.Key, Value: bytes.Clone(resp.Value), Version: v, ExpiresAt: unixMilli(resp.ExpiresAt)}
	}
	return e
}
