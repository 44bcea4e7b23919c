package nats

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/nats/natstest"
)

func file(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// refused initializes with one attempt and returns what comes of it, which must
// be permanent and must not hold the secrets.
func refused(t *testing.T, cfg Config, secrets ...string) error {
	t.Helper()
	var log transcript
	cfg.MaxJoinAttempts, cfg.Logger = 1, log.logger()
	err := prepared(t, cfg, "c", "10.0.0.1:1").Initialize(t.Context())
	require.ErrorIs(t, err, discovery.ErrPermanent)
	for _, s := range secrets {
		require.NotContains(t, err.Error(), s)
		require.NotContains(t, log.String(), s)
	}
	return err
}

// meet has two nodes find each other and go.
func meet(t *testing.T, cfg Config) {
	t.Helper()
	a := registered(t, cfg, "c", "10.0.0.1:1")
	b := registered(t, cfg, "c", "10.0.0.2:2")
	wantPeers(t, a, "10.0.0.2:2")
	wantPeers(t, b, "10.0.0.1:1")
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

func withUser(url, user string) string { return strings.Replace(url, "://", "://"+user+"@", 1) }

func TestAUserAndAPasswordOrATokenAreTakenFromTheURL(t *testing.T) {
	srv := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "gokv", "s3cret/word" })
	meet(t, quick(withUser(srv.URL, "gokv:s3cret%2Fword")))
	for _, bad := range []string{"gokv:wr0ng", "wr0ng"} {
		err := refused(t, quick(withUser(srv.URL, bad)), "wr0ng")
		require.ErrorContains(t, err, "Authorization Violation")
		require.ErrorContains(t, err, "the user of nats-server")
		require.ErrorContains(t, err, strings.TrimPrefix(srv.URL, "nats://"))
	}
	require.ErrorContains(t, refused(t, quick(srv.URL)), "or the lack of one")

	token := natstest.Start(t, func(o *server.Options) { o.Authorization = "t0ken" })
	meet(t, quick(withUser(token.URL, "t0ken")))
	refused(t, quick(withUser(token.URL, "wr0ng")), "wr0ng")
}

func TestANKeyIsProved(t *testing.T) {
	user := func() (seed []byte, public string) {
		pair, err := nkeys.CreateUser()
		require.NoError(t, err)
		seed, err = pair.Seed()
		require.NoError(t, err)
		public, err = pair.PublicKey()
		require.NoError(t, err)
		return seed, public
	}
	seed, public := user()
	other, _ := user()
	srv := natstest.Start(t, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} })
	cfg := quick(srv.URL)
	cfg.NKey = file(t, "seed", append([]byte("# of gokv\n"), append(seed, '\n')...))
	meet(t, cfg)
	cfg.NKey = file(t, "other", other)
	require.ErrorContains(t, refused(t, cfg, string(other)), "refuses nats-nkey "+cfg.NKey)

	plain := natstest.Start(t)
	cfg.Server = plain.URL
	require.Error(t, refused(t, cfg), "a server that asks for no proof")
}

// operator is the smallest system of operator, account and user.
type operator struct {
	key, account nkeys.KeyPair
	claims       *jwt.OperatorClaims
	resolver     *server.MemAccResolver
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	key, err := nkeys.CreateOperator()
	require.NoError(t, err)
	account, err := nkeys.CreateAccount()
	require.NoError(t, err)
	public := func(k nkeys.KeyPair) string {
		p, err := k.PublicKey()
		require.NoError(t, err)
		return p
	}
	token, err := jwt.NewOperatorClaims(public(key)).Encode(key)
	require.NoError(t, err)
	claims, err := jwt.DecodeOperatorClaims(token)
	require.NoError(t, err)
	token, err = jwt.NewAccountClaims(public(account)).Encode(key)
	require.NoError(t, err)
	o := &operator{key: key, account: account, claims: claims, resolver: &server.MemAccResolver{}}
	require.NoError(t, o.resolver.Store(public(account), token))
	return o
}

// creds is a .creds file of a new user, signed by account.
func (o *operator) creds(t *testing.T, account nkeys.KeyPair, change func(*jwt.UserClaims)) []byte {
	t.Helper()
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := user.PublicKey()
	require.NoError(t, err)
	claims := jwt.NewUserClaims(public)
	change(claims)
	token, err := claims.Encode(account)
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	text, err := jwt.FormatUserConfig(token, seed)
	require.NoError(t, err)
	return text
}

func TestACredentialsFileIsProvedAndReadAgainForEachConnection(t *testing.T) {
	o := newOperator(t)
	srv := natstest.Start(t, func(opts *server.Options) {
		opts.TrustedOperators, opts.AccountResolver = []*jwt.OperatorClaims{o.claims}, o.resolver
	})
	cfg := quick(srv.URL)
	good := o.creds(t, o.account, func(*jwt.UserClaims) {})
	cfg.Credentials = file(t, "good.creds", good)
	meet(t, cfg)

	stranger, err := nkeys.CreateAccount()
	require.NoError(t, err)
	for name, text := range map[string][]byte{
		"of an unknown account": o.creds(t, stranger, func(*jwt.UserClaims) {}),
		"that has expired":      o.creds(t, o.account, func(c *jwt.UserClaims) { c.Expires = time.Now().Add(-time.Hour).Unix() }),
	} {
		bad := cfg
		bad.Credentials = file(t, "bad.creds", text)
		require.ErrorContains(t, refused(t, bad), "refuses nats-creds "+bad.Credentials, name)
	}

	// The file is exchanged under a node that runs: wrong for a while, and never
	// for good.
	a := registered(t, cfg, "c", "10.0.0.1:1")
	require.NoError(t, os.WriteFile(cfg.Credentials, o.creds(t, stranger, func(*jwt.UserClaims) {}), 0o600))
	srv.Restart()
	require.Eventually(t, func() bool {
		_, err := ask(t, a)
		return err != nil && strings.Contains(err.Error(), "refuses nats-creds")
	}, patience, often)
	require.NoError(t, os.WriteFile(cfg.Credentials, good, 0o600))
	wantPeers(t, a)
}

