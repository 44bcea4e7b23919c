package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config says how this end proves itself and what it demands of the other.
// Without files, secrets and TLS there is no proof at all: CheckAddr then
// allows only loopback addresses, unless Insecure.
type Config struct {
	// Cluster is the cluster's name, at most MaxCluster bytes. A node must set
	// it; a client may leave it empty and takes the listener's.
	Cluster string
	// Instance identifies this process in proofs; zero draws one.
	Instance uint64

	// CAFile, CertFile and KeyFile turn on mutual TLS; all three or none.
	// They are read again when they change.
	CAFile, CertFile, KeyFile string
	// SecretFile and Secrets hold cluster secrets in the form of NewSecret, each
	// perhaps after the role that it proves ("peer ", "admin "). All verify; the
	// first that both ends know signs. Those of the file come first.
	SecretFile string
	Secrets    []string
	// Insecure allows addresses beyond loopback without any proof.
	Insecure bool
	// TLS is a client's own configuration. It replaces the files; names and
	// chains are then verified as crypto/tls does.
	TLS *tls.Config

	// Logger takes a warning when changed files cannot be loaded; nil discards.
	Logger *slog.Logger
}

// Mode is what an Authenticator proves with.
type Mode uint8

const (
	// None: no proof. For loopback, and for networks somebody else protects.
	None Mode = iota
	// Secret: ephemeral certificates, and a proof that both ends know a secret.
	Secret
	// MutualTLS: both ends show certificates of one CA; with secrets besides,
	// they are proven too.
	MutualTLS
)

func (m Mode) String() string {
	switch m {
	case None:
		return "none"
	case Secret:
		return "secret"
	case MutualTLS:
		return "mutual-tls"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// Authenticator makes TLS configurations and runs handshakes. It is safe for
// concurrent use.
type Authenticator struct {
	cfg       Config // the caller's, with defaults
	mode      Mode
	log       *slog.Logger
	ephemeral *tls.Certificate // unless files or TLS are given

	current atomic.Pointer[material]
	mu      sync.Mutex // guards reloading
	checked time.Time  // when the files were last looked at
	failed  string     // the last reload error, so that it is logged once
}

// New reads what the configuration names. An error names the file, the line
// and the limit.
func New(cfg Config) (*Authenticator, error) {
	if err := (Hello{Cluster: cfg.Cluster}).Validate(); err != nil {
		return nil, err
	}
	files := 0
	for _, f := range []string{cfg.CAFile, cfg.CertFile, cfg.KeyFile} {
		if f != "" {
			files++
		}
	}
	switch {
	case files != 0 && files != 3:
		return nil, errors.New("mutual TLS needs the CA, the certificate and the key: give all three files or none")
	case files != 0 && cfg.TLS != nil:
		return nil, errors.New("give TLS files or a tls.Config, not both")
	}
	if cfg.Instance == 0 {
		cfg.Instance = randomInstance()
	}
	a := &Authenticator{cfg: cfg, log: cfg.Logger}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	m, err := a.load()
	if err != nil {
		return nil, err
	}
	a.current.Store(m)
	a.checked = time.Now()
	switch {
	case files != 0 || cfg.TLS != nil:
		a.mode = MutualTLS
	case len(m.secrets) > 0:
		a.mode = Secret
	}
	if a.mode != MutualTLS {
		if a.ephemeral, err = newEphemeral(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func randomInstance() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:])
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

// Mode tells what this end proves itself with.
func (a *Authenticator) Mode() Mode { return a.mode }

// Cluster is the configured cluster name.
func (a *Authenticator) Cluster() string { return a.cfg.Cluster }

// Instance is the configured or drawn instance.
func (a *Authenticator) Instance() uint64 { return a.cfg.Instance }

// CheckAddr refuses an address beyond loopback for an end that proves nothing.
// It takes host:port and does not resolve names: only "localhost" passes.
func (a *Authenticator) CheckAddr(addr string) error {
	if a.mode != None || a.cfg.Insecure {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	if isLoopback(host) {
		return nil
	}
	return fmt.Errorf("address %s is not loopback, and there is neither a secret nor TLS material: set one of them, or allow it with insecure", addr)
}

func isLoopback(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// CertExpiry is when the certificate from files runs out; false if there is
// none. It looks at the files, as a handshake does.
func (a *Authenticator) CertExpiry() (time.Time, bool) {
	m := a.material()
	if m.cert == nil {
		return time.Time{}, false
	}
	return m.cert.Leaf.NotAfter, true
}

// StatelessResetKey is the same for each process that is started with the same
// material at the same address. So a restarted node can end its predecessor's
// connections, which it cannot decrypt, at the first packet that arrives.
// Without material anybody can compute it, as anybody can do anything else.
func (a *Authenticator) StatelessResetKey(addr string) [32]byte {
	m := a.material()
	seed := sha256.Sum256([]byte(a.cfg.Cluster))
	switch {
	case len(m.secrets) > 0:
		seed = m.secrets[0].seed
	case m.cert != nil:
		seed = m.keySeed
	}
	key, err := derive(seed[:], "stateless-reset:"+addr, 32)
	if err != nil { // only a size beyond HKDF's limit
		rand.Read(seed[:])
		return seed
	}
	return [32]byte(key)
}
