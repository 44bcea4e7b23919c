package dns

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/dns/dnstest"
)

func TestAFailureNamesTheServerAndWhatItSaid(t *testing.T) {
	s := dnstest.Start(t)
	s.SetA(host, "10.0.0.1")
	p := newProvider(t, s)
	for rcode, says := range map[int]string{
		dns.RcodeServerFailure:  "SERVFAIL",
		dns.RcodeRefused:        "REFUSED",
		dns.RcodeFormatError:    "FORMERR",
		dns.RcodeNotImplemented: "NOTIMP",
		12:                      "response code 12",
	} {
		s.Fail(rcode)
		require.Empty(t, wantFailure(t, p, "gokv.test. A: "+s.Addr()+": "+says))
	}
	s.Fail(dns.RcodeSuccess)
	wantPeers(t, p, "10.0.0.1:7946")
}

func TestAServerThatIsDownIsAFailureAndMayComeBack(t *testing.T) {
	s := dnstest.Start(t)
	s.SetA(host, "10.0.0.1")
	p := newProvider(t, s)
	s.Stop()
	wantFailure(t, p, s.Addr()+": connection refused")
	s.Restart()
	wantPeers(t, p, "10.0.0.1:7946")
}

func TestSilenceIsAFailureWithTheSameTextEachTime(t *testing.T) {
	s := dnstest.Start(t)
	s.Handle(silent)
	p := newProvider(t, s, impatient)
	_, first := discover(t, p)
	_, second := discover(t, p)
	require.EqualError(t, first, "gokv.test. A: "+s.Addr()+": timed out")
	require.EqualError(t, second, first.Error())
	require.Len(t, s.Queries(), 2*defaultAttempts)
}

func TestADatagramThatIsLostIsSentAgain(t *testing.T) {
	s := dnstest.Start(t)
	s.SetA(host, "10.0.0.1")
	var asked atomic.Int32
	s.Handle(func(dns.ResponseWriter, *dns.Msg) bool { return asked.Add(1) == 1 })
	wantPeers(t, newProvider(t, s, impatient), "10.0.0.1:7946")
	require.EqualValues(t, 2, asked.Load())
}

func TestWhatIsCutShortIsAskedForByTCP(t *testing.T) {
	s := dnstest.Start(t)
	s.SetA(host, "10.0.0.1", "10.0.0.2")
	s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if w.RemoteAddr().Network() == "tcp" {
			return false
		}
		m := s.Answer(q, false)
		m.Truncated, m.Answer = true, m.Answer[:1]
		raw, err := m.Pack()
		if err != nil {
			return true
		}
		_, err = w.Write(raw[:len(raw)-16]) // cut within a record, as old servers do
		return err == nil
	})
	p := newProvider(t, s)
	s.Queries()
	wantPeers(t, p, "10.0.0.1:7946", "10.0.0.2:7946")
	require.Equal(t, []string{"gokv.test. A udp", "gokv.test. A tcp"}, s.Queries())
}

func TestATCPConnectionThatFailsIsAFailure(t *testing.T) {
	s := dnstest.Start(t)
	s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
		if w.RemoteAddr().Network() == "tcp" {
			return w.Close() == nil
		}
		m := s.Answer(q, false)
		m.Truncated = true
		return w.WriteMsg(m) == nil
	})
	wantFailure(t, newProvider(t, s, impatient), "by TCP", "closed before the answer's end")
	s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
		m := s.Answer(q, false)
		m.Truncated = true
		if w.RemoteAddr().Network() == "tcp" {
			m.Id++
		}
		return w.WriteMsg(m) == nil
	})
	wantFailure(t, newProvider(t, s, impatient), "by TCP", "an answer to another question")
}

func TestQuestionsHaveEDNSUnlessTheServerIsOlder(t *testing.T) {
	for _, rcode := range []int{dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers} {
		s := dnstest.Start(t)
		s.SetA(host, "10.0.0.1")
		var sizes []uint16
		s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
			opt := q.IsEdns0()
			if opt == nil {
				return false
			}
			sizes = append(sizes, opt.UDPSize())
			m := new(dns.Msg).SetRcode(q, rcode)
			if rcode > 15 {
				m.SetEdns0(512, false)
			} else {
				m.Question = nil // they often send a header alone
			}
			return w.WriteMsg(m) == nil
		})
		wantPeers(t, newProvider(t, s), "10.0.0.1:7946")
		s.Handle(nil)
		require.Equal(t, []uint16{1232}, sizes)
	}
}

