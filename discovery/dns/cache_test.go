package dns

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/dns/dnstest"
)

// grownUp is a provider that is past its first half minute.
func grownUp(t *testing.T, s *dnstest.Server, change ...func(*Config)) (*Provider, *clock) {
	t.Helper()
	p := newProvider(t, s, change...)
	c := useClock(p)
	_, _ = discover(t, p)
	c.pass(youth)
	s.Queries()
	return p, c
}

func TestAnAnswerIsKeptForItsTTL(t *testing.T) {
	s := dnstest.Start(t)
	p, c := grownUp(t, s)
	s.SetTTL(10)
	s.SetA(host, "10.0.0.1")
	wantPeers(t, p, "10.0.0.1:7946")
	s.SetA(host, "10.0.0.2")
	c.pass(10*time.Second - 1)
	wantPeers(t, p, "10.0.0.1:7946")
	require.Len(t, s.Queries(), 1)
	c.pass(1)
	wantPeers(t, p, "10.0.0.2:7946")
	require.Len(t, s.Queries(), 1)
}

func TestTheSmallestTTLCounts(t *testing.T) {
	s := dnstest.Start(t)
	p, c := grownUp(t, s, asService)
	s.SetTTL(25)
	s.SetA("n1.gokv.test", "10.0.0.1")
	s.SetTTL(20)
	s.SetCNAME(srvName, "srv.gokv.test")
	s.SetTTL(15)
	s.SetSRV("srv.gokv.test", "n1.gokv.test:7101", "n2.gokv.test:7101")
	s.SetTTL(5)
	s.SetA("n2.gokv.test", "10.0.0.2")
	wantPeers(t, p, "10.0.0.1:7101", "10.0.0.2:7101")
	s.SetA("n2.gokv.test", "10.0.0.3")
	c.pass(5*time.Second - 1)
	wantPeers(t, p, "10.0.0.1:7101", "10.0.0.2:7101")
	c.pass(1)
	wantPeers(t, p, "10.0.0.1:7101", "10.0.0.3:7101")
}

func TestATTLOfZeroIsAskedForEachTime(t *testing.T) {
	s := dnstest.Start(t)
	p, _ := grownUp(t, s)
	for _, ttl := range []uint32{0, 1 << 31} { // RFC 2181 section 8
		s.SetTTL(ttl)
		s.SetA(host, "10.0.0.1")
		wantPeers(t, p, "10.0.0.1:7946")
		wantPeers(t, p, "10.0.0.1:7946")
		require.Len(t, s.Queries(), 2)
	}
}

func TestNoAnswerHidesANewNodeForLongerThanHalfAMinute(t *testing.T) {
	s := dnstest.Start(t)
	p, c := grownUp(t, s)
	s.SetTTL(86400)
	s.SetA(host, "10.0.0.1")
	wantPeers(t, p, "10.0.0.1:7946")
	s.SetA(host, "10.0.0.1", "10.0.0.2")
	c.pass(maxKept - 1)
	wantPeers(t, p, "10.0.0.1:7946")
	c.pass(1)
	wantPeers(t, p, "10.0.0.1:7946", "10.0.0.2:7946")
}

func TestAYoungProviderAsksAgainEachSecond(t *testing.T) {
	s := dnstest.Start(t)
	s.SetTTL(60)
	s.SetA(host, "10.0.0.1")
	p := newProvider(t, s)
	c := useClock(p)
	wantPeers(t, p, "10.0.0.1:7946")
	s.SetA(host, "10.0.0.1", "10.0.0.2")
	c.pass(time.Second - 1)
	wantPeers(t, p, "10.0.0.1:7946")
	c.pass(1)
	wantPeers(t, p, "10.0.0.1:7946", "10.0.0.2:7946")
}

func TestNobodyIsKeptForTheSOAsTTLAndAtMostASecond(t *testing.T) {
	s := dnstest.Start(t)
	p, c := grownUp(t, s)
	s.SetTTL(60)
	wantNobody(t, p)
	s.SetA(host, "10.0.0.1")
	c.pass(time.Second - 1)
	wantNobody(t, p)
	require.Len(t, s.Queries(), 1)
	c.pass(1)
	wantPeers(t, p, "10.0.0.1:7946")

	for what, change := range map[string]func(soa *dns.SOA) []dns.RR{
		"the SOA's own TTL is smaller": func(soa *dns.SOA) []dns.RR { soa.Hdr.Ttl = 0; return []dns.RR{soa} },
		"its minimum is smaller":       func(soa *dns.SOA) []dns.RR { soa.Minttl = 0; return []dns.RR{soa} },
		"no SOA":                       func(*dns.SOA) []dns.RR { return nil },
	} {
		s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
			m := s.Answer(q, false)
			m.Ns = change(m.Ns[0].(*dns.SOA))
			return w.WriteMsg(m) == nil
		})
		s.SetA(host)
		c.pass(time.Hour)
		s.Queries()
		wantNobody(t, p)
		wantNobody(t, p)
		require.Len(t, s.Queries(), 2, what)
	}
}

func TestAFailureIsNotKeptAndNoAnswerOutlivesItsTTLForIt(t *testing.T) {
	s := dnstest.Start(t)
	p, c := grownUp(t, s)
	s.SetTTL(5)
	s.SetA(host, "10.0.0.1")
	wantPeers(t, p, "10.0.0.1:7946")
	s.Fail(dns.RcodeServerFailure)
	wantPeers(t, p, "10.0.0.1:7946")
	c.pass(5 * time.Second)
	require.Empty(t, wantFailure(t, p, "SERVFAIL"))
	s.Fail(dns.RcodeSuccess)
	wantPeers(t, p, "10.0.0.1:7946")
}

func TestNamesThatAServerInventsDoNotFillTheMemory(t *testing.T) {
	var c cache
	now := time.Unix(1, 0)
	c.get(question{}, now)
	for i := range 3 * maxEntries {
		c.put(question{fmt.Sprint(i), dns.TypeA}, answer{ttl: time.Hour}, now)
		require.LessOrEqual(t, len(c.entries), maxEntries)
	}
	c.put(question{"late", dns.TypeA}, answer{ttl: time.Hour}, now.Add(time.Hour))
	_, ok := c.get(question{"late", dns.TypeA}, now.Add(time.Hour))
	require.True(t, ok)
}
