package dns

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const resolvConf = "/etc/resolv.conf"

// What glibc holds resolv.conf's numbers to.
const (
	defaultAttempts = 2
	maxAttempts     = 5
)

// settings are which servers are asked, and how.
type settings struct {
	servers  []string // host:port, not empty
	attempts int      // over all servers
	timeout  time.Duration
	names    func(name string) []string // the fully qualified names that a name may stand for, in order
}

// configured are the settings for a server that Config names.
func configured(addr string) settings {
	return settings{
		servers:  []string{addr},
		attempts: defaultAttempts,
		timeout:  defaultTimeout,
		names:    func(name string) []string { return []string{dns.CanonicalName(name)} },
	}
}

// system reads settings from a file that may change while the node runs, as it
// does in containers and on laptops.
type system struct {
	path string
	port string // of the servers: the file names none

	mu      sync.Mutex
	text    []byte // what current was made from
	known   bool   // current is valid
	current settings
}

// read returns what the file says now, and whether it says something else than
// before.
func (s *system) read() (now settings, changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The whole text and not the file's time is compared: the file is small,
	// and a time may be too coarse to tell.
	text, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return settings{}, false, err
	}
	if s.known && bytes.Equal(text, s.text) {
		return s.current, false, nil
	}
	next, named, err := parseResolvConf(text, s.port)
	if err != nil {
		return settings{}, false, err
	}
	// Who rewrites the file in place leaves it empty for a moment; the loopback
	// addresses are for a system that never named a server.
	if s.known && !named {
		return s.current, false, nil
	}
	changed = s.known
	s.text, s.known, s.current = text, named, next
	return next, changed, nil
}

// parseResolvConf tells whether the text names a server besides.
func parseResolvConf(text []byte, port string) (s settings, named bool, err error) {
	// A time that the file states beats the one that stands before it here.
	text = append([]byte("options timeout:2\n"), text...)
	conf, err := dns.ClientConfigFromReader(bytes.NewReader(text))
	if err != nil {
		return settings{}, false, err
	}
	for _, server := range conf.Servers {
		ip, err := netip.ParseAddr(server)
		if err != nil {
			continue // as the C library does
		}
		if addr := net.JoinHostPort(ip.String(), port); !slices.Contains(s.servers, addr) {
			s.servers = append(s.servers, addr)
		}
	}
	named = len(s.servers) > 0
	if !named {
		s.servers = []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
	}
	s.attempts = min(conf.Attempts, maxAttempts)
	s.timeout = min(time.Duration(conf.Timeout)*time.Second, maxTimeout)
	s.names = func(name string) []string { return searched(conf, name) }
	return s, named, nil
}

// searched leaves out what is no name: what became too long, and what a search
// domain of "." makes.
func searched(conf *dns.ClientConfig, name string) []string {
	var names []string
	for _, n := range conf.NameList(name) {
		n = dns.CanonicalName(n)
		if _, ok := dns.IsDomainName(n); ok && !strings.HasSuffix(n, "..") && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}
