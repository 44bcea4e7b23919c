package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, yaml string, env map[string]string, args ...string) (options, error) {
	t.Helper()
	if yaml != "" {
		path := filepath.Join(t.TempDir(), "gokv.yaml")
		require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
		args = append(args, "--config", path)
	}
	var o options
	err := o.parse(args, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, new(bytes.Buffer))
	return o, err
}

func TestAFlagBeatsTheEnvironmentWhichBeatsTheFile(t *testing.T) {
	const file = "name: file\ncluster: file\nsync-interval: 2s\nmax-value-size: 4KiB\ninsecure: true\njoin: [10.0.0.1:1, 10.0.0.2:2]\n"
	env := map[string]string{"GOKV_NAME": "env", "GOKV_CLUSTER": "env", "GOKV_PORT": "tcp://10.0.0.9:7947", "GOKV_LOG_FORMAT": "json"}
	o, err := parse(t, file, env, "--name", "flag")
	require.NoError(t, err)
	require.Equal(t, "flag", o.Name)
	require.Equal(t, "env", o.Cluster)
	require.Equal(t, 2*time.Second, o.SyncInterval)
	require.Equal(t, int64(4096), o.MaxValueSize)
	require.True(t, o.Insecure)
	require.Equal(t, []string{"10.0.0.1:1", "10.0.0.2:2"}, o.Join)
	require.Equal(t, "json", o.logFormat.word)
	require.Equal(t, "127.0.0.1:7947", o.ClientAddr, "the default")
}

func TestWithoutAnythingTheDefaultsHold(t *testing.T) {
	o, err := parse(t, "", nil)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7946", o.PeerAddr)
	require.Equal(t, "127.0.0.1:7948", o.HTTPAddr)
	require.Equal(t, "gokv", o.Cluster)
	require.Equal(t, time.Second, o.SyncInterval)
	require.Equal(t, "info", o.logLevel.word)
}

func TestTheFileMayBeNamedByTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gokv.yaml")
	require.NoError(t, os.WriteFile(path, []byte("name: x\n"), 0o600))
	o, err := parse(t, "", map[string]string{"GOKV_CONFIG": path})
	require.NoError(t, err)
	require.Equal(t, "x", o.Name)
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string
		env  map[string]string
		args []string
		want []string
	}{
		"unknown flag":     {args: []string{"--nmae", "x"}, want: []string{"--nmae"}},
		"flag's value":     {args: []string{"--sync-interval", "soon"}, want: []string{"sync-interval", `"soon"`, "500ms"}},
		"out of range":     {args: []string{"--sync-interval", "1ms"}, want: []string{"sync-interval: 1ms: at least 10ms"}},
		"argument":         {args: []string{"start"}, want: []string{`"start"`}},
		"environment":      {env: map[string]string{"GOKV_MAX_VALUE_SIZE": "big"}, want: []string{"GOKV_MAX_VALUE_SIZE", `"big"`}},
		"unknown key":      {yaml: "name: x\nport: 1\n", want: []string{":2:", `unknown key "port"`}},
		"key's value":      {yaml: "log-level: loud\n", want: []string{"log-level", `"loud"`, "debug, info, warn, error"}},
		"key twice":        {yaml: "name: x\nname: y\n", want: []string{"name", "already defined"}},
		"no value":         {yaml: "name:\n", want: []string{":1:", "name", "no value"}},
		"a map":            {yaml: "name: {a: b}\n", want: []string{":1:", "name", "neither"}},
		"not YAML":         {yaml: "name: [\n", want: []string{"line"}},
		"no such file":     {args: []string{"--config", "/nonexistent/gokv.yaml"}, want: []string{"/nonexistent/gokv.yaml"}},
		"two wrong fields": {args: []string{"--join", "x", "--max-clock-skew", "1h"}, want: []string{`join: "x": not host:port`, "max-clock-skew: 1h0m0s: at most 1m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.yaml, c.env, c.args...)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestWhatStopsTheStartIsOneLine(t *testing.T) {
	var stderr bytes.Buffer
	require.Equal(t, exitUsage, run([]string{"--join", "x", "--max-clock-skew", "1h"}, new(bytes.Buffer), &stderr))
	require.Equal(t, "gokv-node: join: \"x\": not host:port; max-clock-skew: 1h0m0s: at most 1m0s\n", stderr.String())
}

func TestHelpTellsEverySetting(t *testing.T) {
	var o options
	var out bytes.Buffer
	require.ErrorIs(t, o.parse([]string{"--help"}, os.LookupEnv, &out), pflag.ErrHelp)
	for _, r := range new(options).table() {
		require.Contains(t, out.String(), "--"+r.Name)
	}
}
