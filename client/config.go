package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// Defaults of Config.
const (
	DefaultAddr        = "127.0.0.1:7947"
	DefaultTimeout     = 5 * time.Second
	DefaultDialTimeout = 2 * time.Second
)

// Config says where the cluster is and how to prove membership of it. The zero
// value is a client of a node on this host without any proof.
type Config struct {
	// Addrs are nodes' client addresses, tried in this order; default
	// 127.0.0.1:7947. host:port lets the client choose between QUIC and TLS over
	// TCP, quic://host:port and tls://host:port do not.
	Addrs []string
	// TLS is the caller's own configuration, for mutual TLS; its certificates
	// prove the client, its roots check the node. Not together with the files.
	TLS *tls.Config
	// CAFile, CertFile and KeyFile are mutual TLS from PEM files, all three.
	CAFile, CertFile, KeyFile string
	// SecretFile holds cluster secrets, one a line; Secrets are such lines.
	SecretFile string
	Secrets    []string
	// Insecure allows addresses that are not loopback without any of the above.
	Insecure bool
	// TLSFirst makes host:port try TLS over TCP first and QUIC only where that
	// fails, instead of measuring both: right for a program of a few calls.
	TLSFirst bool
	// Timeout of a call, retries included; default 5s, from 1ms. A context that
	// ends earlier wins.
	Timeout time.Duration
	// DialTimeout of one connection, its proof included; default 2s, from 1ms.
	DialTimeout time.Duration
	// Attempts is how often the addresses are gone through before a call fails;
	// default 0: until the call's time is up. 1 fails at once where none answers.
	Attempts int
	// MaxFrame is the longest frame sent or accepted, in bytes; default 16 MiB,
	// from 64 KiB to 1 GiB. It bounds a put's value.
	MaxFrame int
	// Logger gets connections' ends, at debug level; default: none.
	Logger *slog.Logger
}

const (
	schemeAny  = ""
	schemeQUIC = "quic"
	schemeTLS  = "tls"
)

// address is a parsed element of Addrs.
type address struct {
	text   string // as given
	scheme string
	host   string // host:port
}

// parseAddr reads host:port, quic://host:port or tls://host:port.
func parseAddr(s string) (address, error) {
	a := address{text: s, host: s}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		if scheme != schemeQUIC && scheme != schemeTLS {
			return a, fmt.Errorf("address %q: scheme %q is not supported, use host:port, quic://host:port or tls://host:port", s, scheme)
		}
		a.scheme, a.host = scheme, rest
	}
	host, port, err := net.SplitHostPort(a.host)
	if err != nil {
		var ae *net.AddrError
		if errors.As(err, &ae) {
			err = errors.New(ae.Err)
		}
		return a, fmt.Errorf("address %q: %w", s, err)
	}
	if host == "" {
		return a, fmt.Errorf("address %q: host is missing", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return a, fmt.Errorf("address %q: port %q is not a number from 1 to 65535", s, port)
	}
	return a, nil
}

// Validate names every field that is wrong. It changes nothing.
func (c Config) Validate() error {
	var errs []error
	for _, s := range c.Addrs {
		if _, err := parseAddr(s); err != nil {
			errs = append(errs, err)
		}
	}
	if c.TLS != nil && (c.CAFile != "" || c.CertFile != "" || c.KeyFile != "") {
		errs = append(errs, errors.New("TLS and certificate files are both given, one is enough"))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"Timeout", c.Timeout}, {"DialTimeout", c.DialTimeout}} {
		if d.value != 0 && d.value < time.Millisecond {
			errs = append(errs, wrong(d.name, "%v: at least 1ms", d.value))
		}
	}
	if c.Attempts < 0 {
		errs = append(errs, wrong("Attempts", "%d: at least 0", c.Attempts))
	}
	if c.MaxFrame != 0 && (c.MaxFrame < minFrame || c.MaxFrame > maxFrame) {
		errs = append(errs, wrong("MaxFrame", "%d: from %d to %d", c.MaxFrame, minFrame, maxFrame))
	}
	return inOneLine(errs)
}

// inOneLine joins what is wrong; nil elements and none at all are nothing wrong.
func inOneLine(errs []error) error {
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return invalid("client: %s", strings.Join(texts, "; "))
}

func wrong(field, format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{field}, args...)...)
}

// Bounds of MaxFrame.
const (
	minFrame = 64 << 10
	maxFrame = 1 << 30
)

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if len(c.Addrs) == 0 {
		c.Addrs = []string{DefaultAddr}
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = DefaultDialTimeout
	}
	if c.MaxFrame == 0 {
		c.MaxFrame = wire.MaxFrame
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
