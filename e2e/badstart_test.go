package e2e

import (
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth/authtest"
)

func writeFile(t *testing.T, file, text string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// What is wrong with a start is said in one line that names it.
func TestABadStartIsOneLineOnStderrAndAnExitStatus(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string { return writeFile(t, filepath.Join(dir, name), text) }
	short := base64.StdEncoding.EncodeToString(make([]byte, 16))

	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer udp.Close()
	usedTCP, usedUDP := tcp.Addr().String(), udp.LocalAddr().String()

	ca := authtest.NewCA(t)
	cert := ca.Issue(t, authtest.Leaf{})

	for name, c := range map[string]struct {
		flags []string
		env   string
		exit  int
		says  []string
	}{
		"an unknown flag":                {flags: []string{"--no-such-flag"}, exit: 2, says: []string{"no-such-flag"}},
		"an argument":                    {flags: []string{"stray"}, exit: 2, says: []string{"stray"}},
		"a bad duration":                 {flags: []string{"--sync-interval", "soon"}, exit: 2, says: []string{"sync-interval", "soon"}},
		"a value out of range":           {flags: []string{"--sync-interval", "1ms"}, exit: 2, says: []string{"sync-interval", "10ms"}},
		"a bad value in the environment": {env: "GOKV_SYNC_INTERVAL=soon", exit: 2, says: []string{"GOKV_SYNC_INTERVAL", "soon"}},
		"an unknown YAML key":            {flags: []string{"--config", file("key.yaml", "no-such-key: 1\n")}, exit: 2, says: []string{"key.yaml", "no-such-key"}},
		"YAML that is none":              {flags: []string{"--config", file("bad.yaml", "{")}, exit: 2, says: []string{"bad.yaml"}},
		"no configuration file":          {flags: []string{"--config", filepath.Join(dir, "absent.yaml")}, exit: 2, says: []string{"absent.yaml"}},
		"the peers' port in use":         {flags: []string{"--peer-addr", usedUDP}, exit: 1, says: []string{"peer-addr", usedUDP, "in use"}},
		"the clients' TCP port in use":   {flags: []string{"--client-addr", usedTCP}, exit: 1, says: []string{"client-addr", usedTCP, "in use"}},
		"the clients' UDP port in use":   {flags: []string{"--client-addr", usedUDP}, exit: 1, says: []string{"client-addr", usedUDP, "in use"}},
		"the HTTP port in use":           {flags: []string{"--http-addr", usedTCP}, exit: 1, says: []string{"http-addr", usedTCP, "in use"}},
		"an unreadable certificate":      {flags: []string{"--tls-ca", ca.File, "--tls-cert", filepath.Join(dir, "absent.pem"), "--tls-key", cert.Key}, exit: 1, says: []string{"absent.pem"}},
		"a certificate that is none":     {flags: []string{"--tls-ca", ca.File, "--tls-cert", file("none.pem", "nothing\n"), "--tls-key", cert.Key}, exit: 1, says: []string{"none.pem"}},
		"two of three TLS files":         {flags: []string{"--tls-ca", ca.File, "--tls-cert", cert.Cert}, exit: 2, says: []string{"tls-key"}},
		"a short secret":                 {flags: []string{"--secret-file", file("short", "# one\n"+short+"\n")}, exit: 1, says: []string{"short", "16", "32"}},
		"an empty secret file":           {flags: []string{"--secret-file", file("empty", "\n")}, exit: 1, says: []string{"empty"}},
		"no proof on an open address":    {flags: []string{"--client-addr", "0.0.0.0:0"}, exit: 1, says: []string{"client-addr", "insecure"}},
	} {
		t.Run(name, func(t *testing.T) {
			free := []string{"--peer-addr", "127.0.0.1:0", "--client-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0", "--log-level", "error"}
			cmd := exec.CommandContext(deadline(t), binaries.Node, append(free, c.flags...)...)
			cmd.Env = os.Environ()
			if c.env != "" {
				cmd.Env = append(cmd.Env, c.env)
			}
			r := runCommand(t, cmd)
			require.Equal(t, c.exit, r.exit, r.stderr)
			require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
			require.True(t, strings.HasPrefix(r.stderr, "gokv-node: "), r.stderr)
			for _, word := range c.says {
				require.Contains(t, r.stderr, word)
			}
			require.Empty(t, r.stdout)
		})
	}
}

func TestUnknownEnvironmentVariablesAreLeftAlone(t *testing.T) {
	injected := binaries // as Kubernetes does for a Service named gokv
	injected.Env = []string{"GOKV_PORT=tcp://10.0.0.1:7946", "GOKV_SERVICE_HOST=10.0.0.1", "GOKV_NAME=from-the-environment"}
	p, err := injected.StartNode(t.Context())
	require.NoError(t, err)
	defer p.Kill()
	require.NoError(t, p.WaitReady(deadline(t)))
	s, err := node{p, "a"}.status(t)
	require.NoError(t, err)
	require.Equal(t, "from-the-environment", s.Name)
}

// Wrong use and limits, through the command line.
func TestBadInputToGokvIsAnErrorAndAnExitStatus(t *testing.T) {
	a := startNode(t, "a", "--max-value-size", "1KiB")
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		exit int
		says string
	}{
		"an empty key":           {[]string{"put", "", "v"}, 2, "key"},
		"a key over the limit":   {[]string{"put", strings.Repeat("k", 4097), "v"}, 4, "4096"},
		"a value over the limit": {[]string{"put", "k", strings.Repeat("v", 1025)}, 4, "too large"},
		"an absent key":          {[]string{"get", "absent"}, 1, "key not found"},
		"an unknown command":     {[]string{"frobnicate"}, 2, "frobnicate"},
		"an unknown flag":        {[]string{"get", "--frob", "k"}, 2, "frob"},
		"no argument":            {[]string{"get"}, 2, "KEY"},
		"a missing file":         {[]string{"import", filepath.Join(dir, "absent")}, 2, "absent"},
		"a TTL that is none":     {[]string{"put", "k", "v", "--ttl", "soon"}, 2, "soon"},
		"touch of an absent key": {[]string{"touch", "absent", "--ttl", "1m"}, 1, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			r := a.gokv(t, c.args...)
			require.Equal(t, c.exit, r.exit, r.stderr)
			require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
			require.Contains(t, r.stderr, c.says)
		})
	}
	r := a.gokv(t, "exists", "absent")
	require.Equal(t, result{"false\n", "", 1}, r)
	r = runCommand(t, binaries.Command(deadline(t), freeTCP(t), "--timeout", "1s", "get", "k"))
	require.Equal(t, 3, r.exit, r.stderr)
}

func TestATruncatedImportReportsTheLineAndKeepsWhatCameBefore(t *testing.T) {
	a := startNode(t, "a")
	file := writeFile(t, filepath.Join(t.TempDir(), "cut.ndjson"), `{"key":"a","text":"1"}
{"key":"b","text":"2"}
{"key":"c","te`)
	r := a.gokv(t, "import", file)
	require.Equal(t, 2, r.exit, r.stderr)
	require.Contains(t, r.stderr, "line 3")
	require.Equal(t, "a\nb\n", a.must(t, "list", "--keys"))
}
