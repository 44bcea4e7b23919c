package dns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/dns/dnstest"
)

func TestPeersAreTheAddressesOfAHostName(t *testing.T) {
	s := dnstest.Start(t)
	p := newProvider(t, s)
	wantNobody(t, p)
	s.SetA(host, "10.0.0.1", "10.0.0.2", "10.0.0.1")
	s.SetAAAA(host, "fd00::1")
	wantPeers(t, p, "10.0.0.1:7946", "10.0.0.2:7946")
	s.SetA(host, "10.0.0.3")
	wantPeers(t, p, "10.0.0.3:7946")
	s.SetA(host)
	wantNobody(t, p) // no A record: NODATA
	s.SetAAAA(host)
	wantNobody(t, p) // no record at all: NXDOMAIN
}

func TestIPv6TakesAAAARecordsInPlaceOfA(t *testing.T) {
	s := dnstest.Start(t)
	s.SetA(host, "10.0.0.1")
	s.SetAAAA(host, "fd00::1", "2001:db8::2")
	wantPeers(t, newProvider(t, s, ipv6), "[fd00::1]:7946", "[2001:db8::2]:7946")

	s.SetA("n1.gokv.test", "10.0.0.1")
	s.SetAAAA("n1.gokv.test", "fd00::1")
	s.SetSRV(srvName, "n1.gokv.test:7101")
	wantPeers(t, newProvider(t, s, asService, ipv6), "[fd00::1]:7101")
	wantPeers(t, newProvider(t, s, asService), "10.0.0.1:7101")
}

func TestTheServerMayBeReachedByIPv6(t *testing.T) {
	s := dnstest.StartAt(t, "[::1]:0")
	s.SetA(host, "10.0.0.1")
	wantPeers(t, newProvider(t, s), "10.0.0.1:7946")
}

func TestSRVRecordsGiveHostAndPort(t *testing.T) {
	s := dnstest.Start(t)
	p := newProvider(t, s, asService)
	wantNobody(t, p)
	s.SetA("n1.gokv.test", "10.0.0.1", "10.0.1.1")
	s.SetA("n2.gokv.test", "10.0.0.2")
	s.SetSRV(srvName, "n1.gokv.test:7101", "n2.gokv.test:7102", "n2.gokv.test:7103", "n2.gokv.test:7103")
	s.Queries()
	wantPeers(t, p, "10.0.0.1:7101", "10.0.1.1:7101", "10.0.0.2:7102", "10.0.0.2:7103")
	require.Equal(t, []string{srvName + ". SRV udp"}, s.Queries(), "the additional section holds the addresses")
}

func TestTargetsThatAreNotInTheAdditionalSectionAreLookedUp(t *testing.T) {
	s := dnstest.Start(t)
	for i := range 40 {
		s.SetA(fmt.Sprintf("n%d.gokv.test", i), fmt.Sprintf("10.0.0.%d", i+1))
	}
	s.SetCNAME("alias.gokv.test", "n7.gokv.test")
	s.SetSRV(srvName, "n0.gokv.test:7101", "n1.gokv.test:7101", "alias.gokv.test:7102")
	s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
		m := s.Answer(q, false)
		m.Extra = nil
		return w.WriteMsg(m) == nil
	})
	p := newProvider(t, s, asService)
	wantPeers(t, p, "10.0.0.1:7101", "10.0.0.2:7101", "10.0.0.8:7102")
}

func TestTargetsThatDoNotExistAreNoFailureAndThoseThatFailAre(t *testing.T) {
	s := dnstest.Start(t)
	s.SetA("n1.gokv.test", "10.0.0.1")
	s.SetSRV(srvName, "n1.gokv.test:7101", "gone.gokv.test:7102")
	p := newProvider(t, s, asService, impatient)
	wantPeers(t, p, "10.0.0.1:7101")

	s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if q.Question[0].Name != "gone.gokv.test." {
			return false
		}
		return w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)) == nil
	})
	require.Equal(t, []string{"10.0.0.1:7101"}, wantFailure(t, p, "gone.gokv.test. A", s.Addr(), "SERVFAIL"))

	s.Handle(func(_ dns.ResponseWriter, q *dns.Msg) bool { return q.Question[0].Name == "gone.gokv.test." })
	require.Equal(t, []string{"10.0.0.1:7101"}, wantFailure(t, p, "gone.gokv.test. A", s.Addr(), "timed out"))

	s.Handle(nil)
	wantPeers(t, p, "10.0.0.1:7101")
}

func TestAServiceThatIsDecidedlyNotThereIsNobody(t *testing.T) {
	s := dnstest.Start(t)
	s.SetSRV(srvName, ".")
	p := newProvider(t, s, asService)
	s.Queries()
	wantNobody(t, p)
	require.Len(t, s.Queries(), 1, "the root has no address to be looked up")
}

func TestRecordsThatSayWhatCannotBeAreNamed(t *testing.T) {
	s := dnstest.Start(t)
	s.SetA("n1.gokv.test", "10.0.0.1")
	s.SetSRV(srvName, "n1.gokv.test:7101", "n1.gokv.test:0")
	got := wantFailure(t, newProvider(t, s, asService), srvName, "n1.gokv.test.", "port 0")
	require.Equal(t, []string{"10.0.0.1:7101"}, got)

	s.SetSRV(srvName, "n1.gokv.test:0")
	require.Empty(t, wantFailure(t, newProvider(t, s, asService), "port 0"), "and not nobody")

	s.SetA(host, "0.0.0.0", "10.0.0.2", "224.0.0.1")
	got = wantFailure(t, newProvider(t, s), "0.0.0.0: no address of a host", "2 failures")
	require.Equal(t, []string{"10.0.0.2:7946"}, got)
}

