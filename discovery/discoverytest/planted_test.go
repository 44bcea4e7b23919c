package discoverytest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
)

func sound(m *member) discovery.Provider { return m }

func TestASoundProviderPasses(t *testing.T) {
	t.Run("that registers its nodes", func(t *testing.T) { Run(t, newService().registering(sound)) })
	t.Run("that is told of its peers", func(t *testing.T) { Run(t, newService().published(sound)) })
	t.Run("that cannot fail", func(t *testing.T) {
		h := newService().published(sound)
		h.Break, h.Mend = nil, nil
		Run(t, h)
	})
	t.Run("that is a list", func(t *testing.T) {
		var addrs []string
		Run(t, Harness{
			New:     func(*testing.T, discovery.Self) discovery.Provider { return list(addrs) },
			Publish: func(_ *testing.T, now ...string) { addrs = now },
			Fixed:   true,
		})
	})
}

// list is a provider that knows its peers from the start.
type list []string

func (list) ID() string                       { return "list" }
func (list) Initialize(context.Context) error { return nil }
func (list) Register(context.Context) error   { return nil }
func (list) Deregister(context.Context) error { return nil }
func (list) Close() error                     { return nil }
func (l list) DiscoverPeers(context.Context) ([]string, error) {
	return append([]string(nil), l...), nil
}

// Each of these is a sound provider with one thing wrong.
type (
	shouting struct{ *member }
	restless struct {
		*member
		asked *atomic.Uint64
	}
	believing      struct{ *member } // takes a failure for nobody
	remembering    struct{ *member } // never notices the failure
	complaining    struct{ *member } // takes nobody for a failure
	inventing      struct{ *member }
	portless       struct{ *member }
	wildcard       struct{ *member }
	deaf           struct{ *member } // ignores the context of DiscoverPeers
	deafAtStart    struct{ *member }
	cutShort       struct{ *member } // takes an ended context for the end of the answers
	leaking        struct{ *member }
	leakingAtStart struct{ *member }
	panicking      struct {
		*member
		closed atomic.Bool
	}
	stuckWhenDown struct{ *member }
	lingering     struct{ *member } // forgets Deregister
	forgetting    struct{ *member } // forgets Register
	sharing       struct {
		*member
		kept []string
	}
	giving struct {
		*member
		failed atomic.Bool
	}
	blocking struct {
		*member
		last []string
	}
	closing  struct{ *member }
	quiet    struct{ *member }
	nameless struct{ *member } // Changes is another channel each time
	hanging  struct{ *member } // Close hangs
)

func (shouting) ID() string   { return "MEMORY!" }
func (r restless) ID() string { return fmt.Sprintf("memory-%d", r.asked.Add(1)) }

func (b believing) DiscoverPeers(ctx context.Context) ([]string, error) {
	addrs, _ := b.member.DiscoverPeers(ctx)
	return addrs, nil
}

func (r remembering) DiscoverPeers(context.Context) ([]string, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var addrs []string
	for _, s := range r.s.nodes {
		addrs = append(addrs, s.Addr)
	}
	return addrs, nil
}

func (c complaining) DiscoverPeers(ctx context.Context) ([]string, error) {
	addrs, err := c.member.DiscoverPeers(ctx)
	if err == nil && len(addrs) < 2 {
		return nil, errDown
	}
	return addrs, err
}

func (i inventing) DiscoverPeers(ctx context.Context) ([]string, error) {
	addrs, err := i.member.DiscoverPeers(ctx)
	return append(addrs, "10.9.8.7:7946"), err
}

func (p portless) DiscoverPeers(ctx context.Context) ([]string, error) {
	addrs, err := p.member.DiscoverPeers(ctx)
	return append(addrs, "127.0.0.1"), err
}

func (w wildcard) DiscoverPeers(ctx context.Context) ([]string, error) {
	addrs, err := w.member.DiscoverPeers(ctx)
	return append(addrs, "0.0.0.0:7101"), err
}

// wait returns when ctx has ended, or long after.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (d deaf) DiscoverPeers(ctx context.Context) ([]string, error) {
	if ctx.Err() != nil {
		wait(context.WithoutCancel(ctx), 2*soon)
	}
	return d.member.DiscoverPeers(ctx)
}

