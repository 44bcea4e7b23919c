package dns

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

const (
	// maxAddrs is how many addresses an answer may hold.
	maxAddrs = 10_000
	// maxLookups is how many SRV targets are looked up at a time.
	maxLookups = 16
)

// lookup is one call of DiscoverPeers at work.
type lookup struct {
	*exchange
	cache *cache
	now   func() time.Time
	qtype uint16 // of addresses: A or AAAA
}

// hosts returns the addresses of the name.
func (l *lookup) hosts(ctx context.Context, name string, port int) ([]string, error) {
	a, err := l.search(ctx, name, l.qtype)
	var found addrSet
	found.add(a.addrs, uint16(port))
	return found.result(append(slices.Clone(a.bad), err)...)
}

// services returns the addresses of the targets of the name's SRV records.
func (l *lookup) services(ctx context.Context, name string) ([]string, error) {
	a, err := l.search(ctx, name, dns.TypeSRV)
	failed := append(slices.Clone(a.bad), err)

	var targets []string
	ports := map[string][]uint16{}
	for _, s := range a.srvs {
		if ports[s.target] == nil {
			targets = append(targets, s.target)
		}
		ports[s.target] = append(ports[s.target], s.port)
	}
	var mu sync.Mutex // guards failed and total
	total := 0
	addrs := make([][]netip.Addr, len(targets))
	var group errgroup.Group
	group.SetLimit(maxLookups)
	for i, target := range targets {
		if addrs[i] = l.ofFamily(a.glue[target]); len(addrs[i]) > 0 {
			continue
		}
		group.Go(func() error {
			mu.Lock()
			enough := total > maxAddrs
			mu.Unlock()
			if enough {
				return nil
			}
			of, err := l.resolve(ctx, question{target, l.qtype})
			addrs[i] = of.addrs
			mu.Lock()
			defer mu.Unlock()
			total += len(of.addrs) * len(ports[target])
			failed = append(append(failed, of.bad...), err)
			return nil
		})
	}
	_ = group.Wait() // failures are collected: one target does not stop the others

	var found addrSet
	for i, target := range targets {
		for _, port := range ports[target] {
			found.add(addrs[i], port)
		}
	}
	return found.result(failed...)
}

// ofFamily returns the addresses of the wanted kind.
func (l *lookup) ofFamily(addrs []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(addrs), func(ip netip.Addr) bool {
		return ip.Is4() != (l.qtype == dns.TypeA)
	})
}

// search asks for the names that name may stand for until one has records. Its
// answer may come with an error: see the package comment.
func (l *lookup) search(ctx context.Context, name string, qtype uint16) (answer, error) {
	var failed error
	for _, candidate := range l.names(name) {
		a, err := l.resolve(ctx, question{candidate, qtype})
		if err != nil {
			if failed == nil {
				failed = err
			}
			// Servers that say nothing would say as much to each name.
			if f, ok := errors.AsType[*failure](err); ctx.Err() != nil || ok && f.silent {
				break
			}
			continue
		}
		if !a.nobody() {
			return a, failed
		}
	}
	return answer{}, failed
}

// resolve answers q from memory or from the servers, whatever aliases it takes.
func (l *lookup) resolve(ctx context.Context, q question) (answer, error) {
	asked := l.now()
	if a, ok := l.cache.get(q, asked); ok {
		return a, nil
	}
	ttl := time.Duration(math.MaxInt64)
	next := q
	for range maxAliases + 1 {
		a, err := l.ask(ctx, next)
		if err != nil {
			return answer{}, err
		}
		ttl = min(ttl, a.ttl)
		if a.alias == "" {
			a.ttl = ttl
			l.cache.put(q, a, asked)
			return a, nil
		}
		next.name = a.alias
	}
	return answer{}, fmt.Errorf("%s: more than %d aliases one after the other", q, maxAliases)
}

// addrSet collects addresses, each once.
type addrSet struct {
	addrs   []string
	seen    map[netip.AddrPort]bool
	dropped int
}

func (s *addrSet) add(ips []netip.Addr, port uint16) {
	for _, ip := range ips {
		ap := netip.AddrPortFrom(ip, port)
		if s.seen[ap] {
			continue
		}
		if len(s.addrs) == maxAddrs {
			s.dropped++
			continue
		}
		if s.seen == nil {
			s.seen = map[netip.AddrPort]bool{}
		}
		s.seen[ap] = true
		s.addrs = append(s.addrs, ap.String())
	}
}

// result is what DiscoverPeers returns.
func (s *addrSet) result(failed ...error) ([]string, error) {
	if s.dropped > 0 {
		failed = append(failed, fmt.Errorf("more than %d addresses: the others are left out", maxAddrs))
	}
	return s.addrs, summary(failed)
}

// summary is one error for many: the first in the order of their texts, so that
// it stays the same, and how many others there are.
func summary(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	first := slices.MinFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	if len(errs) == 1 {
		return first
	}
	return fmt.Errorf("%d failures, among them %w", len(errs), first)
}
