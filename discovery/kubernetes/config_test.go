package kubernetes

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
)

func valid() Config {
	return Config{PodLabels: map[string]string{"app": "gokv"}, DiscoveryPortName: "peers"}
}

func TestWhatIsWrongIsNamedByItsSetting(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string // one a line, in the order of the fields
	}{
		"nothing":            {func(*Config) {}, nil},
		"all of it right":    {func(c *Config) { c.Namespace, c.PortName, c.Kubeconfig = "a-1", "clients", "nowhere" }, nil},
		"an empty label":     {func(c *Config) { c.PodLabels = map[string]string{"example.org/app": ""} }, nil},
		"nothing given":      {func(c *Config) { *c = Config{} }, []string{"kubernetes-pod-labels: empty", "kubernetes-discovery-port-name: empty"}},
		"namespace":          {func(c *Config) { c.Namespace = "Upper_case" }, []string{`kubernetes-namespace: "Upper_case": a lowercase`}},
		"namespace too long": {func(c *Config) { c.Namespace = strings.Repeat("a", 64) }, []string{`kubernetes-namespace: "aaaa`}},
		"label's key":        {func(c *Config) { c.PodLabels = map[string]string{"a b": "c"} }, []string{`kubernetes-pod-labels: "a b": `}},
		"label's value":      {func(c *Config) { c.PodLabels = map[string]string{"a": "b,c=d"} }, []string{`kubernetes-pod-labels: "a=b,c=d": `}},
		"peers' port":        {func(c *Config) { c.DiscoveryPortName = "7946" }, []string{`kubernetes-discovery-port-name: "7946": `}},
		"clients' port":      {func(c *Config) { c.PortName = "a-name-that-is-too-long" }, []string{`kubernetes-port-name: "a-name-that-is-too-long": `}},
		"everything at once": {func(c *Config) {
			*c = Config{Namespace: "-", PodLabels: map[string]string{"": "", "-": "-"}, DiscoveryPortName: "-", PortName: "-"}
		}, []string{`kubernetes-namespace: "-"`, `kubernetes-pod-labels: ""`, `kubernetes-pod-labels: "-"`, `kubernetes-pod-labels: "-=-"`, `kubernetes-discovery-port-name: "-"`, `kubernetes-port-name: "-"`}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := valid()
			c.change(&cfg)
			p, err := New(cfg)
			if c.want == nil {
				require.NoError(t, err)
				require.NoError(t, p.Close())
				return
			}
			require.Error(t, err)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(c.want), "%v", err)
			for i, want := range c.want {
				require.Contains(t, lines[i], want)
			}
		})
	}
}

func TestAWayToTheServerThatCannotBeReadIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for name, c := range map[string]struct{ kubeconfig, want string }{
		"no pod":          {"", "kubeconfig: none is given, and this is no pod"},
		"no file":         {filepath.Join(dir, "none"), "no such file"},
		"a directory":     {dir, "kubeconfig: "},
		"empty":           {file("empty", ""), "no configuration has been provided"},
		"no YAML":         {file("no-yaml", "a: b: c"), "kubeconfig: "},
		"no such context": {file("context", "apiVersion: v1\nkind: Config\ncurrent-context: a\n"), "specified context: a"},
		"no such CA": {file("ca", "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a}}]\n"+
			"clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1', certificate-authority: none.crt}}]\n"), filepath.Join(dir, "none.crt")},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := valid()
			cfg.Kubeconfig = c.kubeconfig
			p, err := New(cfg)
			require.NoError(t, err, "files are read by Initialize: a wrong one must not hide --version")
			err = p.Initialize(t.Context())
			require.ErrorIs(t, err, discovery.ErrPermanent)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, c.kubeconfig)
			_, err = p.DiscoverPeers(t.Context())
			require.ErrorIs(t, err, errEarly)
			require.NoError(t, p.Close())
		})
	}
}
