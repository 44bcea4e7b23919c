package dns

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestResolvConfSaysWhomToAskAndHow(t *testing.T) {
	for _, c := range []struct {
		text     string
		servers  []string
		attempts int
		timeout  time.Duration
		names    []string // of "gokv.svc"
	}{
		{
			"nameserver 10.0.0.1\nnameserver fd00::1 # b\nnameserver 10.0.0.1\nnameserver ns.example\n; nameserver 10.9.9.9\n",
			[]string{"10.0.0.1:53", "[fd00::1]:53"},
			2, 2 * time.Second,
			[]string{"gokv.svc."},
		},
		{
			"search A.test b.test .\noptions ndots:5 timeout:7 attempts:4\nnameserver 10.0.0.1",
			[]string{"10.0.0.1:53"},
			4, 7 * time.Second,
			[]string{"gokv.svc.a.test.", "gokv.svc.b.test.", "gokv.svc."},
		},
		{
			"search a.test\noptions timeout:600 attempts:600 ndots:1\nnameserver fe80::1%lo\n",
			[]string{"[fe80::1%lo]:53"},
			5, 30 * time.Second,
			[]string{"gokv.svc.", "gokv.svc.a.test."},
		},
		{
			"domain a.test\n# options timeout:9\nsearch " + strings.Repeat("a.", 125) + "b c.test\n",
			[]string{"127.0.0.1:53", "[::1]:53"},
			2, 2 * time.Second,
			[]string{"gokv.svc.", "gokv.svc.c.test."},
		},
	} {
		s, _, err := parseResolvConf([]byte(c.text), "53")
		require.NoError(t, err)
		require.Equal(t, c.servers, s.servers, c.text)
		require.Equal(t, c.attempts, s.attempts)
		require.Equal(t, c.timeout, s.timeout)
		require.Equal(t, c.names, s.names("gokv.svc"))
		require.Equal(t, []string{"gokv.svc."}, s.names("gokv.svc."))
	}
}

func TestSearchDomainsAreTriedInOrderUntilOneHasRecords(t *testing.T) {
	w := newNetwork(t, 1)
	w.write("nameserver 127.0.0.1\nsearch a.test b.test c.test\noptions ndots:5\n")
	s := w.servers[0]
	s.SetAAAA("gokv.a.test", "fd00::1") // no A record: the search goes on
	s.SetA("gokv.b.test", "10.0.0.1")
	s.SetA("gokv.c.test", "10.0.0.2")
	p := w.provider("gokv")
	wantPeers(t, p, "10.0.0.1:7946")
	require.Equal(t, []string{"gokv.a.test. A udp", "gokv.b.test. A udp"}, s.Queries())

	s.SetA("n1.b.test", "10.0.0.3")
	s.SetSRV("_gokv._tcp.gokv.b.test", "n1.b.test:7101")
	wantPeers(t, w.provider("_gokv._tcp.gokv"), "10.0.0.3:7101")
	wantNobody(t, w.provider("gokv."))
}

func TestASearchDomainThatFailsLeavesTheAnswerOpen(t *testing.T) {
	w := newNetwork(t, 1)
	w.write("nameserver 127.0.0.1\nsearch a.test b.test\n")
	s := w.servers[0]
	s.Handle(func(rw dns.ResponseWriter, q *dns.Msg) bool {
		return q.Question[0].Name == "gokv.a.test." && rw.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)) == nil
	})
	p := w.provider("gokv")
	require.Empty(t, wantFailure(t, p, "gokv.a.test. A", "SERVFAIL"))
	s.SetA("gokv.b.test", "10.0.0.1")
	require.Equal(t, []string{"10.0.0.1:7946"}, wantFailure(t, p, "gokv.a.test. A", "SERVFAIL"))

	s.Queries()
	s.Handle(silent)
	p.cfg.Timeout = 50 * time.Millisecond
	wantFailure(t, p, "gokv.a.test. A", "timed out")
	for _, q := range s.Queries() {
		require.Equal(t, "gokv.a.test. A udp", q, "silence is not asked for other names")
	}
}

func TestAConfiguredServerIsAskedForTheNameAsItStands(t *testing.T) {
	w := newNetwork(t, 1)
	w.servers[0].SetA("gokv", "10.0.0.1")
	p := newProvider(t, w.servers[0], func(c *Config) { c.DomainName = "gokv" })
	wantPeers(t, p, "10.0.0.1:7946")
	require.Equal(t, []string{"gokv. A udp"}, w.servers[0].Queries())
}

func TestResolvConfIsReadAgainWhenItChanges(t *testing.T) {
	w := newNetwork(t, 2)
	for i, s := range w.servers {
		s.SetTTL(60)
		s.SetA("gokv.a.test", "10.0.0.1"+string(rune('0'+i)))
	}
	w.servers[1].SetA("gokv.b.test", "10.0.0.20")
	w.write("nameserver 127.0.0.1\nsearch a.test\n")
	p := w.provider("gokv")
	wantPeers(t, p, "10.0.0.10:7946")
	w.write("nameserver 127.0.0.2\nsearch a.test\n")
	wantPeers(t, p, "10.0.0.11:7946")
	w.write("nameserver 127.0.0.2\nsearch b.test\n")
	wantPeers(t, p, "10.0.0.20:7946")

	// Half written, or gone for a moment: what was known holds.
	w.write("")
	wantPeers(t, p, "10.0.0.20:7946")
	require.NoError(t, os.Remove(w.path))
	wantPeers(t, p, "10.0.0.20:7946")
}

func TestWithoutResolvConfTheLoopbackAddressesAreAsked(t *testing.T) {
	w := newNetwork(t, 1)
	w.servers[0].SetA("gokv", "10.0.0.1")
	wantPeers(t, w.provider("gokv"), "10.0.0.1:7946")
}

func TestAResolvConfThatCannotBeReadIsAFailure(t *testing.T) {
	w := newNetwork(t, 1)
	p := w.provider("gokv")
	p.system.path = t.TempDir() // a directory
	wantFailure(t, p, "the system's DNS servers", p.system.path)
}
