package client

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client/wire"
)

// everywhere runs a test over each way to a node, which must not be told apart.
func everywhere(t *testing.T, test func(t *testing.T, c *Client, node *fakeNode)) {
	for _, scheme := range []string{"quic://", "tls://", ""} {
		t.Run("addr="+scheme+"host", func(t *testing.T) {
			s := start(t, newFakeStore(), onBoth)
			test(t, dial(t, nil, scheme+s.addr), s.node)
		})
	}
	for _, immediate := range []bool{true, false} {
		t.Run(fmt.Sprintf("local/immediate=%v", immediate), func(t *testing.T) {
			node := &fakeNode{fakeStore: newFakeStore(), name: "local"}
			var h Handler = node
			if immediate {
				h = quickNode{node}
			}
			c := Local(h)
			defer func() { require.NoError(t, c.Close()) }()
			test(t, c, node)
		})
	}
}

func TestEveryCallDoesWhatItSays(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, node *fakeNode) {
		ctx := t.Context()
		require.NoError(t, c.Ping(ctx))
		_, err := c.Get(ctx, "a")
		require.ErrorIs(t, err, ErrNotFound)
		require.ErrorIs(t, c.Touch(ctx, "a", time.Minute), ErrNotFound)
		require.ErrorIs(t, c.Persist(ctx, "a"), ErrNotFound)
		ok, err := c.Exists(ctx, "a")
		require.NoError(t, err)
		require.False(t, ok)

		require.NoError(t, c.Put(ctx, "a", []byte("1")))
		e, err := c.Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, Entry{Key: "a", Value: []byte("1"), Version: Version{15: 1}}, e)
		ok, err = c.Exists(ctx, "a")
		require.NoError(t, err)
		require.True(t, ok)

		expiry := time.UnixMilli(1_700_000_000_123).UTC()
		require.NoError(t, c.Put(ctx, "a", nil, WithExpiry(expiry)))
		require.NoError(t, c.Put(ctx, "a", nil, KeepTTL()))
		e, err = c.Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, expiry, e.ExpiresAt)
		require.Empty(t, e.Value)
		require.NoError(t, c.Persist(ctx, "a"))
		e, err = c.Get(ctx, "a")
		require.NoError(t, err)
		require.True(t, e.ExpiresAt.IsZero())
		require.NoError(t, c.Touch(ctx, "a", time.Minute))
		require.NoError(t, c.Put(ctx, "a", nil, WithTTL(time.Minute)))

		require.NoError(t, c.Delete(ctx, "a"))
		require.NoError(t, c.Delete(ctx, "a"))

		members, err := c.Members(ctx)
		require.NoError(t, err)
		require.Equal(t, []Member{{Name: node.name, State: "alive", Leader: true}}, members)
		status, err := c.Status(ctx)
		require.NoError(t, err)
		require.Equal(t, Status{Name: node.name}, status)
		results, err := c.Sync(ctx)
		require.NoError(t, err)
		require.Equal(t, []SyncResult{{Peer: "b", Result: "equal"}}, results)
	})
}

func TestWrongCallsAreRefusedBeforeTheyAreSent(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, node *fakeNode) {
		ctx := t.Context()
		long := string(make([]byte, 5000))
		_, err := c.Get(ctx, "")
		require.EqualError(t, err, "get: key is empty: invalid")
		require.ErrorIs(t, err, ErrInvalid)
		err = c.Put(ctx, long, nil)
		require.ErrorIs(t, err, ErrTooLarge)
		require.ErrorContains(t, err, "key is 5000 bytes, the limit is 4096: too large")
		require.EqualError(t, c.Touch(ctx, "k", 0), `touch "k": TTL is 0s, it must be positive: invalid`)
		require.EqualError(t, c.Put(ctx, "k", nil, WithTTL(-time.Second)), `put "k": TTL is -1s, it must be positive: invalid`)
		require.ErrorIs(t, c.Put(ctx, "k", nil, WithExpiry(time.Time{})), ErrInvalid)
		require.ErrorIs(t, c.Put(ctx, "k", nil, WithTTL(time.Second), KeepTTL()), ErrInvalid)
		for _, err := range c.List(ctx, WithPrefix(string(make([]byte, 1<<16)))) {
			require.ErrorIs(t, err, ErrInvalid)
		}
		require.Zero(t, node.calls.Load())
	})
}

func TestAnAnswersErrorNamesOperationKeyAndCause(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, node *fakeNode) {
		err := c.Put(t.Context(), "big", make([]byte, 1<<20+1))
		require.ErrorIs(t, err, ErrTooLarge)
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, wire.OpPut, e.Op)
		require.Equal(t, "big", e.Key)
		require.Equal(t, "value is too long", e.Message)
		require.Contains(t, err.Error(), "value is too long: too large")
		if node.name != "local" {
			require.Contains(t, err.Error(), node.name)
		}
		require.NoError(t, c.Ping(t.Context()), "the connection goes on")
	})
}

