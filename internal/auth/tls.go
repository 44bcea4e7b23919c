package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Application protocols. The name carries the version.
const (
	ALPNPeer   = "gokv-peer/1"
	ALPNClient = "gokv/1"
)

// newEphemeral makes a certificate for this process alone. Nobody verifies it:
// it gives the connection its keys, and the secret's proof binds to those.
func newEphemeral() (*tls.Certificate, error) {
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("ephemeral key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("ephemeral certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "gokv ephemeral"},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.AddDate(20, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, priv)
	if err != nil {
		return nil, fmt.Errorf("ephemeral certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("ephemeral certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: priv, Leaf: leaf}, nil
}

func baseTLS(alpn string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{alpn},
		// A resumed session would outlive a replaced certificate or CA, and
		// 0-RTT data could be replayed.
		SessionTicketsDisabled: true,
	}
}

// ServerTLS configures a listener. Certificates are looked up at each
// handshake, so one configuration serves through all reloads.
func (a *Authenticator) ServerTLS(alpn string) *tls.Config {
	c := baseTLS(alpn)
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.certificate() }
	if a.mode == MutualTLS {
		// Requested, not required, so that its absence too is refused by
		// verifyChain, with our reason.
		c.ClientAuth = tls.RequestClientCert
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			return a.verifyChain(cs.PeerCertificates, x509.ExtKeyUsageClientAuth)
		}
	}
	return c
}

// ClientTLS configures a dialler. With Config.TLS it is that one, restricted to
// TLS 1.3; whoever dials must then set ServerName if it is empty, as tls.Dialer
// and quic-go do by themselves.
func (a *Authenticator) ClientTLS(alpn string) *tls.Config {
	if a.cfg.TLS != nil {
		c := a.cfg.TLS.Clone()
		c.MinVersion = tls.VersionTLS13
		c.MaxVersion = 0
		c.NextProtos = []string{alpn}
		c.ClientSessionCache = nil
		return c
	}
	c := baseTLS(alpn)
	// Host names say nothing about a member that is found by gossip. The chain is
	// verified below, the role in Connect; an ephemeral certificate is not
	// verified at all, the secret's proof stands in for it.
	c.InsecureSkipVerify = true
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return a.certificate() }
	if a.mode == MutualTLS {
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			return a.verifyChain(cs.PeerCertificates, x509.ExtKeyUsageServerAuth)
		}
	}
	return c
}

func (a *Authenticator) certificate() (*tls.Certificate, error) {
	if a.ephemeral != nil {
		return a.ephemeral, nil
	}
	m := a.material()
	if m.cert == nil {
		return nil, errors.New("no certificate to listen with: the configuration is a client's")
	}
	return m.cert, nil
}

// verifyChain checks the other end's certificate against the CA as it is now.
func (a *Authenticator) verifyChain(chain []*x509.Certificate, usage x509.ExtKeyUsage) error {
	if len(chain) == 0 {
		return refused(BadCertificate, "the other end showed no certificate")
	}
	m := a.material()
	inter := x509.NewCertPool()
	for _, c := range chain[1:] {
		inter.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         m.pool,
		Intermediates: inter,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return &RefusedError{Reason: BadCertificate, Detail: certificateName(chain[0]), Err: err}
	}
	return nil
}

func certificateName(c *x509.Certificate) string {
	const most = 80
	name := c.Subject.String()
	if len(name) > most {
		name = name[:most] + "…"
	}
	return fmt.Sprintf("%q", name)
}
