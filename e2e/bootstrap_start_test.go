package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// service makes nodes known to each other. A discovery provider is one entry of
// services; what runs for all starts of a test begins in its function, which
// returns how the nodes at these addresses, on one port of a host each, are made
// known, and the flags with which they find each other and nobody else. Several
// starts may run at a time.
type service struct {
	name  string
	begin func(t *testing.T) (publish func(t *testing.T, addrs []string) (flags []string))
}

var services = []service{
	{"static", func(*testing.T) func(*testing.T, []string) []string {
		return func(_ *testing.T, addrs []string) []string {
			return []string{"--join", strings.Join(addrs, ",")}
		}
	}},
	{"dns, SRV records", func(*testing.T) func(*testing.T, []string) []string {
		return func(t *testing.T, addrs []string) []string {
			s := newNamed(t, addrs...)
			s.start()
			return dnsFlags(serviceName, s.addr)
		}
	}},
	{"dns, A records", func(*testing.T) func(*testing.T, []string) []string {
		return func(t *testing.T, addrs []string) []string {
			s := newDnsmasq(t, addrs...)
			s.start()
			return dnsFlags(hostName, s.addr)
		}
	}},
	{"nats", func(t *testing.T) func(*testing.T, []string) []string {
		s := newNATS(t)
		s.start()
		return func(_ *testing.T, addrs []string) []string {
			subject := "gokv." + strings.NewReplacer(".", "-", ":", "-").Replace(addrs[0])
			return []string{"--discovery", "nats", "--nats-server", "nats://" + s.addr, "--nats-subject", subject}
		}
	}},
	{"kubernetes", func(t *testing.T) func(*testing.T, []string) []string {
		o := newOrchestrator(t)
		return func(t *testing.T, addrs []string) []string {
			p := o.namespace(t)
			p.publish(addrs...)
			return p.flags()
		}
	}},
}

// starts is how often each provider is tried, and how many of that at a time:
// a start waits far more than it works.
func starts() (all, atATime int) {
	if raceDetector {
		return 3, 1
	}
	return 20, 3
}

// Five nodes that nobody tells how many they are.
func TestFiveNodesStartedAtOnceAreAlwaysOneCluster(t *testing.T) {
	all, atATime := starts()
	for _, s := range services {
		t.Run(s.name, func(t *testing.T) {
			publish := s.begin(t)
			var mu sync.Mutex
			var slowest, sum time.Duration
			some := sideBySide(t, atATime)
			for i := range all {
				some.run(fmt.Sprint("start ", i+1), func(t *testing.T) {
					addrs := addresses(t, 5)
					flags := publish(t, addrs)
					began := time.Now()
					nodes := startTogether(t, addrs, flags...)
					wantSeen(t, nodes...)
					took := time.Since(began)
					wantShared(t, nodes...)
					wantNotBegunAlone(t, nodes...)
					mu.Lock()
					defer mu.Unlock()
					slowest, sum = max(slowest, took), sum+took
				})
			}
			some.wait()
			t.Logf("%d starts, %d at a time: from the first process to five ready nodes that see all five: %v on average, %v at most",
				all, atATime, (sum / time.Duration(all)).Round(time.Millisecond), slowest.Round(time.Millisecond))
		})
	}
}