func (d deafAtStart) Initialize(ctx context.Context) error {
	if ctx.Err() != nil {
		wait(context.WithoutCancel(ctx), 2*soon)
	}
	return d.member.Initialize(ctx)
}

func (c cutShort) DiscoverPeers(ctx context.Context) ([]string, error) {
	if ctx.Err() != nil {
		return nil, nil //nolint:nilerr // the planted fault
	}
	return c.member.DiscoverPeers(ctx)
}

// ended lets the planted goroutines go once the tests are through.
var ended chan struct{}

func leak(until <-chan struct{}) { go func() { <-until }() }

func (l leaking) Register(ctx context.Context) error {
	leak(ended)
	return l.member.Register(ctx)
}

func (l leakingAtStart) Initialize(ctx context.Context) error {
	err := l.member.Initialize(ctx)
	if err != nil {
		leak(ended)
	}
	return err
}

func (p *panicking) Close() error {
	if p.closed.Swap(true) {
		panic("close of closed channel")
	}
	return p.member.Close()
}

func (s stuckWhenDown) DiscoverPeers(ctx context.Context) ([]string, error) {
	addrs, err := s.member.DiscoverPeers(ctx)
	if err != nil && ctx.Err() == nil {
		wait(context.WithoutCancel(ctx), 4*time.Second)
	}
	return addrs, err
}

func (lingering) Deregister(context.Context) error { return nil }
func (forgetting) Register(context.Context) error  { return nil }

func (s *sharing) DiscoverPeers(ctx context.Context) ([]string, error) {
	if s.kept == nil {
		var err error
		if s.kept, err = s.member.DiscoverPeers(ctx); err != nil {
			return nil, err
		}
	}
	return s.kept, nil
}

func (g *giving) Initialize(ctx context.Context) error {
	if g.failed.Load() {
		return discovery.ErrPermanent
	}
	err := g.member.Initialize(ctx)
	g.failed.Store(err != nil)
	return err
}