func TestAnswersToOtherQuestionsAreIgnored(t *testing.T) {
	lies := map[string]func(m *dns.Msg){
		"ID":       func(m *dns.Msg) { m.Id++ },
		"name":     func(m *dns.Msg) { m.Question[0].Name = "other.test." },
		"type":     func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA },
		"question": func(m *dns.Msg) { m.Question = nil },
		"query":    func(m *dns.Msg) { m.Response = false },
		"opcode":   func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
	}
	for what, lie := range lies {
		t.Run(what, func(t *testing.T) {
			s := dnstest.Start(t)
			s.SetA(host, "10.0.0.1")
			var truth atomic.Bool
			s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
				m := s.Answer(q, false)
				m.Rcode, m.Answer = dns.RcodeNameError, nil
				lie(m)
				_ = w.WriteMsg(m)
				_, _ = w.Write([]byte{1, 2, 3})
				return !truth.Load() // else the right answer follows
			})
			p := newProvider(t, s, impatient)
			wantFailure(t, p, s.Addr()+": timed out, after answers to other questions alone")
			truth.Store(true)
			p = newProvider(t, s)
			wantPeers(t, p, "10.0.0.1:7946")
		})
	}
}

func TestMalformedAnswersAreFailuresAndNotNobody(t *testing.T) {
	garbage := map[string]func(m *dns.Msg) []byte{
		"random bytes behind the question": func(m *dns.Msg) []byte {
			m.Answer, m.Extra = nil, nil
			raw, _ := m.Pack()
			raw[7] = 3
			return append(raw, bytes.Repeat([]byte{0xff}, 40)...)
		},
		"fewer records than announced": func(m *dns.Msg) []byte {
			m.Answer, m.Extra = nil, nil
			raw, _ := m.Pack()
			raw[7] = 3
			return raw
		},
		"cut within a record": func(m *dns.Msg) []byte {
			m.Extra = nil
			raw, _ := m.Pack()
			return raw[:len(raw)-3]
		},
		"records of other names": func(m *dns.Msg) []byte {
			m.Answer[0].Header().Name = "other.test."
			raw, _ := m.Pack()
			return raw
		},
		"a referral": func(m *dns.Msg) []byte {
			m.Authoritative = false
			m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 9}, Ns: "ns.test."}}
			m.Answer = nil
			raw, _ := m.Pack()
			return raw
		},
		"an address without bytes": func(m *dns.Msg) []byte {
			m.Answer = []dns.RR{&dns.A{Hdr: *m.Answer[0].Header()}}
			raw, _ := m.Pack()
			return raw
		},
	}
	for what, make := range garbage {
		t.Run(what, func(t *testing.T) {
			s := dnstest.Start(t)
			s.SetA(host, "10.0.0.1")
			s.Handle(func(w dns.ResponseWriter, q *dns.Msg) bool {
				_, err := w.Write(make(s.Answer(q, false)))
				return err == nil
			})
			require.Empty(t, wantFailure(t, newProvider(t, s, impatient), host))
		})
	}
}

func TestEveryServerIsAskedBeforeTheCallEnds(t *testing.T) {
	w := newNetwork(t, 3)
	w.write("nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\noptions timeout:30\n")
	w.servers[0].Handle(silent)
	w.servers[1].Handle(silent)
	w.servers[2].SetA("one.test", "10.0.0.1")
	p := w.provider("one.test")
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	got, err := p.DiscoverPeers(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:7946"}, got)
}

func TestAServerThatDidNotAnswerComesLastInTheSameCall(t *testing.T) {
	w := newNetwork(t, 2)
	w.write("nameserver 127.0.0.1\nnameserver 127.0.0.2\nsearch a.test b.test c.test\n")
	w.servers[0].Handle(silent)
	w.servers[1].SetA("gokv.c.test", "10.0.0.1")
	p := w.provider("gokv")
	p.cfg.Timeout = 100 * time.Millisecond
	wantPeers(t, p, "10.0.0.1:7946")
	require.Equal(t, []string{"gokv.a.test. A udp"}, w.servers[0].Queries())
	require.Equal(t, []string{"gokv.a.test. A udp", "gokv.b.test. A udp", "gokv.c.test. A udp"}, w.servers[1].Queries())
}

func TestTheNextServerIsAskedWhereOneRefuses(t *testing.T) {
	w := newNetwork(t, 2)
	w.write("nameserver 127.0.0.1\nnameserver 127.0.0.2\n")
	w.servers[0].Fail(dns.RcodeRefused)
	w.servers[1].SetA("one.test", "10.0.0.1")
	wantPeers(t, w.provider("one.test"), "10.0.0.1:7946")
	w.servers[1].Fail(dns.RcodeServerFailure)
	wantFailure(t, w.provider("one.test"), w.servers[0].Addr()+": REFUSED; "+w.servers[1].Addr()+": SERVFAIL")
}
