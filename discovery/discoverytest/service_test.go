package discoverytest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/tochemey/gokv/discovery"
)

// service is a register of nodes in memory, which can be down.
type service struct {
	mu       sync.Mutex
	down     bool
	nodes    []discovery.Self
	changed  chan struct{} // closed at each change, and made anew
	settings struct{ unfiltered bool }
}

var errDown = errors.New("the service is down")

func newService() *service { return &service{changed: make(chan struct{})} }

func (s *service) change(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := f(); err != nil {
		return err
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

func (s *service) set(down bool) {
	_ = s.change(func() error { s.down = down; return nil })
}

func (s *service) publish(addrs ...string) {
	_ = s.change(func() error {
		s.nodes = nil
		for _, a := range addrs {
			s.nodes = append(s.nodes, discovery.Self{Cluster: cluster, Addr: a})
		}
		return nil
	})
}

// registering is the harness of nodes that register themselves.
func (s *service) registering(wrap func(*member) discovery.Provider) Harness {
	return Harness{
		New: func(*testing.T, discovery.Self) discovery.Provider {
			return wrap(&member{s: s, changes: make(chan struct{}, 1), stop: make(chan struct{})})
		},
		Break: func(*testing.T) { s.set(true) },
		Mend:  func(*testing.T) { s.set(false) },
	}
}

// published is the harness of nodes that others make known.
func (s *service) published(wrap func(*member) discovery.Provider) Harness {
	h := s.registering(func(m *member) discovery.Provider {
		m.silent = true
		return wrap(m)
	})
	h.Publish = func(_ *testing.T, addrs ...string) { s.publish(addrs...) }
	return h
}

// member is a provider without a fault: the one that the others are made from.
type member struct {
	s       *service
	self    discovery.Self
	silent  bool // registers nothing
	changes chan struct{}
	stop    chan struct{}
	watch   sync.WaitGroup
	once    sync.Once
}

func (m *member) ID() string                   { return "memory" }
func (m *member) Announce(self discovery.Self) { m.self = self }
func (m *member) Changes() <-chan struct{}     { return m.changes }

func (m *member) Initialize(ctx context.Context) error {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.s.down {
		return errDown
	}
	changed := m.s.changed
	m.watch.Go(func() {
		for {
			select {
			case <-m.stop:
				return
			case <-changed:
			}
			m.s.mu.Lock()
			changed = m.s.changed
			m.s.mu.Unlock()
			select {
			case m.changes <- struct{}{}:
			default:
			}
		}
	})
	return nil
}

func (m *member) Register(ctx context.Context) error {
	if m.silent {
		return nil
	}
	return m.s.change(func() error {
		if m.s.down {
			return errDown
		}
		m.s.nodes = slices.DeleteFunc(m.s.nodes, func(s discovery.Self) bool { return s.Addr == m.self.Addr })
		m.s.nodes = append(m.s.nodes, m.self)
		return ctx.Err()
	})
}

func (m *member) Deregister(ctx context.Context) error {
	if m.silent {
		return nil
	}
	return m.s.change(func() error {
		if m.s.down {
			return errDown
		}
		m.s.nodes = slices.DeleteFunc(m.s.nodes, func(s discovery.Self) bool { return s == m.self })
		return ctx.Err()
	})
}

func (m *member) DiscoverPeers(ctx context.Context) ([]string, error) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.down {
		return nil, errDown
	}
	var addrs []string
	for _, s := range m.s.nodes {
		if s.Cluster == m.self.Cluster || m.s.settings.unfiltered {
			addrs = append(addrs, s.Addr)
		}
	}
	return addrs, ctx.Err()
}

func (m *member) Close() error {
	m.once.Do(func() { close(m.stop) })
	m.watch.Wait()
	return nil
}
