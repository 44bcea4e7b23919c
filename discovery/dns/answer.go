package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// maxAliases is how many CNAME records may lead to an address.
const maxAliases = 8

// question is a name, canonical and fully qualified, and a type of record.
type question struct {
	name  string
	qtype uint16
}

func (q question) String() string { return q.name + " " + dns.TypeToString[q.qtype] }

// answer is what a message says about a question. The zero value: that there is
// no such record, to be asked again each time.
type answer struct {
	addrs []netip.Addr            // of A or AAAA records
	srvs  []service               // of SRV records
	glue  map[string][]netip.Addr // addresses of SRV targets, by canonical name
	alias string                  // the name to ask for next: the message ends at an alias
	bad   []error                 // records that say what cannot be
	ttl   time.Duration           // the smallest of all records that were used
}

// service is an SRV record.
type service struct {
	target string // canonical
	port   uint16
}

// nobody tells an answer without records.
func (a answer) nobody() bool { return len(a.addrs) == 0 && len(a.srvs) == 0 && len(a.bad) == 0 }

var (
	// errStranger is a message that does not belong to the question: a late
	// answer to an earlier one, or somebody's guess.
	errStranger = errors.New("an answer to another question")
	errCut      = errors.New("an answer that is cut short even by TCP: some records are missing")
	errReferral = errors.New("a referral to other servers: it does not resolve names for others")
)

// rcodeError is a response code that is a failure.
type rcodeError int

func (e rcodeError) Error() string {
	if s, ok := dns.RcodeToString[int(e)]; ok {
		return s
	}
	return fmt.Sprintf("response code %d", int(e))
}

// parse takes what came from the network for an answer to query. A message that
// says of itself that it was cut short need not be whole in a datagram.
func parse(query *dns.Msg, raw []byte, datagram bool) (*dns.Msg, error) {
	var m dns.Msg
	bad := m.Unpack(raw) // the header is valid even so, and the question may be
	if len(raw) < 12 || m.Id != query.Id || !m.Response || m.Opcode != query.Opcode {
		return nil, errStranger
	}
	// Servers that refuse may leave the question out. To believe that of others
	// would make a header of 12 bytes an answer: nobody.
	refusal := m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError
	if !(refusal && len(m.Question) == 0) && !sameQuestion(query.Question, m.Question) {
		return nil, errStranger
	}
	if refusal || m.Truncated && datagram {
		return &m, nil
	}
	if bad != nil {
		return nil, fmt.Errorf("a malformed answer: %w", bad)
	}
	// Unpack takes a message that ends between two records for a whole one.
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		if want := binary.BigEndian.Uint16(raw[6+2*i:]); int(want) != len(section) {
			return nil, fmt.Errorf("a malformed answer: %d records of the %d announced", len(section), want)
		}
	}
	return &m, nil
}

func sameQuestion(a, b []dns.Question) bool {
	return len(a) == 1 && len(b) == 1 && a[0].Qtype == b[0].Qtype && a[0].Qclass == b[0].Qclass &&
		dns.CanonicalName(a[0].Name) == dns.CanonicalName(b[0].Name)
}

// read returns what m says about q, or why it says nothing.
func read(q question, m *dns.Msg) (answer, error) {
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return answer{}, rcodeError(m.Rcode)
	}
	a := answer{ttl: math.MaxInt64}
	name, err := a.follow(q, m.Answer)
	if err != nil {
		return answer{}, err
	}
	if m.Truncated {
		a.bad = append(a.bad, errCut)
	}
	others := 0
	for _, rr := range m.Answer {
		h := rr.Header()
		if h.Rrtype != q.qtype || h.Class != dns.ClassINET {
			continue
		}
		if dns.CanonicalName(h.Name) != name {
			others++
			continue
		}
		a.use(h)
		a.add(rr)
	}
	switch {
	case !a.nobody():
		a.addGlue(m.Extra)
		return a, nil
	case others > 0:
		return answer{}, fmt.Errorf("a malformed answer: %d records of other names and none of %s", others, name)
	}
	soa := findSOA(m.Ns)
	if m.Rcode == dns.RcodeSuccess && soa == nil {
		if name != q.name {
			a.alias = name // the server does not follow aliases: it did not look
			return a, nil
		}
		if !m.Authoritative && (!m.RecursionAvailable || hasType(m.Ns, dns.TypeNS)) {
			return answer{}, errReferral
		}
	}
	if soa == nil {
		a.ttl = 0
		return a, nil
	}
	// RFC 2308 section 5.
	a.use(&soa.Hdr)
	a.ttl = min(a.ttl, seconds(soa.Minttl))
	return a, nil
}