func TestAliasesAreFollowedAndLoopsEnd(t *testing.T) {
	s := dnstest.Start(t)
	s.SetCNAME(host, "a.gokv.test")
	s.SetCNAME("a.gokv.test", "b.gokv.test")
	wantNobody(t, newProvider(t, s))
	s.SetA("b.gokv.test", "10.0.0.1")
	wantPeers(t, newProvider(t, s), "10.0.0.1:7946")

	// A server that gives one link at a time and leaves the rest to who asks.
	s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
		m := s.Answer(q, false)
		m.Answer, m.Ns = m.Answer[:min(1, len(m.Answer))], nil
		return w.WriteMsg(m) == nil
	})
	wantPeers(t, newProvider(t, s), "10.0.0.1:7946")
	s.SetCNAME("b.gokv.test", host)
	wantFailure(t, newProvider(t, s), "aliases")
	s.Handle(nil)
	wantFailure(t, newProvider(t, s), "aliases")
}

func TestNamesAreTheSameInAnyCase(t *testing.T) {
	s := dnstest.Start(t)
	s.SetA("n1.gokv.test", "10.0.0.1")
	s.SetSRV(srvName, "N1.Gokv.TEST:7101")
	s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
		m := s.Answer(q, false)
		m.Question[0].Name = strings.ToUpper(m.Question[0].Name)
		for _, rr := range slices.Concat(m.Answer, m.Extra) {
			if rr.Header().Rrtype != dns.TypeOPT {
				rr.Header().Name = strings.ToUpper(rr.Header().Name)
			}
		}
		return w.WriteMsg(m) == nil
	})
	p := newProvider(t, s, func(c *Config) { c.DomainName = "_GOKV._tcp.Gokv.test" })
	wantPeers(t, p, "10.0.0.1:7101")
}

func TestThousandsOfAddressesComeByTCP(t *testing.T) {
	s := dnstest.Start(t)
	targets := make([]string, 5)
	for i := range targets {
		ips := make([]string, 2000)
		for k := range ips {
			ips[k] = fmt.Sprintf("10.%d.%d.%d", i, k/250, k%250+1)
		}
		targets[i] = fmt.Sprintf("n%d.gokv.test:7946", i)
		s.SetA(fmt.Sprintf("n%d.gokv.test", i), ips...)
	}
	s.SetSRV(srvName, targets...)
	p := newProvider(t, s, asService)
	got, err := discover(t, p)
	require.NoError(t, err)
	slices.Sort(got)
	require.Len(t, slices.Compact(got), 10_000)
	require.Contains(t, s.Queries(), "n4.gokv.test. A tcp")

	s.SetA("n5.gokv.test", "10.9.9.9", "10.9.9.10")
	s.SetSRV(srvName, append(targets, "n5.gokv.test:7946")...)
	require.Len(t, wantFailure(t, p, "more than 10000 addresses"), 10_000)
}

func TestAnAnswerThatDoesNotEvenFitIntoTCPIsNoWholeAnswer(t *testing.T) {
	s := dnstest.Start(t)
	ips := make([]string, 5000)
	for k := range ips {
		ips[k] = fmt.Sprintf("10.0.%d.%d", k/250, k%250+1)
	}
	s.SetA(host, ips...)
	got := wantFailure(t, newProvider(t, s), "cut short even by TCP")
	require.Greater(t, len(got), 3000)
}

func TestCloseEndsWhatIsInFlightAndAllLaterCalls(t *testing.T) {
	s := dnstest.Start(t)
	asked := make(chan struct{})
	var once sync.Once
	s.Handle(func(dns.ResponseWriter, *dns.Msg) bool { once.Do(func() { close(asked) }); return true })
	p := newProvider(t, s, func(c *Config) { c.Timeout = 30 * time.Second })
	ended := make(chan error)
	go func() {
		_, err := p.DiscoverPeers(context.Background())
		ended <- err
	}()
	<-asked
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	require.ErrorIs(t, <-ended, errClosed)
	require.NoError(t, <-closed)
	require.NoError(t, p.Close())
	_, err := p.DiscoverPeers(t.Context())
	require.ErrorIs(t, err, errClosed)
	require.ErrorIs(t, p.Initialize(t.Context()), errClosed)
}

func TestACallEndsWithItsContext(t *testing.T) {
	s := dnstest.Start(t)
	asked := make(chan struct{})
	var once sync.Once
	s.Handle(func(dns.ResponseWriter, *dns.Msg) bool { once.Do(func() { close(asked) }); return true })
	p := newProvider(t, s, func(c *Config) { c.Timeout = 30 * time.Second })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := p.DiscoverPeers(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, err = p.DiscoverPeers(ctx)
	require.ErrorIs(t, err, context.Canceled)
	for _, call := range []func(context.Context) error{p.Initialize, p.Register, p.Deregister} {
		require.ErrorIs(t, call(ctx), context.Canceled)
	}
}

func TestManyMayAskAtOnce(t *testing.T) {
	s := dnstest.Start(t)
	s.SetTTL(60)
	s.SetA("n1.gokv.test", "10.0.0.1")
	s.SetSRV(srvName, "n1.gokv.test:7101", "gone.gokv.test:7102", "n1.gokv.test:0")
	p := newProvider(t, s, asService)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 10 {
				got, err := p.DiscoverPeers(t.Context())
				if err == nil || len(got) != 1 {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	group.Wait()
}
