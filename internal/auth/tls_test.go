package auth

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth/authtest"
)

func mutual(ca *authtest.CA, f authtest.Files, instance uint64) Config {
	return Config{Cluster: "c", Instance: instance, CAFile: ca.File, CertFile: f.Cert, KeyFile: f.Key}
}

// shake runs only the TLS handshake and returns how each end saw it. The dialler
// reads once, since in TLS 1.3 it is done before the listener has judged it.
func shake(t *testing.T, server, client *tls.Config) (listener, dialler error) {
	t.Helper()
	// A socket and no pipe: both ends write at once when one refuses.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	b, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	a, err := ln.Accept()
	require.NoError(t, err)
	s, c := tls.Server(a, server), tls.Client(b, client)
	done := make(chan error, 1)
	go func() {
		err := s.Handshake()
		a.(*net.TCPConn).CloseWrite()
		done <- err
	}()
	dialler = c.Handshake()
	if dialler == nil {
		_, dialler = c.Read(make([]byte, 1))
	}
	listener = <-done
	a.Close()
	b.Close()
	return Classify(listener), Classify(dialler)
}

func TestMutualTLSWithRoles(t *testing.T) {
	ca := authtest.NewCA(t)
	node := mustNew(t, mutual(ca, ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:peer"}}), 1))
	require.Equal(t, MutualTLS, node.Mode())
	for _, c := range []struct {
		name string
		uris []string
		role Role
		ok   bool
	}{
		{"no role proves peer", nil, RolePeer, true},
		{"no role proves admin", nil, RoleAdmin, true},
		{"a foreign URI is no role", []string{"spiffe://cluster/x"}, RolePeer, true},
		{"peer proves peer", []string{"gokv:peer"}, RolePeer, true},
		{"peer does not prove admin", []string{"gokv:peer"}, RoleAdmin, false},
		{"admin proves admin", []string{"gokv:admin"}, RoleAdmin, true},
		{"admin does not prove peer", []string{"gokv:admin"}, RolePeer, false},
		{"both prove either", []string{"gokv:admin", "gokv:peer"}, RolePeer, true},
		{"rw proves neither", []string{"gokv:rw:app/"}, RoleAdmin, false},
		{"what a later version may mean proves nothing", []string{"gokv:owner"}, RolePeer, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dialler := mustNew(t, mutual(ca, ca.Issue(t, authtest.Leaf{URIs: c.uris}), 2))
			v := meet(t, node, dialler, []Role{RolePeer, RoleAdmin}, c.role, Hello{}, Hello{})
			if c.ok {
				require.NoError(t, v.listener)
				require.NoError(t, v.dialler)
				require.Equal(t, c.role, v.role)
				return
			}
			wantReason(t, v.listener, WrongRole, false)
			wantReason(t, v.dialler, WrongRole, true)
		})
	}
}

func TestAClientsCertificateCannotPoseAsANode(t *testing.T) {
	ca := authtest.NewCA(t)
	posing := mustNew(t, mutual(ca, ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:admin"}}), 1))
	client := mustNew(t, mutual(ca, ca.Issue(t, authtest.Leaf{}), 2))
	v := meet(t, posing, client, []Role{RoleAdmin}, RoleAdmin, Hello{}, Hello{})
	wantReason(t, v.dialler, WrongRole, false)
	wantReason(t, v.listener, WrongRole, true)
}

func TestCertificatesThatTLSRefuses(t *testing.T) {
	ca, other := authtest.NewCA(t), authtest.NewCA(t)
	node := mustNew(t, mutual(ca, ca.Issue(t, authtest.Leaf{}), 1))
	stranger := mustNew(t, mutual(other, other.Issue(t, authtest.Leaf{}), 2))
	// Trusts the node's CA, but shows a certificate of another.
	half := mustNew(t, Config{Cluster: "c", CAFile: ca.File, CertFile: stranger.cfg.CertFile, KeyFile: stranger.cfg.KeyFile})
	bare := mustNew(t, Config{Cluster: "c"})
	expired := mustNew(t, mutual(ca, ca.Issue(t, authtest.Leaf{NotAfter: time.Now().Add(-time.Minute)}), 3))
	serverOnly := mustNew(t, mutual(ca, ca.Issue(t, authtest.Leaf{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), 4))
	noCert := bare.ClientTLS(ALPNPeer)
	noCert.GetClientCertificate = nil

	for _, c := range []struct {
		name       string
		server     *tls.Config
		client     *tls.Config
		byListener bool
	}{
		{"the dialler does not trust the listener's CA", node.ServerTLS(ALPNPeer), stranger.ClientTLS(ALPNPeer), false},
		{"the listener does not trust the dialler's CA", node.ServerTLS(ALPNPeer), half.ClientTLS(ALPNPeer), true},
		{"an ephemeral certificate", node.ServerTLS(ALPNPeer), bare.ClientTLS(ALPNPeer), true},
		{"no certificate at all", node.ServerTLS(ALPNPeer), noCert, true},
		{"an expired one", node.ServerTLS(ALPNPeer), expired.ClientTLS(ALPNPeer), true},
		{"one for servers alone", node.ServerTLS(ALPNPeer), serverOnly.ClientTLS(ALPNPeer), true},
		{"an expired listener's", expired.ServerTLS(ALPNPeer), node.ClientTLS(ALPNPeer), false},
		{"a listener with an ephemeral one", bare.ServerTLS(ALPNPeer), node.ClientTLS(ALPNPeer), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			listener, dialler := shake(t, c.server, c.client)
			wantReason(t, listener, BadCertificate, !c.byListener)
			wantReason(t, dialler, BadCertificate, c.byListener)
		})
	}
}

func TestOnlyTLS13AndOurProtocolAreSpoken(t *testing.T) {
	a := mustNew(t, Config{Cluster: "c"})
	old := a.ClientTLS(ALPNPeer)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	listener, dialler := shake(t, a.ServerTLS(ALPNPeer), old)
	wantReason(t, listener, VersionMismatch, false)
	wantReason(t, dialler, VersionMismatch, true)

	listener, dialler = shake(t, a.ServerTLS(ALPNPeer), a.ClientTLS(ALPNClient))
	wantReason(t, listener, VersionMismatch, false)
	wantReason(t, dialler, VersionMismatch, true)
}

func TestCertificatesAndSecretsAreBothProvenWhereBothAreGiven(t *testing.T) {
	ca := authtest.NewCA(t)
	secret := NewSecret()
	with := mutual(ca, ca.Issue(t, authtest.Leaf{}), 1)
	with.Secrets = []string{secret}
	node := mustNew(t, with)
	also := mutual(ca, ca.Issue(t, authtest.Leaf{}), 2)
	also.Secrets = []string{secret}

	v := meet(t, node, mustNew(t, also), peerOnly, RolePeer, Hello{}, Hello{})
	require.NoError(t, v.dialler)

	also.Secrets = nil
	v = meet(t, node, mustNew(t, also), peerOnly, RolePeer, Hello{}, Hello{})
	wantReason(t, v.dialler, WrongSecret, false)
}

func TestAClientsOwnTLSVerifiesNames(t *testing.T) {
	ca := authtest.NewCA(t)
	node := mustNew(t, mutual(ca, ca.Issue(t, authtest.Leaf{Hosts: []string{"kv.example"}}), 1))
	pem, err := os.ReadFile(ca.File)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	f := ca.Issue(t, authtest.Leaf{URIs: []string{"gokv:admin"}})
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	require.NoError(t, err)
	own := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, ServerName: "kv.example"}

	client := mustNew(t, Config{TLS: own})
	v := meet(t, node, client, []Role{RoleAdmin}, RoleAdmin, Hello{}, Hello{})
	require.NoError(t, v.dialler)
	require.NoError(t, v.listener)
	require.Equal(t, RoleAdmin, v.role)

	own.ServerName = "other.example"
	listener, dialler := shake(t, node.ServerTLS(ALPNPeer), mustNew(t, Config{TLS: own}).ClientTLS(ALPNPeer))
	wantReason(t, dialler, BadCertificate, false)
	wantReason(t, listener, BadCertificate, true)
}

func TestFilesAreReadAgainWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ca := authtest.NewCA(t)
		files := ca.Issue(t, authtest.Leaf{NotAfter: time.Now().Add(time.Hour).Truncate(time.Second)})
		cfg := mutual(ca, files, 1)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		a := mustNew(t, cfg)
		first, ok := a.CertExpiry()
		require.True(t, ok)

		later := time.Now().Add(1000 * time.Hour).Truncate(time.Second)
		ca.Reissue(t, files, authtest.Leaf{NotAfter: later})
		at, _ := a.CertExpiry()
		require.Equal(t, first, at, "files are looked at once a second")
		<-time.After(reloadEvery)
		at, _ = a.CertExpiry()
		require.True(t, at.Equal(later), "%v", at)

		// The key of another certificate: between two writes, or a mistake.
		other := ca.Issue(t, authtest.Leaf{})
		key, err := os.ReadFile(other.Key)
		require.NoError(t, err)
		mine, err := os.ReadFile(files.Key)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(files.Key, key, 0o600))
		for range 3 {
			<-time.After(reloadEvery)
			at, _ = a.CertExpiry()
			require.True(t, at.Equal(later))
		}
		require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("cannot be loaded")), log.String())
		_, err = a.certificate()
		require.NoError(t, err, "the old certificate serves on")

		require.NoError(t, os.WriteFile(files.Key, mine, 0o600))
		<-time.After(reloadEvery)
		v := meet(t, a, mustNew(t, mutual(ca, other, 2)), peerOnly, RolePeer, Hello{}, Hello{})
		require.NoError(t, v.dialler)
	})
}

func TestAReplacedCAIsTheOneThatCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, next := authtest.NewCA(t), authtest.NewCA(t)
		node := mustNew(t, mutual(old, old.Issue(t, authtest.Leaf{}), 1))
		before := mustNew(t, mutual(old, old.Issue(t, authtest.Leaf{}), 2))
		v := meet(t, node, before, peerOnly, RolePeer, Hello{}, Hello{})
		require.NoError(t, v.listener)

		pem, err := os.ReadFile(next.File)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(old.File, pem, 0o600))
		next.Reissue(t, authtest.Files{Cert: node.cfg.CertFile, Key: node.cfg.KeyFile}, authtest.Leaf{})
		<-time.After(reloadEvery)

		after := mustNew(t, mutual(next, next.Issue(t, authtest.Leaf{}), 3))
		v = meet(t, node, after, peerOnly, RolePeer, Hello{}, Hello{})
		require.NoError(t, v.listener)
	})
}

func TestSecretFilesAreReadAgainToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/secret"
		old, next := NewSecret(), NewSecret()
		require.NoError(t, os.WriteFile(path, []byte(old+"\n"), 0o600))
		node := mustNew(t, Config{Cluster: "c", Instance: 1, SecretFile: path})
		require.NoError(t, os.WriteFile(path, []byte(next+"\n"+old+"\n"), 0o600))
		<-time.After(reloadEvery)
		v := meet(t, node, mustNew(t, Config{Cluster: "c", Secrets: []string{next}}), peerOnly, RolePeer, Hello{}, Hello{})
		require.NoError(t, v.listener)

		require.NoError(t, os.WriteFile(path, []byte("# none\n"), 0o600))
		<-time.After(reloadEvery)
		v = meet(t, node, mustNew(t, Config{Cluster: "c", Secrets: []string{next}}), peerOnly, RolePeer, Hello{}, Hello{})
		require.NoError(t, v.listener, "an emptied file opens no door")
	})
}

func TestEphemeralCertificatesAreSmallAndOneAProcess(t *testing.T) {
	a := mustNew(t, Config{Cluster: "c"})
	cert, err := a.ServerTLS(ALPNPeer).GetCertificate(nil)
	require.NoError(t, err)
	require.Less(t, len(cert.Certificate[0]), 400)
	again, err := a.ServerTLS(ALPNPeer).GetCertificate(nil)
	require.NoError(t, err)
	require.Same(t, cert, again)
	_, ok := a.CertExpiry()
	require.False(t, ok, "nobody has to renew it")
}

func TestNoProofIsMadeWithoutTLS13(t *testing.T) {
	_, err := newBinding(&tls.ConnectionState{Version: tls.VersionTLS12}, RolePeer, 1, 2, "c")
	require.ErrorContains(t, err, "needs TLS 1.3")
}