// follow returns the name that the aliases among rrs lead to from q's.
func (a *answer) follow(q question, rrs []dns.RR) (string, error) {
	aliases := map[string]*dns.CNAME{}
	for _, rr := range rrs {
		if c, ok := rr.(*dns.CNAME); ok && c.Hdr.Class == dns.ClassINET {
			aliases[dns.CanonicalName(c.Hdr.Name)] = c
		}
	}
	name := q.name
	for range maxAliases + 1 {
		c := aliases[name]
		if c == nil {
			return name, nil
		}
		if c.Target == "" {
			return "", fmt.Errorf("a malformed answer: %s is an alias of nothing", name)
		}
		a.use(&c.Hdr)
		name = dns.CanonicalName(c.Target)
	}
	return "", fmt.Errorf("more than %d aliases one after the other", maxAliases)
}

// use takes a record's TTL into account.
func (a *answer) use(h *dns.RR_Header) { a.ttl = min(a.ttl, seconds(h.Ttl)) }

// seconds is a TTL. RFC 2181 section 8: one with the highest bit set is zero.
func seconds(ttl uint32) time.Duration {
	if ttl > math.MaxInt32 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// add takes up an A, AAAA or SRV record.
func (a *answer) add(rr dns.RR) {
	switch rr := rr.(type) {
	case *dns.SRV:
		target := dns.CanonicalName(rr.Target)
		switch {
		case rr.Target == "":
			a.bad = append(a.bad, fmt.Errorf("the SRV record %s has no target", rr.Hdr.Name))
		case target == ".": // RFC 2782: decidedly not available
		case rr.Port == 0:
			a.bad = append(a.bad, fmt.Errorf("the SRV record %s %d %d 0 %s: port 0, must be 1 to 65535",
				rr.Hdr.Name, rr.Priority, rr.Weight, rr.Target))
		default:
			a.srvs = append(a.srvs, service{target, rr.Port})
		}
	default:
		if ip, err := address(rr); err != nil {
			a.bad = append(a.bad, err)
		} else {
			a.addrs = append(a.addrs, ip)
		}
	}
}

// addGlue takes up the addresses of SRV targets that came with the records.
func (a *answer) addGlue(extra []dns.RR) {
	if len(a.srvs) == 0 {
		return
	}
	wanted := map[string]bool{}
	for _, s := range a.srvs {
		wanted[s.target] = true
	}
	a.glue = map[string][]netip.Addr{}
	for _, rr := range extra {
		h := rr.Header()
		name := dns.CanonicalName(h.Name)
		if !wanted[name] || h.Class != dns.ClassINET || h.Rrtype != dns.TypeA && h.Rrtype != dns.TypeAAAA {
			continue
		}
		a.use(h)
		if ip, err := address(rr); err != nil {
			a.bad = append(a.bad, err)
		} else {
			a.glue[name] = append(a.glue[name], ip)
		}
	}
}

// address returns the address of an A or AAAA record, if a host can have it.
func address(rr dns.RR) (netip.Addr, error) {
	h := rr.Header()
	var raw net.IP
	switch rr := rr.(type) {
	case *dns.A:
		raw = rr.A
	case *dns.AAAA:
		raw = rr.AAAA
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return ip, fmt.Errorf("the %s record %s has no address", dns.TypeToString[h.Rrtype], h.Name)
	}
	if ip.Is4In6() && h.Rrtype == dns.TypeA {
		ip = ip.Unmap() // net.IP holds IPv4 addresses in 16 bytes too
	}
	if plain := ip.Unmap(); plain.IsUnspecified() || plain.IsMulticast() {
		return ip, fmt.Errorf("the %s record %s %s: no address of a host", dns.TypeToString[h.Rrtype], h.Name, ip)
	}
	return ip, nil
}

func findSOA(rrs []dns.RR) *dns.SOA {
	for _, rr := range rrs {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

func hasType(rrs []dns.RR, rrtype uint16) bool {
	for _, rr := range rrs {
		if rr.Header().Rrtype == rrtype {
			return true
		}
	}
	return false
}
