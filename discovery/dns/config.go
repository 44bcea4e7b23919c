package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPort    = "53"
	defaultTimeout = 2 * time.Second
	minTimeout     = 10 * time.Millisecond
	maxTimeout     = 30 * time.Second
)

// Config is what a Provider is made from.
type Config struct {
	// DomainName is what is asked for: SRV records where its first two labels
	// begin with an underscore (_gokv._tcp.example.org), addresses otherwise.
	// Letters, digits, dashes, underscores; at most 253 bytes, 63 a label. A
	// dot at the end keeps the search domains from being tried. Needed.
	DomainName string

	// IPv6 takes AAAA records instead of A records, of the name or of the SRV
	// records' targets.
	IPv6 bool

	// Port is the peers' discovery port where SRV records do not say it: 1 to
	// 65535. Needed for a host name; without meaning for an SRV name.
	Port int

	// Server is the DNS server to ask: an IP address or a name, with :port or
	// without, which means 53; an IPv6 address with a port in brackets. A name
	// is looked up by the system each time. Default: those of /etc/resolv.conf.
	Server string

	// Timeout is how long one server has for one answer, TCP included: 10 ms to
	// 30 s. Default: what resolv.conf says, where its servers are asked, and
	// 2 s otherwise.
	Timeout time.Duration
}

// Validate reports every field that is wrong, a line each, named as gokv-node's
// setting is. It changes nothing.
func (c Config) Validate() error {
	var errs []error
	wrong := func(setting string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", setting, err))
		}
	}
	wrong("dns-domain", checkName(c.DomainName))
	switch {
	case c.Port == 0 && c.DomainName != "" && !isService(c.DomainName):
		wrong("dns-port", fmt.Errorf("0: needed, 1 to 65535, because %q is no SRV name (_service._proto.name)", c.DomainName))
	case c.Port < 0 || c.Port > 65535:
		wrong("dns-port", fmt.Errorf("%d: 1 to 65535", c.Port))
	}
	if c.Server != "" {
		_, err := serverAddr(c.Server)
		wrong("dns-server", err)
	}
	if c.Timeout != 0 && (c.Timeout < minTimeout || c.Timeout > maxTimeout) {
		wrong("dns-timeout", fmt.Errorf("%v: %v to %v", c.Timeout, minTimeout, maxTimeout))
	}
	return errors.Join(errs...)
}

// isService tells an SRV name, _service._proto.name, from a host name.
func isService(name string) bool {
	labels := strings.SplitN(strings.TrimSuffix(name, "."), ".", 3)
	return len(labels) == 3 && strings.HasPrefix(labels[0], "_") && strings.HasPrefix(labels[1], "_")
}

// checkName is stricter than DNS, which allows any byte: what is mistyped shall
// be told from what does not exist yet.
func checkName(name string) error {
	if name == "" {
		return errors.New("empty: a host name, or an SRV name like _gokv._tcp.example.org")
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return fmt.Errorf("%q: an address, not a name: static discovery takes those", name)
	}
	bare := strings.TrimSuffix(name, ".")
	if len(bare) > 253 {
		return fmt.Errorf("%q: %d bytes, at most 253", name, len(bare))
	}
	for label := range strings.SplitSeq(bare, ".") {
		switch {
		case label == "":
			return fmt.Errorf("%q: nothing between two dots, or before the first", name)
		case len(label) > 63:
			return fmt.Errorf("%q: the label %q has %d bytes, at most 63", name, label, len(label))
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Errorf("%q: the label %q begins or ends with a dash", name, label)
		}
		for _, r := range label {
			if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return fmt.Errorf("%q: %q is no letter from a to z, digit, dash or underscore (an international name in its xn-- form)", name, r)
			}
		}
	}
	return nil
}

// serverAddr returns the host:port that Config.Server stands for.
func serverAddr(server string) (string, error) {
	host, port := server, defaultPort
	if bare, ok := strings.CutPrefix(server, "["); ok && strings.HasSuffix(bare, "]") {
		host = strings.TrimSuffix(bare, "]")
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() {
			return "", fmt.Errorf("%q: %q is no IPv6 address", server, host)
		}
	} else if _, err := netip.ParseAddr(server); err != nil && strings.Contains(server, ":") {
		if host, port, err = net.SplitHostPort(server); err != nil {
			return "", fmt.Errorf("%q: neither host nor host:port", server)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%q: port %q is not a number from 1 to 65535", server, port)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() || ip.IsMulticast() {
			return "", fmt.Errorf("%q: %s is no address of a server", server, ip)
		}
	} else if strings.Contains(host, ":") {
		return "", fmt.Errorf("%q: %q is no IPv6 address", server, host)
	} else if err := checkName(host); err != nil {
		return "", fmt.Errorf("the host of %w", err)
	}
	return net.JoinHostPort(host, port), nil
}
