package nats

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Config is what a Provider is made from. The zero value of a field is its
// default; Server has none.
type Config struct {
	// Server lists the servers of one NATS system, comma separated:
	// nats://host:port or tls://host:port, with user:password@ or token@ before
	// the host where the server wants that. Without a scheme nats:// is meant,
	// without a port 4222. tls:// insists on TLS; nats:// uses it where the
	// server demands it, or a TLS file is given below. One server is used at a
	// time, drawn anew for each connection. Needed.
	Server string

	// Subject is where nodes meet: 1 to 255 printable ASCII bytes without
	// spaces and wildcards. Clusters may share it. Default gokv.discovery.
	Subject string

	// Timeout is how long answers are collected, counted from the moment that
	// the node's own has come back; so DiscoverPeers takes a little longer, and
	// on a young connection until nobody may be believed. From 10 ms to 5 s,
	// since a node gives DiscoverPeers 10 s. Default 1 s.
	Timeout time.Duration

	// MaxJoinAttempts is how often Initialize tries to connect, each time to
	// every server, before it gives up for good; from 1 to 1000. A node whose
	// connection is lost later tries for ever. Default 5.
	MaxJoinAttempts int

	// ReconnectWait lies between two attempts to connect, after the first
	// success with up to a quarter more, drawn by lot; from 10 ms to 1 m.
	// Default 2 s.
	ReconnectWait time.Duration

	// Host and DiscoveryPort are what peers are told to dial: an IP address or
	// a name, and a port from 1 to 65535. Default: those of Announce's Addr.
	Host          string
	DiscoveryPort int

	// Credentials is a .creds file (a user's JWT and seed), NKey the file of a
	// user's nkey seed: one of them at most. TLSCA is a file of PEM
	// certificates, one of which has signed the server's (default: the
	// system's); TLSCert and TLSKey, both or neither, are the client's own. All
	// are read again for each connection, so that they may be rotated.
	Credentials, NKey, TLSCA, TLSCert, TLSKey string

	// Logger is told when the connection is lost and when it is back, and
	// nothing for a single message. Default: slog.Default().
	Logger *slog.Logger
}

const (
	minTimeout, maxTimeout = 10 * time.Millisecond, 5 * time.Second
	minWait, maxWait       = 10 * time.Millisecond, time.Minute
	maxAttempts            = 1000
	maxSubjectBytes        = 255
)

func (c Config) withDefaults() Config {
	if c.Subject == "" {
		c.Subject = "gokv.discovery"
	}
	if c.Timeout == 0 {
		c.Timeout = time.Second
	}
	if c.MaxJoinAttempts == 0 {
		c.MaxJoinAttempts = 5
	}
	if c.ReconnectWait == 0 {
		c.ReconnectWait = 2 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Validate reports every field that is wrong, a line each, named as the setting
// of gokv-node that fills it. It reads the files that are named, and connects to
// nothing.
func (c Config) Validate() error {
	var errs []error
	wrong := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf(name+": "+format, args...))
	}
	c = c.withDefaults()
	if _, err := parseServers(c.Server); err != nil {
		errs = append(errs, err)
	}
	if err := checkSubject(c.Subject); err != nil {
		wrong("nats-subject", "%w", err)
	}
	within := func(name string, d, least, most time.Duration) {
		if d < least {
			wrong(name, "%v: at least %v", d, least)
		} else if d > most {
			wrong(name, "%v: at most %v", d, most)
		}
	}
	within("nats-timeout", c.Timeout, minTimeout, maxTimeout)
	if c.MaxJoinAttempts < 1 || c.MaxJoinAttempts > maxAttempts {
		wrong("nats-max-join-attempts", "%d: from 1 to %d", c.MaxJoinAttempts, maxAttempts)
	}
	within("nats-reconnect-wait", c.ReconnectWait, minWait, maxWait)
	if c.Host != "" {
		if err := checkHost(c.Host); err != nil {
			wrong("nats-host", "%w", err)
		}
	}
	if c.DiscoveryPort < 0 || c.DiscoveryPort > 65535 {
		wrong("nats-discovery-port", "%d: from 1 to 65535", c.DiscoveryPort)
	}
	if _, err := c.secrets(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// addr is what peers dial: announced, with what the configuration puts in place
// of its parts.
func (c Config) addr(announced string) (host string, port uint16, err error) {
	text := ""
	if announced != "" {
		if host, text, err = net.SplitHostPort(announced); err != nil {
			return "", 0, fmt.Errorf("the announced address %q: not host:port", announced)
		}
	}
	if c.Host != "" {
		host = c.Host
	}
	if c.DiscoveryPort != 0 {
		text = strconv.Itoa(c.DiscoveryPort)
	}
	if err := checkHost(host); err != nil {
		return "", 0, fmt.Errorf("the announced address %q: %w (nats-host gives another)", announced, err)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("the announced address %q: the port is not from 1 to 65535 (nats-discovery-port gives another)", announced)
	}
	return host, uint16(n), nil
}

func checkSubject(s string) error {
	if len(s) > maxSubjectBytes {
		return fmt.Errorf("%d bytes: at most %d", len(s), maxSubjectBytes)
	}
	for i := range len(s) {
		switch b := s[i]; {
		case b == '*' || b == '>':
			return fmt.Errorf("%q: a wildcard, and nodes meet on one subject", s)
		case b <= ' ' || b > '~':
			return fmt.Errorf("%q: printable ASCII without spaces", s)
		}
	}
	if strings.HasPrefix(s, "$") || strings.HasPrefix(s, "_") {
		return fmt.Errorf("%q: the server's own subjects begin with that", s)
	}
	for token := range strings.SplitSeq(s, ".") {
		if token == "" {
			return fmt.Errorf("%q: a part between two dots is empty", s)
		}
	}
	return nil
}

// checkHost says what keeps a host from being dialled by somebody else: that it
// is no IP address or name, or that it means another machine for each reader.
func checkHost(h string) error {
	if ip, err := netip.ParseAddr(h); err == nil {
		if ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
			return fmt.Errorf("%q: not an address that others can dial", h)
		}
		return nil
	}
	if h == "" || len(h) > 253 {
		return fmt.Errorf("a host of %d bytes: from 1 to 253", len(h))
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(h, "."), ".") {
		bad := strings.IndexFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		})
		if label == "" || len(label) > 63 || bad >= 0 {
			return fmt.Errorf("%q: neither an IP address nor a host name", h)
		}
	}
	return nil
}
