package kubetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
)

// The files that kube-apiserver reads, in its working directory.
const (
	authority  = "ca.crt"
	serverCert = "apiserver.crt"
	serverKey  = "apiserver.key"
	accountKey = "service-accounts.key"
)

// makeIdentities makes an authority for this server alone, certificates of the server
// and of the administrator, and the key that signs the tokens of service accounts.
func (s *Server) makeIdentities() error {
	root, err := newAuthority()
	if err != nil {
		return fmt.Errorf("make a certificate authority: %w", err)
	}
	server, err := root.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("make the server's certificate: %w", err)
	}
	admin, err := root.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("make the administrator's certificate: %w", err)
	}
	_, signing, err := newKey()
	if err != nil {
		return fmt.Errorf("make the key of service accounts: %w", err)
	}
	for name, content := range map[string][]byte{
		authority: root.pem, serverCert: server.cert, serverKey: server.key, accountKey: signing,
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	s.Admin = &rest.Config{
		TLSClientConfig: rest.TLSClientConfig{CAData: root.pem, CertData: admin.cert, KeyData: admin.key},
		QPS:             -1,
	}
	return nil
}

// transport returns the administrator's way to the server, with connections of its
// own: client-go would keep and share them.
func (s *Server) transport() (*http.Transport, error) {
	config, err := rest.TLSConfigFor(s.Admin)
	if err != nil {
		return nil, err
	}
	return &http.Transport{TLSClientConfig: config}, nil
}

type certAuthority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

func newAuthority() (*certAuthority, error) {
	key, _, err := newKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kubetest"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &certAuthority{cert: cert, key: key, pem: encode("CERTIFICATE", der)}, nil
}

// identity is a certificate and its key, as PEM.
type identity struct {
	cert, key []byte
}

func (a *certAuthority) issue(template *x509.Certificate) (identity, error) {
	key, text, err := newKey()
	if err != nil {
		return identity{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := sign(template, a.cert, key.Public(), a.key)
	if err != nil {
		return identity{}, err
	}
	return identity{cert: encode("CERTIFICATE", der), key: text}, nil
}

// sign makes a certificate that is valid for a day, and for an hour already: a clock
// may have been set back.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	return x509.CreateCertificate(rand.Reader, template, parent, public, key)
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, encode("EC PRIVATE KEY", der), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
