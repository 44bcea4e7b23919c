package client

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/auth"
)

var schemes = []string{"quic://", "tls://", ""}

func TestAnAddressThatIsDownIsPassedOver(t *testing.T) {
	for _, scheme := range schemes {
		t.Run("addr="+scheme+"host", func(t *testing.T) {
			s := start(t, newFakeStore(), onBoth)
			c := dial(t, once, scheme+unused(t, 1)[0], scheme+s.addr)
			require.NoError(t, c.Put(t.Context(), "k", []byte("v")))
			ok, err := c.Exists(t.Context(), "k")
			require.NoError(t, err)
			require.True(t, ok)
		})
	}
}

func TestWhereNobodyAnswersTheErrorNamesEachAddressAndCause(t *testing.T) {
	for _, scheme := range schemes {
		t.Run("addr="+scheme+"host", func(t *testing.T) {
			addrs := unused(t, 2)
			for i := range addrs {
				addrs[i] = scheme + addrs[i]
			}
			c := dial(t, once, addrs...)
			_, err := c.Get(t.Context(), "a/b")
			require.ErrorIs(t, err, ErrUnavailable)
			require.Equal(t, 3, ExitStatus(err))
			require.True(t, strings.HasPrefix(err.Error(), `get "a/b": `+addrs[0]+": "), err)
			require.Contains(t, err.Error(), "; "+addrs[1]+": ")
			require.Contains(t, err.Error(), "connection refused")
			require.True(t, strings.HasSuffix(err.Error(), ": unavailable"), err)
		})
	}
}

func TestACallGoesOnTryingUntilItsTimeIsUp(t *testing.T) {
	addr := unused(t, 1)[0]
	c := dial(t, func(c *Config) { c.Timeout = 200 * time.Millisecond }, "tls://"+addr)
	_, err := c.Get(t.Context(), "k")
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, addr)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Get(ctx, "k")
	require.ErrorIs(t, err, ErrUnavailable)

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = dial(t, nil, "tls://"+addr).Get(ctx, "k")
	require.ErrorIs(t, err, context.Canceled)
}

func TestANodeThatStartsLaterIsFound(t *testing.T) {
	s := start(t, newFakeStore(), onBoth)
	s.stop()
	c := dial(t, func(c *Config) { c.Timeout = 30 * time.Second }, s.addr)
	done := make(chan error, 1)
	go func() { done <- c.Put(context.Background(), "k", nil) }()
	eventually(t, func() bool { // the first dial has failed
		p := c.backend.(*pool)
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.nodes[0].dialled > 0
	})
	s.listen(onBoth)
	require.NoError(t, <-done)
}

func TestANodeThatIsNotReadySendsItsCallsElsewhere(t *testing.T) {
	store := newFakeStore()
	a, b := start(t, store, onTLS), start(t, store, onTLS)
	a.node.notReady.Store(true)
	c := dial(t, once, a.addr, b.addr)
	require.NoError(t, c.Put(t.Context(), "k", nil))
	require.EqualValues(t, 1, a.node.calls.Load())
	for range 10 {
		_, err := c.Get(t.Context(), "k")
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, a.node.calls.Load(), "the node that answered keeps being asked")
	require.EqualValues(t, 11, b.node.calls.Load())

	b.node.notReady.Store(true)
	_, err := c.Get(t.Context(), "k")
	require.ErrorIs(t, err, ErrNotReady)
	require.Equal(t, 3, ExitStatus(err))
	require.Equal(t, fmt.Sprintf(`get "k": %s: %[1]s is starting; %s: %[2]s is starting: not ready`, a.addr, b.addr), err.Error())

	patient := dial(t, nil, a.addr, b.addr)
	time.AfterFunc(50*time.Millisecond, func() { a.node.notReady.Store(false) })
	_, err = patient.Get(t.Context(), "k")
	require.NoError(t, err)
}

func TestAnOverloadedNodeIsAskedAgainAfterItsHint(t *testing.T) {
	s := start(t, newFakeStore(), onTLS)
	s.node.busy.Store(3)
	c := dial(t, nil, s.addr)
	require.NoError(t, c.Put(t.Context(), "k", nil))
	require.EqualValues(t, 4, s.node.calls.Load())

	s.node.busy.Store(1 << 30)
	_, err := dial(t, once, s.addr).Get(t.Context(), "k")
	require.ErrorIs(t, err, ErrOverloaded)
	require.Equal(t, 4, ExitStatus(err))
}

func TestCallsInFlightGoOnElsewhereWhenTheirNodeDies(t *testing.T) {
	for _, scheme := range schemes[1:] { // a QUIC node that dies without a word is a silent one, below
		t.Run("addr="+scheme+"host", func(t *testing.T) {
			store := newFakeStore()
			a, b := start(t, store, onTLS), start(t, store, onTLS)
			a.node.held = make(chan struct{})
			c := dial(t, func(c *Config) { c.Timeout = 30 * time.Second }, scheme+a.addr, scheme+b.addr)
			const callers = 50
			errs := make(chan error, callers)
			for i := range callers {
				go func() { errs <- c.Put(context.Background(), fmt.Sprint(i), nil) }()
			}
			eventually(t, func() bool { return a.node.holding.Load() == callers })
			a.stop()
			for range callers {
				require.NoError(t, <-errs)
			}
			require.Len(t, store.entries, callers)
		})
	}
}

