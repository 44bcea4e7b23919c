package auth

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth/authtest"
)

func TestNewSecretIsOneThatWeTake(t *testing.T) {
	s := NewSecret()
	raw, err := base64.StdEncoding.DecodeString(s)
	require.NoError(t, err)
	require.Len(t, raw, MinSecretBytes)
	require.NotEqual(t, s, NewSecret())
	_, err = parseSecretLine(s)
	require.NoError(t, err)
}

func TestSecretFilesSayWhatIsWrongAndWhere(t *testing.T) {
	good := NewSecret()
	short := base64.StdEncoding.EncodeToString(make([]byte, 16))
	for _, c := range []struct{ name, file, want string }{
		{"one", good, ""},
		{"windows line ends", good + "\r\n" + good + "\r\n", ""},
		{"comments and blank lines", "# ours\n\n  " + good + "  \n", ""},
		{"roles", "peer " + good + "\nadmin\t" + good, ""},
		{"URL alphabet without padding", base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xfb\xff", 16))), ""},
		{"empty", "", "holds no secret"},
		{"comments alone", "# nothing\n", "holds no secret"},
		{"short", good + "\n" + short, "line 2: the secret is 16 bytes, at least 32 are needed"},
		{"not base64", "correct horse!", "line 1: unknown role"},
		{"no alphabet", strings.Repeat("!", 50), "line 1: the secret is not base64"},
		{"unknown role", "owner " + good, `line 1: unknown role "owner"`},
		{"rw", "rw:app/ " + good, `line 1: role "rw" is not supported by this version: peer and admin are`},
		{"ro", "ro " + good, `role "ro" is not supported`},
		{"three words", "peer admin " + good, "line 1: 3 words"},
		{"too many", strings.Repeat(good+"\n", maxSecrets+1), "line 17: more than 16 secrets"},
		{"too long", base64.StdEncoding.EncodeToString(make([]byte, maxSecretBytes+1)), "the secret is 1025 bytes, the limit is 1024"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			require.NoError(t, os.WriteFile(path, []byte(c.file), 0o600))
			_, err := New(Config{Cluster: "c", SecretFile: path})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), good, "an error shows no secret")
		})
	}
}

func TestNewNamesWhatItCannotRead(t *testing.T) {
	ca := authtest.NewCA(t)
	f := ca.Issue(t, authtest.Leaf{})
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	require.NoError(t, os.WriteFile(junk, []byte("no PEM here"), 0o600))
	missing := filepath.Join(dir, "missing.pem")
	big := filepath.Join(dir, "big")
	require.NoError(t, os.WriteFile(big, make([]byte, maxSecretFile+1), 0o600))
	other := ca.Issue(t, authtest.Leaf{})

	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"half of the files", Config{CAFile: ca.File, CertFile: f.Cert}, "give all three files or none"},
		{"a missing file", Config{CAFile: missing, CertFile: f.Cert, KeyFile: f.Key}, "missing.pem: no such file"},
		{"a CA that is none", Config{CAFile: junk, CertFile: f.Cert, KeyFile: f.Key}, "junk.pem: holds no PEM certificate"},
		{"a certificate that is none", Config{CAFile: ca.File, CertFile: junk, KeyFile: f.Key}, "TLS certificate"},
		{"a directory", Config{CAFile: ca.File, CertFile: dir, KeyFile: f.Key}, "is a directory"},
		{"the key of another", Config{CAFile: ca.File, CertFile: f.Cert, KeyFile: other.Key}, "does not match"},
		{"a missing secret file", Config{SecretFile: missing}, "missing.pem: no such file"},
		{"a huge secret file", Config{SecretFile: big}, "more than 65536 bytes"},
		{"a bad secret", Config{Secrets: []string{NewSecret(), "c2hvcnQ="}}, "secret 2: the secret is 5 bytes"},
		{"a long cluster name", Config{Cluster: strings.Repeat("c", 65)}, "cluster name is 65 bytes, the limit is 64"},
		{"a cluster name with a line break", Config{Cluster: "a\nb"}, "not printable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.cfg)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestWithoutProofOnlyLoopbackIsAllowed(t *testing.T) {
	open := mustNew(t, Config{Cluster: "c"})
	require.Equal(t, None, open.Mode())
	for _, addr := range []string{"127.0.0.1:1", "127.9.9.9:1", "localhost:1", "LOCALHOST.:1", "[::1]:1", "[::ffff:127.0.0.1]:1"} {
		require.NoError(t, open.CheckAddr(addr), addr)
	}
	for _, addr := range []string{"0.0.0.0:1", ":1", "10.0.0.1:1", "[::]:1", "example.com:1", "nonsense"} {
		require.Error(t, open.CheckAddr(addr), addr)
	}
	require.ErrorContains(t, open.CheckAddr("10.0.0.1:7946"), "10.0.0.1:7946 is not loopback")
	require.NoError(t, mustNew(t, Config{Insecure: true}).CheckAddr("10.0.0.1:1"))
	require.NoError(t, mustNew(t, Config{Secrets: []string{NewSecret()}}).CheckAddr("10.0.0.1:1"))
}

func TestStatelessResetKeysOutliveTheProcess(t *testing.T) {
	secret := NewSecret()
	a := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
	b := mustNew(t, Config{Cluster: "c", Secrets: []string{secret}})
	require.Equal(t, a.StatelessResetKey("x:1"), b.StatelessResetKey("x:1"))
	require.NotEqual(t, a.StatelessResetKey("x:1"), a.StatelessResetKey("x:2"))
	other := mustNew(t, Config{Cluster: "c", Secrets: []string{NewSecret()}})
	require.NotEqual(t, a.StatelessResetKey("x:1"), other.StatelessResetKey("x:1"))

	ca := authtest.NewCA(t)
	f := ca.Issue(t, authtest.Leaf{})
	require.Equal(t, mustNew(t, mutual(ca, f, 1)).StatelessResetKey("x"), mustNew(t, mutual(ca, f, 2)).StatelessResetKey("x"))
}

func TestReasonsAreWhatMetricsLabel(t *testing.T) {
	require.Equal(t, []string{
		"wrong_secret", "wrong_cluster", "bad_certificate", "bad_proof", "reflected",
		"role", "malformed", "timeout", "version", "limit",
	}, Reasons())
	require.Equal(t, "none", Reason(200).String())
}
