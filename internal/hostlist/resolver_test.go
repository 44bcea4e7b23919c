package hostlist_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/hostlist"
)

// dnsServer answers A and AAAA queries on a loopback port from n, and returns a
// net.Resolver that asks it.
func dnsServer(t *testing.T, n *names) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	started, ended := make(chan struct{}), make(chan error, 1)
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }}
	server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(q)
		name := q.Question[0].Name
		ips, err := n.LookupNetIP(context.Background(), "ip", name[:len(name)-1])
		dnsErr := new(net.DNSError)
		switch {
		case err == nil:
		case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
			reply.Rcode = dns.RcodeNameError
		default:
			reply.Rcode = dns.RcodeServerFailure
		}
		for _, ip := range ips {
			switch {
			case ip.Is4() && q.Question[0].Qtype == dns.TypeA:
				reply.Answer = append(reply.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: ip.AsSlice()})
			case ip.Is6() && q.Question[0].Qtype == dns.TypeAAAA:
				reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET}, AAAA: ip.AsSlice()})
			}
		}
		_ = w.WriteMsg(reply)
	})
	go func() { ended <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown())
		require.NoError(t, <-ended)
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestNamesComeChangeAndGoInTheRealResolver(t *testing.T) {
	n := &names{}
	p, err := hostlist.NewWithResolver([]string{"seed.gokv.test.:7946"}, dnsServer(t, n))
	require.NoError(t, err)
	ask := func() ([]string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return p.DiscoverPeers(ctx)
	}

	addrs, err := ask()
	require.NoError(t, err, "a name that does not exist yet")
	require.Equal(t, []string{"seed.gokv.test.:7946"}, addrs)

	n.set("seed.gokv.test", "127.0.0.2", "::1")
	addrs, err = ask()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"127.0.0.2:7946", "[::1]:7946"}, addrs)

	n.set("seed.gokv.test", "127.0.0.3")
	addrs, err = ask()
	require.NoError(t, err)
	require.Equal(t, []string{netip.MustParseAddr("127.0.0.3").String() + ":7946"}, addrs)

	n.fail(true)
	addrs, err = ask()
	require.ErrorContains(t, err, "seed.gokv.test.:7946: lookup seed.gokv.test.")
	require.Empty(t, addrs)

	n.fail(false)
	n.set("seed.gokv.test")
	addrs, err = ask()
	require.NoError(t, err, "a name that is gone")
	require.Equal(t, []string{"seed.gokv.test.:7946"}, addrs)
}