func TestASyncIsNotRepeated(t *testing.T) {
	a, b := start(t, newFakeStore(), onTLS), start(t, newFakeStore(), onTLS)
	a.node.held = make(chan struct{})
	c := dial(t, nil, a.addr, b.addr)
	done := make(chan error, 1)
	go func() {
		_, err := c.Sync(context.Background())
		done <- err
	}()
	eventually(t, func() bool { return a.node.holding.Load() == 1 })
	a.stop()
	err := <-done
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, a.addr+": connection lost: ")
	require.Zero(t, b.node.calls.Load())
}

// The first one may have been done: the second would then fail because of it.
func TestAWriteWithAConditionIsNotRepeated(t *testing.T) {
	for name, write := range map[string]func(c *Client) error{
		"put":    func(c *Client) error { return c.Put(context.Background(), "k", nil, IfAbsent()) },
		"delete": func(c *Client) error { return c.Delete(context.Background(), "k", IfVersion(Version{1})) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, newFakeStore(), onTLS), start(t, newFakeStore(), onTLS)
			a.node.held = make(chan struct{})
			c := dial(t, nil, a.addr, b.addr)
			done := make(chan error, 1)
			go func() { done <- write(c) }()
			eventually(t, func() bool { return a.node.holding.Load() == 1 })
			a.stop()
			require.ErrorIs(t, <-done, ErrUnavailable)
			require.Zero(t, b.node.calls.Load())
		})
	}
}

func TestAListGoesOnAtAnotherNode(t *testing.T) {
	store := newFakeStore()
	a, b := start(t, store, onTLS), start(t, store, onTLS)
	a.node.pageMax, b.node.pageMax = 10, 10
	c := dial(t, nil, a.addr, b.addr)
	for i := range 35 {
		require.NoError(t, c.Put(t.Context(), fmt.Sprintf("%02d", i), nil))
	}
	var keys []string
	for e, err := range c.List(t.Context()) {
		require.NoError(t, err)
		if keys = append(keys, e.Key); len(keys) == 15 {
			a.stop()
		}
	}
	require.Len(t, keys, 35)
	require.IsIncreasing(t, keys)
	require.EqualValues(t, 2, a.node.pages.Load())
	require.EqualValues(t, 2, b.node.pages.Load())
}

func TestASilentNodeIsLeftForAnother(t *testing.T) {
	for _, scheme := range []string{"quic://", "tls://"} {
		t.Run("addr="+scheme+"host", func(t *testing.T) {
			store := newFakeStore()
			a, b := start(t, store, onBoth), start(t, store, onBoth)
			relay := newRelay(t, a.addr)
			c := dial(t, func(c *Config) { c.Timeout = 30 * time.Second }, scheme+relay.addr, scheme+b.addr)
			c.backend.(*pool).quiet = 50 * time.Millisecond
			require.NoError(t, c.Put(t.Context(), "k", nil))
			relay.stall.Store(true)
			require.NoError(t, c.Put(t.Context(), "k", nil))
			require.EqualValues(t, 1, b.node.calls.Load())
		})
	}
}

func TestAnAddressThatSwallowsEverythingHoldsNobodyUp(t *testing.T) {
	for _, scheme := range schemes {
		t.Run("addr="+scheme+"host", func(t *testing.T) {
			s := start(t, newFakeStore(), onBoth)
			relay := newRelay(t, s.addr)
			relay.stall.Store(true)
			c := dial(t, func(c *Config) { c.Timeout, c.DialTimeout = time.Hour, time.Hour }, scheme+relay.addr, scheme+s.addr)
			c.backend.(*pool).head = time.Millisecond
			require.NoError(t, c.Put(t.Context(), "k", nil))
		})
	}
	t.Run("alone", func(t *testing.T) {
		relay := newRelay(t, start(t, newFakeStore(), onBoth).addr)
		relay.stall.Store(true)
		c := dial(t, func(c *Config) { once(c); c.DialTimeout = 50 * time.Millisecond }, relay.addr)
		err := c.Put(t.Context(), "k", nil)
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorContains(t, err, "tls: no connection within 50ms")
		require.ErrorContains(t, err, "quic: no connection within 50ms")
	})
}

func TestAQuietRequestOnALiveNodeIsWaitedFor(t *testing.T) {
	s := start(t, newFakeStore(), onTLS)
	s.node.held = make(chan struct{})
	c := dial(t, nil, s.addr)
	c.backend.(*pool).quiet = 10 * time.Millisecond
	done := make(chan error, 1)
	go func() { done <- c.Put(context.Background(), "k", nil) }()
	eventually(t, func() bool { return s.node.holding.Load() == 1 })
	before := s.connections(schemeTLS)
	progress := c.backend.(*pool).nodes[0].conn.mux
	seen := progress.Progress()
	eventually(t, func() bool { return progress.Progress() > seen+3 }) // it was pinged, more than once
	close(s.node.held)
	require.NoError(t, <-done)
	require.Equal(t, before, s.connections(schemeTLS))
}

