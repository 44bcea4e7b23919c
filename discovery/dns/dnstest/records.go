package dnstest

import (
	"net"
	"strconv"

	"github.com/miekg/dns"
)

// SetTTL makes records that are set from now on, and all negative answers, last
// that many seconds. At first that is 0: nobody keeps them.
func (s *Server) SetTTL(seconds uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ttl = seconds
}

// SetA makes these the name's A records: none, and it has none any more.
func (s *Server) SetA(name string, ips ...string) {
	s.t.Helper()
	s.setAddrs(name, dns.TypeA, ips, func(h dns.RR_Header, ip net.IP) dns.RR { return &dns.A{Hdr: h, A: ip.To4()} })
}

// SetAAAA makes these the name's AAAA records.
func (s *Server) SetAAAA(name string, ips ...string) {
	s.t.Helper()
	s.setAddrs(name, dns.TypeAAAA, ips, func(h dns.RR_Header, ip net.IP) dns.RR { return &dns.AAAA{Hdr: h, AAAA: ip.To16()} })
}

func (s *Server) setAddrs(name string, rrtype uint16, ips []string, record func(dns.RR_Header, net.IP) dns.RR) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var rrs []dns.RR
	for _, text := range ips {
		ip := net.ParseIP(text)
		if ip == nil || rrtype == dns.TypeA && ip.To4() == nil {
			s.t.Fatalf("dnstest: %q is no address for an %s record", text, dns.TypeToString[rrtype])
		}
		rrs = append(rrs, record(s.headerLocked(name, rrtype), ip))
	}
	s.setLocked(name, rrtype, rrs)
}

// SetSRV makes these the name's SRV records. A target is name:port, "." alone
// (the service is decidedly not there), or an address and a port, which get a
// name that has the address.
func (s *Server) SetSRV(name string, targets ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var rrs []dns.RR
	for _, target := range targets {
		rr := &dns.SRV{Hdr: s.headerLocked(name, dns.TypeSRV), Target: "."}
		if target != "." {
			host, port, err := net.SplitHostPort(target)
			if err != nil {
				s.t.Fatalf("dnstest: SRV target %q: %v", target, err)
			}
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				s.t.Fatalf("dnstest: SRV target %q: %v", target, err)
			}
			if ip := net.ParseIP(host); ip != nil {
				host = s.nameLocked(ip)
			}
			rr.Target, rr.Port = dns.Fqdn(host), uint16(n)
		}
		rrs = append(rrs, rr)
	}
	s.setLocked(name, dns.TypeSRV, rrs)
}

// nameLocked gives an address a name.
func (s *Server) nameLocked(ip net.IP) string {
	hex := make([]byte, 0, 32)
	for _, b := range ip.To16() {
		hex = append(hex, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
	}
	name := "ip-" + string(hex) + ".dnstest."
	if ip4 := ip.To4(); ip4 != nil {
		s.setLocked(name, dns.TypeA, []dns.RR{&dns.A{Hdr: s.headerLocked(name, dns.TypeA), A: ip4}})
	} else {
		s.setLocked(name, dns.TypeAAAA, []dns.RR{&dns.AAAA{Hdr: s.headerLocked(name, dns.TypeAAAA), AAAA: ip}})
	}
	return name
}

// SetCNAME makes the name an alias of target; an empty target takes that back.
func (s *Server) SetCNAME(name, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rrs []dns.RR
	if target != "" {
		rrs = append(rrs, &dns.CNAME{Hdr: s.headerLocked(name, dns.TypeCNAME), Target: dns.Fqdn(target)})
	}
	s.setLocked(name, dns.TypeCNAME, rrs)
}

func (s *Server) headerLocked(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: dns.Fqdn(name), Rrtype: rrtype, Class: dns.ClassINET, Ttl: s.ttl}
}

func (s *Server) setLocked(name string, rrtype uint16, rrs []dns.RR) {
	name = dns.CanonicalName(name)
	if len(rrs) == 0 {
		delete(s.records[name], rrtype)
		if len(s.records[name]) == 0 {
			delete(s.records, name)
		}
		return
	}
	if s.records[name] == nil {
		s.records[name] = map[uint16][]dns.RR{}
	}
	s.records[name][rrtype] = rrs
}

// Answer returns what the records say about query; a [Handler] may change it.
func (s *Server) Answer(query *dns.Msg, tcp bool) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(query)
	m.Authoritative = true
	size := dns.MinMsgSize
	if opt := query.IsEdns0(); opt != nil {
		size = int(opt.UDPSize())
		m.SetEdns0(4096, false)
	}
	if tcp {
		size = dns.MaxMsgSize
	}
	if s.rcode != dns.RcodeSuccess || len(query.Question) != 1 {
		m.Rcode = s.rcode
		if m.Rcode == dns.RcodeSuccess {
			m.Rcode = dns.RcodeFormatError
		}
		return m
	}
	s.fillLocked(m, query.Question[0])
	m.Compress = true
	// RFC 2181 section 9: an additional section that does not fit is left out,
	// and the answer is whole without it.
	if opt := m.IsEdns0(); m.Len() > size && len(m.Answer) > 0 {
		m.Extra = nil
		if opt != nil {
			m.Extra = []dns.RR{opt}
		}
	}
	m.Truncate(size)
	m.Compress = true
	return m
}

func (s *Server) fillLocked(m *dns.Msg, q dns.Question) {
	name := dns.CanonicalName(q.Name)
	for range 16 { // aliases
		cname := s.records[name][dns.TypeCNAME]
		if len(cname) == 0 || q.Qtype == dns.TypeCNAME {
			break
		}
		m.Answer = append(m.Answer, cname[0])
		name = dns.CanonicalName(cname[0].(*dns.CNAME).Target)
	}
	rrs := s.records[name][q.Qtype]
	m.Answer = append(m.Answer, rrs...)
	if len(rrs) == 0 {
		if s.records[name] == nil {
			m.Rcode = dns.RcodeNameError
		}
		m.Ns = append(m.Ns, &dns.SOA{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: s.ttl},
			Ns:  "ns.dnstest.", Mbox: "nobody.dnstest.", Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: s.ttl,
		})
	}
	glued := map[string]bool{}
	for _, rr := range rrs {
		srv, ok := rr.(*dns.SRV)
		if target := ""; ok {
			if target = dns.CanonicalName(srv.Target); !glued[target] {
				glued[target] = true
				m.Extra = append(m.Extra, s.records[target][dns.TypeA]...)
				m.Extra = append(m.Extra, s.records[target][dns.TypeAAAA]...)
			}
		}
	}
}