func (b *blocking) DiscoverPeers(ctx context.Context) ([]string, error) {
	addrs, err := b.member.DiscoverPeers(ctx)
	if err != nil || slices.Equal(addrs, b.last) {
		return addrs, err
	}
	b.last = addrs
	select {
	case b.changes <- struct{}{}: // waits for somebody to receive
		return addrs, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c closing) Close() error {
	err := c.member.Close()
	defer func() { _ = recover() }()
	close(c.changes)
	return err
}

func (quiet) Changes() <-chan struct{}    { return make(chan struct{}) }
func (nameless) Changes() <-chan struct{} { return nil }

func (h hanging) Close() error {
	err := h.member.Close()
	wait(context.Background(), closeFor+time.Second)
	return err
}

func TestAPlantedFaultIsFound(t *testing.T) {
	ended = make(chan struct{})
	defer close(ended)
	unfiltered := newService()
	unfiltered.settings.unfiltered = true
	registering := func(wrap func(*member) discovery.Provider) Harness { return newService().registering(wrap) }
	published := func(wrap func(*member) discovery.Provider) Harness { return newService().published(wrap) }

	for _, fault := range []struct {
		name, check, complaint string
		h                      Harness
	}{
		{
			"an ID in capitals", "its ID is short, lower-case and always the same", `ID is "MEMORY!": 1 to 32 bytes`,
			published(func(m *member) discovery.Provider { return shouting{m} }),
		},
		{
			"an ID that changes", "its ID is short, lower-case and always the same", "ID is \"memory-",
			published(func(m *member) discovery.Provider { return restless{m, new(atomic.Uint64)} }),
		},
		{
			"a failure taken for nobody", "a service that fails is an error, not nobody", "that is no answer",
			published(func(m *member) discovery.Provider { return believing{m} }),
		},
		{
			"a start that is given up", "it starts once the service is back", "Initialize, with the service at work: giving up",
			registering(func(m *member) discovery.Provider { return &giving{member: m} }),
		},
		{
			"a failure never noticed", "a service that fails is an error, not nobody", "still gives no error",
			published(func(m *member) discovery.Provider { return remembering{m} }),
		},
		{
			"nobody taken for a failure", "nobody else there is no error", "nothing is published: DiscoverPeers still fails",
			published(func(m *member) discovery.Provider { return complaining{m} }),
		},
		{
			"an invented address", "nobody else there is no error", "an invention",
			published(func(m *member) discovery.Provider { return inventing{m} }),
		},
		{
			"an address without a port", "peers are found as they come, change and go", `"127.0.0.1": not host:port`,
			registering(func(m *member) discovery.Provider { return portless{m} }),
		},
		{
			"a wildcard for an address", "calls in the documented order succeed", "no host that can be dialled",
			registering(func(m *member) discovery.Provider { return wildcard{m} }),
		},
		{
			"a context ignored", "a call ends with its context", "DiscoverPeers, its context ended after 0s, has not returned",
			published(func(m *member) discovery.Provider { return deaf{m} }),
		},
		{
			"a context ignored at the start", "a call ends with its context", "Initialize, its context ended after 0s, has not returned",
			published(func(m *member) discovery.Provider { return deafAtStart{m} }),
		},
		{
			"a context ignored when the service is down", "a call ends with its context", "with the service down",
			published(func(m *member) discovery.Provider { return stuckWhenDown{m} }),
		},
		{
			"an ended context taken for nobody", "a call ends with its context", "without an error, with",
			registering(func(m *member) discovery.Provider { return cutShort{m} }),
		},
		{
			"a goroutine left behind", "Close ends every goroutine", "Close leaves goroutines behind",
			published(func(m *member) discovery.Provider { return leaking{m} }),
		},
		{
			"a goroutine left behind by a failed start", "Close after a failed start ends every goroutine", "Close leaves goroutines behind",
			registering(func(m *member) discovery.Provider { return leakingAtStart{m} }),
		},
		{
			"a panic at the second Close", "Close does no harm at any time, and twice", "Close panics: close of closed channel",
			published(func(m *member) discovery.Provider { return &panicking{member: m} }),
		},
		{
			"a Close that hangs", "Close does no harm at any time, and twice", "Close has not returned after 5s",
			published(func(m *member) discovery.Provider { return hanging{m} }),
		},
		{
			"a Deregister that does nothing", "a node that leaves is found no more", "after Deregister",
			registering(func(m *member) discovery.Provider { return lingering{m} }),
		},
		{
			"a Register that does nothing", "peers are found as they come, change and go", "still answers",
			registering(func(m *member) discovery.Provider { return forgetting{m} }),
		},
		{
			"a Register that does nothing for who was there before", "a node that crashed is found when it is back", "still answers",
			registering(func(m *member) discovery.Provider { return forgetting{m} }),
		},
		{
			"an answer that is shared", "an answer belongs to who asked", "written over by who asked",
			published(func(m *member) discovery.Provider { return &sharing{member: m} }),
		},
		{
			"an answer that is kept for ever", "peers are found as they come, change and go", "still answers",
			published(func(m *member) discovery.Provider { return &sharing{member: m} }),
		},
		{
			"another cluster's nodes among the answers", "another cluster's nodes are not found", "still answers",
			unfiltered.registering(sound),
		},
		{
			"a watcher that waits to be heard", "a change is signalled, and nobody has to listen", "nobody receives from Changes",
			published(func(m *member) discovery.Provider { return &blocking{member: m} }),
		},
		{
			"a watcher that closes its channel", "a change is signalled, and nobody has to listen", "closes the channel",
			published(func(m *member) discovery.Provider { return closing{m} }),
		},
		{
			"a watcher that says nothing", "a change is signalled, and nobody has to listen", "Changes has said nothing",
			published(func(m *member) discovery.Provider { return quiet{m} }),
		},
		{
			"a watcher without a channel", "a change is signalled, and nobody has to listen", "Changes is nil",
			published(func(m *member) discovery.Provider { return nameless{m} }),
		},
	} {
		t.Run(fault.name, func(t *testing.T) {
			fault.h.Settle = 300 * time.Millisecond // what is wrong stays wrong
			for _, c := range checks {
				if c.name != fault.check {
					continue
				}
				require.True(t, c.needs == nil || c.needs(fault.h), "the harness leaves this check out")
				require.ErrorContains(t, c.on(t, fault.h), fault.complaint)
				return
			}
			t.Fatalf("there is no check %q", fault.check)
		})
	}
}
