package dns

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(text)
	require.NoError(t, err)
	return r
}

// reply packs an answer to q with these records.
func reply(t testing.TB, q question, rcode int, answer, authority, extra []string) []byte {
	t.Helper()
	m := new(dns.Msg).SetRcode(newQuery(q, false), rcode)
	m.Id, m.Authoritative, m.Compress = 1, true, true
	for i, texts := range [][]string{answer, authority, extra} {
		for _, text := range texts {
			section := []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}[i]
			*section = append(*section, rr(t, text))
		}
	}
	raw, err := m.Pack()
	require.NoError(t, err)
	return raw
}

var questions = []question{{host + ".", dns.TypeA}, {host + ".", dns.TypeAAAA}, {srvName + ".", dns.TypeSRV}}

// understand is what happens to a packet from the network.
func understand(q question, raw []byte, datagram bool) (answer, error) {
	query := newQuery(q, true)
	query.Id = 1
	m, err := parse(query, raw, datagram)
	if err != nil {
		return answer{}, err
	}
	return read(q, m)
}

func TestNoTruncationOfAnAnswerIsTakenForAnAnswer(t *testing.T) {
	raw := reply(t, questions[2], dns.RcodeSuccess,
		[]string{"_gokv._tcp.gokv.test. 5 IN SRV 0 0 7101 n1.gokv.test.", "_gokv._tcp.gokv.test. 5 IN SRV 0 0 7102 n2.gokv.test."},
		nil, []string{"n1.gokv.test. 5 IN A 10.0.0.1", "n2.gokv.test. 5 IN A 10.0.0.2"})
	a, err := understand(questions[2], raw, true)
	require.NoError(t, err)
	require.Len(t, a.srvs, 2)
	for n := range raw {
		_, err := understand(questions[2], raw[:n], true)
		require.Error(t, err, "%d bytes of %d", n, len(raw))
	}
}

func FuzzAnswer(f *testing.F) {
	const soa = "test. 60 IN SOA ns.test. nobody.test. 1 60 60 60 30"
	seeds := [][]byte{
		reply(f, questions[0], dns.RcodeSuccess, []string{"gokv.test. 5 IN A 10.0.0.1", "gokv.test. 5 IN A 10.0.0.2"}, nil, nil),
		reply(f, questions[1], dns.RcodeSuccess, []string{"gokv.test. 5 IN AAAA fd00::1", "gokv.test. 5 IN AAAA ::ffff:10.0.0.1"}, nil, nil),
		reply(f, questions[0], dns.RcodeSuccess, []string{"gokv.test. 5 IN CNAME a.test.", "a.test. 3 IN CNAME b.test.", "b.test. 4 IN A 10.0.0.1"}, nil, nil),
		reply(f, questions[0], dns.RcodeSuccess, []string{"gokv.test. 5 IN CNAME a.test.", "a.test. 3 IN CNAME gokv.test."}, nil, nil),
		reply(f, questions[0], dns.RcodeSuccess, []string{"gokv.test. 5 IN CNAME a.test."}, nil, nil),
		reply(f, questions[0], dns.RcodeNameError, nil, []string{soa}, nil),
		reply(f, questions[1], dns.RcodeSuccess, nil, []string{soa}, nil),
		reply(f, questions[2], dns.RcodeServerFailure, nil, nil, nil),
		reply(f, questions[2], dns.RcodeSuccess, []string{"_gokv._tcp.gokv.test. 5 IN SRV 0 0 0 n1.test.", "_gokv._tcp.gokv.test. 5 IN SRV 0 0 1 ."}, nil, nil),
		reply(f, questions[2], dns.RcodeSuccess, []string{"_gokv._tcp.gokv.test. 5 IN SRV 0 0 7101 n1.test."}, nil, []string{"n1.test. 5 IN A 10.0.0.1", "n1.test. 5 IN AAAA fd00::1", "n2.test. 5 IN A 10.0.0.9"}),
	}
	for _, seed := range seeds {
		for kind := range questions {
			f.Add(seed, uint8(kind), true)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, kind uint8, datagram bool) {
		q := questions[int(kind)%len(questions)]
		a, err := understand(q, raw, datagram)
		if err != nil {
			require.Equal(t, answer{}, a, "a failure says nothing")
			return
		}
		var m dns.Msg
		bad := m.Unpack(raw)
		require.Equal(t, uint16(1), m.Id)
		require.True(t, m.Response)
		require.Contains(t, []int{dns.RcodeSuccess, dns.RcodeNameError}, m.Rcode)
		if bad == nil || !m.Truncated {
			require.NoError(t, bad)
			require.Len(t, m.Question, 1)
			require.Equal(t, q.name, dns.CanonicalName(m.Question[0].Name))
		}
		require.LessOrEqual(t, len(a.addrs)+len(a.srvs), len(m.Answer), "an invention")
		require.GreaterOrEqual(t, a.ttl, time.Duration(0))
		require.True(t, a.alias == "" || a.nobody())
		var set addrSet
		set.add(a.addrs, 7946)
		for _, s := range a.srvs {
			require.NotZero(t, s.port)
			require.NotEqual(t, ".", s.target)
			require.Equal(t, dns.CanonicalName(s.target), s.target)
			set.add(a.glue[s.target], s.port)
		}
		for _, addr := range set.addrs {
			ap, err := net.ResolveUDPAddr("udp", addr)
			require.NoError(t, err)
			require.False(t, ap.IP.IsUnspecified() || ap.IP.IsMulticast())
			require.NotZero(t, ap.Port)
		}
	})
}