func TestAWrongSecretIsRefusedAtOnce(t *testing.T) {
	secret := auth.NewSecret()
	for _, scheme := range schemes {
		t.Run("addr="+scheme+"host", func(t *testing.T) {
			s := start(t, newFakeStore(), onBoth, func(s *server) {
				s.auth = newAuth(t, auth.Config{Cluster: "test", Secrets: []string{secret}})
			})
			right := dial(t, func(c *Config) { c.Secrets = []string{secret} }, scheme+s.addr)
			require.NoError(t, right.Put(t.Context(), "k", nil))

			for name, secrets := range map[string][]string{"wrong": {auth.NewSecret()}, "none": nil} {
				c := dial(t, func(c *Config) { c.Secrets, c.Timeout = secrets, time.Hour }, scheme+s.addr)
				_, err := c.Get(t.Context(), "k")
				require.ErrorIs(t, err, ErrUnauthorized, name)
				require.ErrorContains(t, err, s.addr)
				require.ErrorContains(t, err, "wrong secret")
				require.Equal(t, 4, ExitStatus(err))
			}
		})
	}
}

func TestARefusalByOneNodeDoesNotSpoilTheOthers(t *testing.T) {
	other := start(t, newFakeStore(), onTLS, func(s *server) {
		s.auth = newAuth(t, auth.Config{Cluster: "test", Secrets: []string{auth.NewSecret()}})
	})
	s := start(t, newFakeStore(), onTLS)
	require.NoError(t, dial(t, once, other.addr, s.addr).Put(t.Context(), "k", nil))
}

func TestClosingEndsCallsInFlightAndDials(t *testing.T) {
	s := start(t, newFakeStore(), onBoth, func(s *server) { s.limits.DrainTimeout = time.Millisecond })
	s.node.held = make(chan struct{})
	for _, scheme := range schemes {
		c := dial(t, nil, scheme+s.addr)
		before := s.node.holding.Load()
		done := make(chan error, 1)
		go func() {
			_, err := c.Get(context.Background(), "k")
			done <- err
		}()
		eventually(t, func() bool { return s.node.holding.Load() > before })
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-done, ErrClosed)
	}
	black := newRelay(t, s.addr) // takes connections and says nothing
	black.stall.Store(true)
	c := dial(t, func(c *Config) { c.DialTimeout = time.Hour; c.Timeout = time.Hour }, black.addr)
	done := make(chan error, 1)
	go func() {
		_, err := c.Get(context.Background(), "k")
		done <- err
	}()
	eventually(t, func() bool {
		p := c.backend.(*pool)
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.nodes[0].dialing
	})
	require.NoError(t, c.Close())
	require.ErrorIs(t, <-done, ErrClosed)
}

func TestACallThatIsGivenUpEndsAtTheNodeToo(t *testing.T) {
	for _, scheme := range schemes[:2] {
		t.Run("addr="+scheme+"host", func(t *testing.T) {
			s := start(t, newFakeStore(), onBoth)
			s.node.held = make(chan struct{})
			c := dial(t, nil, scheme+s.addr)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				_, err := c.Get(ctx, "k")
				done <- err
			}()
			eventually(t, func() bool { return s.node.holding.Load() == 1 })
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
			require.ErrorIs(t, <-s.node.ended, context.Canceled)

			short := dial(t, func(c *Config) { c.Timeout = 20 * time.Millisecond; c.DialTimeout = time.Minute }, scheme+s.addr)
			require.Eventually(t, func() bool {
				_, err := short.Get(t.Context(), "k")
				return s.node.holding.Load() > 1 && CodeOf(err) == wire.CodeTimeout
			}, 20*time.Second, time.Millisecond)
			<-s.node.ended
		})
	}
}

func TestManyCallersSurviveRestarts(t *testing.T) {
	store := newFakeStore()
	a, b := start(t, store, onTLS), start(t, store, onTLS)
	c := dial(t, func(c *Config) { c.Timeout = 30 * time.Second }, a.addr, b.addr)
	var group sync.WaitGroup
	var failed, done atomic.Int64
	stop := make(chan struct{})
	for i := range 20 {
		group.Go(func() {
			for j := 0; ; j++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := c.Put(context.Background(), fmt.Sprintf("%d/%d", i, j%100), nil); err != nil {
					failed.Add(1)
					t.Log(err)
				}
				done.Add(1)
			}
		})
	}
	for range 4 {
		for _, s := range []*server{a, b} {
			before := done.Load()
			eventually(t, func() bool { return done.Load() > before+100 })
			s.stop()
			before = done.Load()
			eventually(t, func() bool { return done.Load() > before+100 })
			s.listen(onTLS)
		}
	}
	close(stop)
	group.Wait()
	require.Zero(t, failed.Load())
}