// authority signs certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	dir  string
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{t, key, cert, t.TempDir()}
}

func (a *authority) write(name, block string, der []byte) string {
	path := filepath.Join(a.dir, name)
	require.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der}), 0o600))
	return path
}

func (a *authority) ca() string { return a.write("ca.pem", "CERTIFICATE", a.cert.Raw) }

// issue returns the files of a certificate and its key.
func (a *authority) issue(name string, usage x509.ExtKeyUsage) (cert, key string) {
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, a.cert, &pair.PublicKey, a.key)
	require.NoError(a.t, err)
	private, err := x509.MarshalECPrivateKey(pair)
	require.NoError(a.t, err)
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+".key", "EC PRIVATE KEY", private)
}

func TestTLSProvesTheServerAndTheClient(t *testing.T) {
	ca := newAuthority(t)
	serverCert, serverKey := ca.issue("server", x509.ExtKeyUsageServerAuth)
	srv := natstest.Start(t, func(o *server.Options) {
		pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
		require.NoError(t, err)
		pool := x509.NewCertPool()
		pool.AddCert(ca.cert)
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	})
	cfg := quick(strings.Replace(srv.URL, "nats://", "tls://", 1))
	cfg.TLSCA = ca.ca()
	cfg.TLSCert, cfg.TLSKey = ca.issue("client", x509.ExtKeyUsageClientAuth)
	meet(t, cfg)
	plain := cfg
	plain.Server = srv.URL // the files ask for TLS too
	meet(t, plain)

	unproved := cfg
	unproved.TLSCert, unproved.TLSKey = "", ""
	require.Error(t, refused(t, unproved), "without a certificate of the client")
	unknown := cfg
	unknown.TLSCA = newAuthority(t).ca()
	require.ErrorContains(t, refused(t, unknown), "certificate")
	system := quick(cfg.Server)
	require.ErrorContains(t, refused(t, system), "certificate")

	open := natstest.Start(t)
	down := cfg
	down.Server = open.URL
	require.ErrorContains(t, refused(t, down), "secure connection not available", "a server without TLS gets nothing in the clear")
}

// permitted runs a server with a user of these permissions.
func permitted(t *testing.T, p *server.Permissions) string {
	t.Helper()
	srv := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "gokv", Password: "secret", Permissions: p}}
	})
	return withUser(srv.URL, "gokv:secret")
}

func allow(subjects ...string) *server.SubjectPermission {
	return &server.SubjectPermission{Allow: subjects}
}

func TestTheSubjectAndInboxesAreAllThePermissionsThatANodeNeeds(t *testing.T) {
	meet(t, quick(permitted(t, &server.Permissions{
		Publish: allow("gokv.discovery", "_INBOX.>"), Subscribe: allow("gokv.discovery", "_INBOX.>"),
	})))
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	all := allow(">")
	named := func(err error, what string) {
		t.Helper()
		require.ErrorContains(t, err, "nats-subject gokv.discovery: not permitted")
		require.ErrorContains(t, err, what)
		require.NotContains(t, err.Error(), "secret")
	}

	url := permitted(t, &server.Permissions{Publish: all, Subscribe: allow("_INBOX.>")})
	named(refused(t, quick(url)), `Subscription to "gokv.discovery"`)

	url = permitted(t, &server.Permissions{Publish: allow("_INBOX.>"), Subscribe: all})
	p := connected(t, quick(url), "c", "10.0.0.1:1")
	named(p.Register(t.Context()), `Publish to "gokv.discovery"`)
	named(wantError(t, p), `Publish to "gokv.discovery"`)

	url = permitted(t, &server.Permissions{Publish: all, Subscribe: allow("gokv.discovery")})
	p = registered(t, quick(url), "c", "10.0.0.1:1")
	named(wantError(t, p), `Subscription to "_INBOX.`)

	url = permitted(t, &server.Permissions{Publish: allow("gokv.discovery"), Subscribe: all})
	p = registered(t, quick(url), "c", "10.0.0.1:1")
	named(wantError(t, p), `Publish to "_INBOX.`)
}

// A node that may not answer is not found by the others: its own questions fail
// and its log says why.
func TestANodeThatMayNotAnswerSaysSoOnce(t *testing.T) {
	srv := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "secret"},
			{Username: "mute", Password: "secret", Permissions: &server.Permissions{Publish: allow("gokv.discovery"), Subscribe: allow(">")}},
		}
	})
	var log transcript
	cfg := quick(withUser(srv.URL, "mute:secret"))
	cfg.Logger = log.logger()
	registered(t, cfg, "c", "10.0.0.1:1")
	asker := connected(t, quick(withUser(srv.URL, "all:secret")), "c", "10.0.0.2:2")
	for range 3 {
		wantPeers(t, asker)
	}
	require.Eventually(t, func() bool { return log.String() != "" }, patience, often)
	require.Equal(t, 1, strings.Count(log.String(), "does not let this node answer"), log.String())
}
