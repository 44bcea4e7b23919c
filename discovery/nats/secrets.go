package nats

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// maxFileBytes is far above what any of the files holds.
const maxFileBytes = 1 << 20

// secrets reads the files that the configuration names and returns what they
// make of a connection.
func (c Config) secrets() ([]nats.Option, error) {
	var opts []nats.Option
	var errs []error
	add := func(opt nats.Option, err error) {
		if err != nil {
			errs = append(errs, err)
		} else if opt != nil {
			opts = append(opts, opt)
		}
	}
	if c.Credentials != "" && c.NKey != "" {
		errs = append(errs, errors.New("nats-creds, nats-nkey: one of them at most"))
	}
	add(c.credentials())
	add(c.nkey())
	add(c.tls())
	return opts, errors.Join(errs...)
}

func (c Config) credentials() (nats.Option, error) {
	if c.Credentials == "" {
		return nil, nil
	}
	wrong := func(err error) (nats.Option, error) {
		return nil, fmt.Errorf("nats-creds: %s: %w", c.Credentials, err)
	}
	text, err := readFile(c.Credentials)
	if err != nil {
		return wrong(err)
	}
	jwt, err := nkeys.ParseDecoratedJWT(text)
	if err != nil || !looksLikeJWT(jwt) {
		return wrong(errors.New("no user's JWT in it"))
	}
	pair, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return wrong(errors.New("no user's seed in it"))
	}
	return nats.UserJWT(func() (string, error) { return jwt, nil }, pair.Sign), nil
}

// looksLikeJWT tells a JWT from another text; whether it is a valid one is the
// server's affair.
func looksLikeJWT(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if _, err := base64.RawURLEncoding.DecodeString(p); err != nil || p == "" {
			return false
		}
	}
	return len(parts) == 3
}

func (c Config) nkey() (nats.Option, error) {
	if c.NKey == "" {
		return nil, nil
	}
	wrong := func(err error) (nats.Option, error) {
		return nil, fmt.Errorf("nats-nkey: %s: %w", c.NKey, err)
	}
	text, err := readFile(c.NKey)
	if err != nil {
		return wrong(err)
	}
	pair, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return wrong(errors.New("no user's nkey seed in it (SU…)"))
	}
	public, err := pair.PublicKey()
	if err != nil {
		return wrong(err)
	}
	return nats.Nkey(public, pair.Sign), nil
}

func (c Config) tls() (nats.Option, error) {
	if c.TLSCA == "" && c.TLSCert == "" && c.TLSKey == "" {
		return nil, nil
	}
	var errs []error
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCA != "" {
		text, err := readFile(c.TLSCA)
		cfg.RootCAs = x509.NewCertPool()
		if err == nil && !cfg.RootCAs.AppendCertsFromPEM(text) {
			err = errors.New("no PEM certificate in it")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("nats-tls-ca: %s: %w", c.TLSCA, err))
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New("nats-tls-cert, nats-tls-key: both or neither"))
	} else if c.TLSCert != "" {
		cert, certErr := readFile(c.TLSCert)
		if certErr != nil {
			errs = append(errs, fmt.Errorf("nats-tls-cert: %s: %w", c.TLSCert, certErr))
		}
		key, keyErr := readFile(c.TLSKey)
		if keyErr != nil {
			errs = append(errs, fmt.Errorf("nats-tls-key: %s: %w", c.TLSKey, keyErr))
		}
		if certErr == nil && keyErr == nil {
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				errs = append(errs, fmt.Errorf("nats-tls-cert: %s, nats-tls-key: %s: %w", c.TLSCert, c.TLSKey, err))
			}
			cfg.Certificates = []tls.Certificate{pair}
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return nats.Secure(cfg), nil
}

// readFile reads a small file; its errors do not repeat the name.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, reason(err)
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("over %d bytes", maxFileBytes)
	}
	return text, nil
}

func reason(err error) error {
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		return path.Err
	}
	return err
}
