package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/tochemey/gokv/internal/auth"
)

// protoVersion is the version of the client protocol that the handshake tells.
const protoVersion = 1

// dialer makes proven connections to nodes.
type dialer struct {
	auth    *auth.Authenticator
	tls     *tls.Config
	timeout time.Duration
}

func newDialer(config Config) (*dialer, error) {
	a, err := auth.New(auth.Config{
		CAFile: config.CAFile, CertFile: config.CertFile, KeyFile: config.KeyFile,
		SecretFile: config.SecretFile, Secrets: config.Secrets,
		Insecure: config.Insecure, TLS: config.TLS, Logger: config.Logger,
	})
	if err != nil {
		return nil, err
	}
	c := a.ClientTLS(auth.ALPNClient)
	// Small first records are for browsers; here they cost a system call each.
	c.DynamicRecordSizingDisabled = true
	return &dialer{auth: a, tls: c, timeout: config.DialTimeout}, nil
}

// tlsFor names the host where certificates are verified by name.
func (d *dialer) tlsFor(host string) *tls.Config {
	c := d.tls.Clone()
	if c.ServerName == "" {
		if name, _, err := net.SplitHostPort(host); err == nil {
			c.ServerName = name
		}
	}
	return c
}

// dial connects over the scheme's transport and runs the handshake. The stream
// is closed where it fails.
func (d *dialer) dial(ctx context.Context, scheme, host string) (io.ReadWriteCloser, error) {
	if scheme == schemeQUIC {
		l, state, err := d.dialQUIC(ctx, host)
		if err != nil {
			return nil, auth.Classify(err)
		}
		return l, d.prove(ctx, l, l, state)
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	c := tls.Client(raw, d.tlsFor(host))
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(auth.Classify(err), raw.Close())
	}
	return c, d.prove(ctx, c, c, c.ConnectionState())
}

// prove runs the handshake, on the connection's first bytes in each direction.
func (d *dialer) prove(ctx context.Context, s auth.Stream, c io.Closer, state tls.ConnectionState) error {
	if _, err := d.auth.Connect(ctx, s, state, auth.RoleAdmin, auth.Hello{Proto: protoVersion}); err != nil {
		// The refusal is what matters, not how closing a refused connection ends.
		_ = c.Close()
		return err
	}
	return nil
}

// connect is dial within the dial's time, with an error that reads well.
func (d *dialer) connect(ctx context.Context, scheme, host string) (io.ReadWriteCloser, error) {
	limited, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	rw, err := d.dial(limited, scheme, host)
	if err == nil {
		return rw, nil
	}
	switch {
	case auth.ReasonOf(err) != auth.ReasonNone:
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case limited.Err() != nil, isTimeout(err):
		err = fmt.Errorf("no connection within %v", d.timeout)
	default:
		err = plain(err)
	}
	return nil, fmt.Errorf("%s: %w", scheme, err)
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// plain drops the address that net puts before each of its errors: ours stands
// there already, as the caller wrote it.
func plain(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("closed by the other side during the handshake")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// dialError is why an address has no connection: an error for each transport.
type dialError []error

func (e dialError) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, ", ")
}

func (e dialError) Unwrap() []error { return e }

// refusal says whether the address will refuse the next try for the same reason.
func (e dialError) refusal() bool {
	for _, err := range e {
		switch auth.ReasonOf(err) {
		case auth.ReasonNone, auth.Limit, auth.Timeout:
		default:
			return true
		}
	}
	return false
}
