package discoverytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tochemey/gokv/discovery"
)

const cluster = "discoverytest"

// run is one check at work: the harness, its addresses, what it has opened.
type run struct {
	t      *testing.T
	h      Harness
	own    string
	others []string
	opened []*node
	peers  map[string]*node // the peers that the suite runs itself, by address
	broken bool
}

// node is a provider and how far its life has come.
type node struct {
	discovery.Provider
	self                            discovery.Self
	initialized, registered, closed bool
}

func newRun(t *testing.T, h Harness) *run {
	h = h.withDefaults()
	addrs := h.Addrs(6)
	return &run{t: t, h: h, own: addrs[0], others: addrs[1:], peers: map[string]*node{}}
}

// end mends the service, takes back what was published and closes what is open.
func (r *run) end() {
	r.mend()
	for _, n := range r.opened {
		_ = r.leave(n) // the check has said already what is wrong
	}
	if r.h.Publish != nil {
		r.h.Publish(r.t)
	}
}

func (r *run) breakService() {
	r.t.Helper()
	r.broken = true
	r.h.Break(r.t)
}

func (r *run) mend() {
	r.t.Helper()
	if r.broken {
		r.broken = false
		r.h.Mend(r.t)
	}
}

// make makes a provider for the node at addr and tells it so.
func (r *run) make(cluster, addr string) (*node, error) {
	r.t.Helper()
	self := discovery.Self{Cluster: cluster, Name: "node-at-" + addr, Instance: rand.Uint64(), Addr: addr}
	n := &node{Provider: r.h.New(r.t, self), self: self}
	r.opened = append(r.opened, n)
	if a, ok := n.Provider.(discovery.Announcer); ok {
		return n, guard("Announce", soon, func() error { a.Announce(self); return nil })
	}
	return n, nil
}

// start makes a provider and brings it to where it can be asked.
func (r *run) start(cluster, addr string) (*node, error) {
	r.t.Helper()
	n, err := r.make(cluster, addr)
	if err != nil {
		return nil, err
	}
	return n, r.bringUp(n)
}

// bringUp initializes and registers n, as often as that takes.
func (r *run) bringUp(n *node) error {
	err := poll(r.h.Settle, func() (bool, error) {
		err := n.initialize(r)
		return err == nil || isFault(err), err
	})
	if err != nil {
		return fmt.Errorf("Initialize, with the service at work: %w", err)
	}
	err = poll(r.h.Settle, func() (bool, error) {
		err := n.register(r)
		return err == nil || isFault(err), err
	})
	if err != nil {
		return fmt.Errorf("Register, with the service at work: %w", err)
	}
	return nil
}

func (n *node) initialize(*run) error {
	if n.initialized {
		return nil
	}
	err := within("Initialize", startFor, n.Initialize)
	n.initialized = err == nil
	return err
}

func (n *node) register(*run) error {
	if n.registered {
		return nil
	}
	err := within("Register", askFor, n.Register)
	n.registered = err == nil
	return err
}

// leave ends a node's life as Stop does.
func (r *run) leave(n *node) error {
	if n.closed {
		return nil
	}
	if n.registered {
		n.registered = false
		if err := within("Deregister", askFor, n.Deregister); err != nil {
			_ = n.close()
			return fmt.Errorf("Deregister, with the service at work: %w", err)
		}
	}
	return n.close()
}

func (n *node) close() error {
	n.closed = true
	return guard("Close", closeFor, n.Close)
}

// publish makes exactly these peers visible, the asking node aside: by the
// harness, or by running and ending peers.
func (r *run) publish(addrs ...string) error {
	r.t.Helper()
	if r.h.Publish != nil {
		r.h.Publish(r.t, append([]string{r.own}, addrs...)...)
		return nil
	}
	for addr, n := range r.peers {
		if !slices.Contains(addrs, addr) {
			delete(r.peers, addr)
			if err := r.leave(n); err != nil {
				return fmt.Errorf("the peer %s: %w", addr, err)
			}
		}
	}
	for _, addr := range addrs {
		if r.peers[addr] != nil {
			continue
		}
		n, err := r.start(cluster, addr)
		if err != nil {
			return fmt.Errorf("the peer %s: %w", addr, err)
		}
		r.peers[addr] = n
	}
	return nil
}

// reopen starts n anew where it could not notice what was published since.
func (r *run) reopen(n *node) (*node, error) {
	if !r.h.Fixed {
		return n, nil
	}
	if err := r.leave(n); err != nil {
		return nil, err
	}
	return r.start(n.self.Cluster, n.self.Addr)
}

// ask calls DiscoverPeers and returns the others' addresses, sorted. What is no
// address, or none of those that the harness gave, is a fault.
func (r *run) ask(n *node, ctx context.Context) ([]string, error) {
	answer, err := n.DiscoverPeers(ctx)
	var others []string
	for _, addr := range answer {
		if bad := checkAddr(addr); bad != nil {
			return nil, fault{bad}
		}
		addr = canonical(addr)
		known := func(a string) bool { return canonical(a) == addr }
		switch {
		case addr == canonical(n.self.Addr):
		case known(r.own) || slices.ContainsFunc(r.others, known):
			others = append(others, addr)
		default:
			return nil, faultf("DiscoverPeers answers %q, which nobody ever published: an invention", addr)
		}
	}
	slices.Sort(others)
	return slices.Compact(others), err
}

// await asks n until an answer without an error names exactly the peers wanted.
func (r *run) await(n *node, want ...string) error {
	want = canonicalAll(want)
	return poll(r.h.Settle, func() (bool, error) {
		var got []string
		err := within("DiscoverPeers", askFor, func(ctx context.Context) (err error) {
			got, err = r.ask(n, ctx)
			return err
		})
		switch {
		case isFault(err):
			return true, err
		case err != nil:
			return false, fmt.Errorf("DiscoverPeers still fails after %v, with the service at work: %w", r.h.Settle, err)
		case !slices.Equal(got, want):
			return false, fmt.Errorf("DiscoverPeers still answers %q after %v, with %q there", got, r.h.Settle, want)
		}
		return true, nil
	})
}

// checkAddr says what keeps an address from being dialled.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("DiscoverPeers answers %q: not host:port", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("DiscoverPeers answers %q: port %q is not a number from 1 to 65535", addr, port)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return fmt.Errorf("DiscoverPeers answers %q: %q is no host that can be dialled", addr, host)
	}
	return nil
}

// canonical gives spellings of one address one form.
func canonical(addr string) string {
	if a, err := netip.ParseAddrPort(addr); err == nil {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), port)
}

func canonicalAll(addrs []string) []string {
	all := make([]string, len(addrs))
	for i, a := range addrs {
		all[i] = canonical(a)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
