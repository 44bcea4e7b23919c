package dns

import (
	"fmt"
	"net"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/discoverytest"
	"github.com/tochemey/gokv/discovery/dns/dnstest"
)

// made is a Harness's New for a server and changes to newProvider's settings.
func made(server string, change ...func(*Config)) func(*testing.T, discovery.Self) discovery.Provider {
	return func(t *testing.T, _ discovery.Self) discovery.Provider {
		cfg := Config{DomainName: host, Port: 7946, Server: server}
		for _, c := range change {
			c(&cfg)
		}
		p, err := New(cfg)
		require.NoError(t, err)
		return p
	}
}

// onePort gives addresses that differ by host, as those of A records do.
func onePort(n int) []string {
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = fmt.Sprintf("127.0.0.%d:7946", i+1)
	}
	return addrs
}

func hostsOf(t *testing.T, addrs []string) []string {
	t.Helper()
	hosts := make([]string, len(addrs))
	for i, a := range addrs {
		h, _, err := net.SplitHostPort(a)
		require.NoError(t, err)
		hosts[i] = h
	}
	return hosts
}

func TestTheProviderPassesTheSuite(t *testing.T) {
	start := func(t *testing.T) *dnstest.Server {
		s := dnstest.Start(t)
		s.SetTTL(1)
		return s
	}
	t.Run("with addresses, and a server that stops", func(t *testing.T) {
		s := start(t)
		discoverytest.Run(t, discoverytest.Harness{
			New:     made(s.Addr()),
			Publish: func(t *testing.T, addrs ...string) { s.SetA(host, hostsOf(t, addrs)...) },
			Break:   func(*testing.T) { s.Stop() },
			Mend:    func(*testing.T) { s.Restart() },
			Addrs:   onePort,
		})
	})
	t.Run("with SRV records, and a server that fails", func(t *testing.T) {
		s := start(t)
		discoverytest.Run(t, discoverytest.Harness{
			New:     made(s.Addr(), asService),
			Publish: func(_ *testing.T, addrs ...string) { s.SetSRV(srvName, addrs...) },
			Break:   func(*testing.T) { s.Fail(dns.RcodeServerFailure) },
			Mend:    func(*testing.T) { s.Fail(dns.RcodeSuccess) },
		})
	})
	t.Run("with IPv6, and a server that is silent", func(t *testing.T) {
		s := start(t)
		discoverytest.Run(t, discoverytest.Harness{
			New:     made(s.Addr(), asService, ipv6, impatient),
			Publish: func(_ *testing.T, addrs ...string) { s.SetSRV(srvName, addrs...) },
			Break:   func(*testing.T) { s.Handle(silent) },
			Mend:    func(*testing.T) { s.Handle(nil) },
			Addrs: func(n int) []string {
				addrs := make([]string, n)
				for i := range addrs {
					addrs[i] = fmt.Sprintf("[fd00::%d]:7101", i+1)
				}
				return addrs
			},
		})
	})
}
