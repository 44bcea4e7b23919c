package auth

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// reloadEvery bounds how often the files are looked at. Handshakes trigger it,
// so a node that nobody talks to reads nothing.
const reloadEvery = time.Second

// material is what was loaded, immutable once built.
type material struct {
	cert    *tls.Certificate // from files; Leaf is set
	pool    *x509.CertPool
	keySeed [sha256.Size]byte // of the private key
	secrets []secret
	stamps  []stamp
}

// stamp recognises a changed file: by time and size, and by identity, since
// mounted secrets are replaced by renaming.
type stamp struct {
	path string
	info fs.FileInfo
}

func (s stamp) same(o stamp) bool {
	return s.path == o.path && s.info.Size() == o.info.Size() &&
		s.info.ModTime().Equal(o.info.ModTime()) && os.SameFile(s.info, o.info)
}

// secretFor is what a listener signs with: the first secret that proves the role
// and that the dialler knows, so that ends which share any secret meet while
// secrets are rotated. If the dialler knows none it is the first.
func (m *material) secretFor(role Role, known []keyID) *secret {
	var first *secret
	for i := range m.secrets {
		s := &m.secrets[i]
		if !s.allows(role) {
			continue
		}
		if slices.Contains(known, s.id) {
			return s
		}
		if first == nil {
			first = s
		}
	}
	return first
}

// hints are the keys that a dialler tells the listener to choose from.
func (m *material) hints(role Role) []keyID {
	var ids []keyID
	for i := range m.secrets {
		if s := &m.secrets[i]; s.allows(role) && len(ids) < maxHints {
			ids = append(ids, s.id)
		}
	}
	return ids
}

func (a *Authenticator) stat() ([]stamp, error) {
	var stamps []stamp
	for _, f := range []struct{ setting, path string }{
		{"tls-ca", a.cfg.CAFile}, {"tls-cert", a.cfg.CertFile}, {"tls-key", a.cfg.KeyFile}, {"secret-file", a.cfg.SecretFile},
	} {
		if f.path == "" {
			continue
		}
		info, err := os.Stat(f.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.setting, err)
		}
		stamps = append(stamps, stamp{f.path, info})
	}
	return stamps, nil
}

// load reads everything that the configuration names.
func (a *Authenticator) load() (*material, error) {
	// Before reading: a file that changes meanwhile is then read once more.
	stamps, err := a.stat()
	if err != nil {
		return nil, err
	}
	m := &material{stamps: stamps}
	if a.cfg.CertFile != "" {
		if err := m.loadTLS(a.cfg); err != nil {
			return nil, err
		}
	}
	if a.cfg.SecretFile != "" {
		data, err := readBounded(a.cfg.SecretFile, maxSecretFile)
		if err != nil {
			return nil, fmt.Errorf("secret file: %w", err)
		}
		if m.secrets, err = parseSecrets(data); err != nil {
			return nil, fmt.Errorf("secret file %s: %w", a.cfg.SecretFile, err)
		}
	}
	for i, line := range a.cfg.Secrets {
		s, err := parseSecretLine(line)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		m.secrets = append(m.secrets, s)
	}
	if len(m.secrets) > maxSecrets {
		return nil, fmt.Errorf("%d secrets, the limit is %d", len(m.secrets), maxSecrets)
	}
	return m, nil
}

func (m *material) loadTLS(cfg Config) error {
	const limit = 1 << 20
	ca, err := readBounded(cfg.CAFile, limit)
	if err != nil {
		return fmt.Errorf("TLS CA: %w", err)
	}
	m.pool = x509.NewCertPool()
	if !m.pool.AppendCertsFromPEM(ca) {
		return fmt.Errorf("TLS CA %s: holds no PEM certificate", cfg.CAFile)
	}
	certPEM, err := readBounded(cfg.CertFile, limit)
	if err != nil {
		return fmt.Errorf("TLS certificate: %w", err)
	}
	keyPEM, err := readBounded(cfg.KeyFile, limit)
	if err != nil {
		return fmt.Errorf("TLS key: %w", err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return fmt.Errorf("TLS certificate %s with key %s: %w", cfg.CertFile, cfg.KeyFile, err)
	}
	if cert.Leaf == nil {
		if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return fmt.Errorf("TLS certificate %s: %w", cfg.CertFile, err)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return fmt.Errorf("TLS key %s: %w", cfg.KeyFile, err)
	}
	m.keySeed = sha256.Sum256(der)
	m.cert = &cert
	return nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return data, nil
}

// material returns what to prove and verify with now. Files that have changed
// are loaded; if that fails, as it does between the writing of a certificate
// and of its key, what was loaded before stays and the next look tries again.
func (a *Authenticator) material() *material {
	cur := a.current.Load()
	if len(cur.stamps) == 0 {
		return cur
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if since := now.Sub(a.checked); since >= 0 && since < reloadEvery {
		return a.current.Load()
	}
	a.checked = now
	cur = a.current.Load()
	next, err := a.reload(cur)
	if err != nil {
		if text := err.Error(); text != a.failed {
			a.failed = text
			a.log.Warn("changed TLS or secret files cannot be loaded, the old ones stay in use", "error", err)
		}
		return cur
	}
	a.failed = ""
	if next != cur {
		a.current.Store(next)
		a.log.Info("TLS or secret files were reloaded")
	}
	return next
}

func (a *Authenticator) reload(cur *material) (*material, error) {
	stamps, err := a.stat()
	if err != nil {
		return nil, err
	}
	if slices.EqualFunc(stamps, cur.stamps, stamp.same) {
		return cur, nil
	}
	next, err := a.load()
	if err != nil {
		return nil, err
	}
	if len(cur.secrets) > 0 && len(next.secrets) == 0 {
		return nil, errors.New("no secret is left")
	}
	return next, nil
}