func TestValuesBelongToWhoeverReadThem(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, _ *fakeNode) {
		ctx := t.Context()
		value := []byte("original")
		require.NoError(t, c.Put(ctx, "k", value))
		copy(value, "changed!")
		first, err := c.Get(ctx, "k")
		require.NoError(t, err)
		copy(first.Value, "changed!")
		_ = append(first.Value, "more"...)
		for e, err := range c.List(ctx) {
			require.NoError(t, err)
			require.Equal(t, "original", string(e.Value))
			copy(e.Value, "changed!")
		}
		again, err := c.Get(ctx, "k")
		require.NoError(t, err)
		require.Equal(t, "original", string(again.Value))
	})
}

func TestLargeValuesPass(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, _ *fakeNode) {
		for _, size := range []int{16 << 10, 64 << 10, 300_000, 1 << 20} {
			value := make([]byte, size)
			for i := range value {
				value[i] = byte(i * 7)
			}
			require.NoError(t, c.Put(t.Context(), "k", value))
			e, err := c.Get(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, value, e.Value)
		}
	})
}

func TestAListPagesThrough(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, node *fakeNode) {
		ctx := t.Context()
		node.pageMax = 7
		for i := range 50 {
			require.NoError(t, c.Put(ctx, fmt.Sprintf("svc/%02d", i), []byte{byte(i)}))
		}
		require.NoError(t, c.Put(ctx, "other", nil))
		list := func(options ...ListOption) (keys []string) {
			for e, err := range c.List(ctx, options...) {
				require.NoError(t, err)
				keys = append(keys, e.Key)
			}
			return keys
		}
		require.Len(t, list(), 51)
		svc := list(WithPrefix("svc/"))
		require.Len(t, svc, 50)
		require.IsIncreasing(t, svc)
		require.Equal(t, svc[:20], list(WithPrefix("svc/"), WithLimit(20)))
		require.Equal(t, svc[:7], list(WithPrefix("svc/"), WithLimit(7)))
		require.Equal(t, svc[30:], list(WithPrefix("svc/"), After("svc/29")))
		require.Empty(t, list(WithPrefix("none")))
		for e, err := range c.List(ctx, KeysOnly()) {
			require.NoError(t, err)
			require.Nil(t, e.Value)
		}
		node.pages.Store(0)
		for range c.List(ctx) {
			break
		}
		require.EqualValues(t, 1, node.pages.Load(), "a consumer that stops asks for no more")
	})
}

func TestAListEndsWithItsContext(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, node *fakeNode) {
		node.pageMax = 2
		for i := range 10 {
			require.NoError(t, c.Put(t.Context(), fmt.Sprint(i), nil))
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []error
		for _, err := range c.List(ctx) {
			got = append(got, err)
			cancel()
		}
		require.Len(t, got, 2)
		require.NoError(t, got[0])
		require.ErrorIs(t, got[1], context.Canceled)
	})
}

func TestAPageThatCannotBeIsAnError(t *testing.T) {
	for name, page := range map[string]wire.Response{
		"empty, more to come": {More: true},
		"out of order":        {Entries: []wire.Entry{{Key: []byte("b")}, {Key: []byte("a")}}},
		"repeated":            {Entries: []wire.Entry{{Key: []byte("b")}, {Key: []byte("b")}}},
		"before the start":    {Entries: []wire.Entry{{Key: []byte("a")}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := Local(handlerFunc(func(_ context.Context, _ *wire.Request, resp *wire.Response) { *resp = page }))
			var last error
			for _, err := range c.List(t.Context(), After("a")) {
				last = err
			}
			require.ErrorIs(t, last, ErrInternal)
		})
	}
}

type handlerFunc func(context.Context, *wire.Request, *wire.Response)

func (f handlerFunc) Handle(ctx context.Context, req *wire.Request, resp *wire.Response) {
	f(ctx, req, resp)
}

func TestASessionsClockGoesUpAndAlong(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, node *fakeNode) {
		node.clock = 1000
		require.NoError(t, c.Put(t.Context(), "k", nil))
		node.mu.Lock()
		require.Zero(t, node.clocks[len(node.clocks)-1], "a new session has seen nothing")
		node.clock = 5 // a node whose clock is behind
		node.mu.Unlock()
		for range 3 {
			_, _ = c.Get(t.Context(), "k")
		}
		node.mu.Lock()
		defer node.mu.Unlock()
		require.Equal(t, []uint64{1001, 1002, 1003}, node.clocks[len(node.clocks)-3:])
	})
}

func TestAClosedClientSaysSo(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, _ *fakeNode) {
		require.NoError(t, c.Put(t.Context(), "k", nil))
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		err := c.Put(t.Context(), "k", nil)
		require.ErrorIs(t, err, ErrClosed)
		require.EqualError(t, err, "put: client is closed")
		require.Equal(t, 3, ExitStatus(err))
		for _, err := range c.List(t.Context()) {
			require.ErrorIs(t, err, ErrClosed)
		}
	})
}

func TestAnEndedContextIsNotCalledWith(t *testing.T) {
	everywhere(t, func(t *testing.T, c *Client, node *fakeNode) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Get(ctx, "k")
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, errors.Is(err, ErrUnavailable))
		ctx, cancel = context.WithDeadline(t.Context(), time.Unix(1, 0))
		defer cancel()
		_, err = c.Get(ctx, "k")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrTimeout)
		require.Zero(t, node.calls.Load())
	})
}
