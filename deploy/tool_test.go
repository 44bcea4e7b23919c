package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	chartDir     = "kubernetes/helm/gokv"
	kustomizeDir = "kubernetes/kustomize"
)

// The programs that the tests run are built once, into buildDir.
var (
	buildDir      string
	buildRenderer = sync.OnceValues(func() (string, error) { return build("../tools/deploy", ".", "deploy") })
	buildNode     = sync.OnceValues(func() (string, error) { return build("..", "./cmd/gokv-node", "gokv-node") })
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gokv-deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// build returns the program of a package, made in the module that dir is in.
func build(dir, pkg, name string) (string, error) {
	file := filepath.Join(buildDir, name)
	out, err := exec.Command("go", "build", "-C", dir, "-ldflags=-s -w", "-o", file, pkg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build -C %s %s: %w\n%s", dir, pkg, err, out)
	}
	return file, nil
}

// unfetched is what go says where a module is not there and cannot be got.
var unfetched = regexp.MustCompile(`GOPROXY=off|GOFLAGS=-mod=vendor|dial tcp|no such host|connection refused|i/o timeout|TLS handshake|network is unreachable|proxyconnect`)

// leftOut ends a test of which a component is not there.
func leftOut(t *testing.T, format string, args ...any) {
	t.Helper()
	why := "LEFT OUT: " + fmt.Sprintf(format, args...)
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func renderer(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	file, err := buildRenderer()
	if err != nil && unfetched.MatchString(err.Error()) {
		leftOut(t, "the modules of tools/deploy can not be fetched: %v", err)
	}
	require.NoError(t, err)
	return file
}

func nodeProgram(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	file, err := buildNode()
	require.NoError(t, err)
	return file
}

// render runs tools/deploy; the error holds what it complained about.
func render(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, renderer(t), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = errors.New(stderr.String())
	}
	return stdout.String(), err
}

// chart is how a release is rendered.
type chart struct {
	name, namespace string // default gokv and gokv
	values          string // YAML
	kubeconfig      string
}

func (c chart) args(t *testing.T, command string) []string {
	t.Helper()
	if c.name == "" {
		c.name = "gokv"
	}
	if c.namespace == "" {
		c.namespace = "gokv"
	}
	args := []string{command, "--name", c.name, "--namespace", c.namespace}
	if c.values != "" {
		file := filepath.Join(t.TempDir(), "values.yaml")
		require.NoError(t, os.WriteFile(file, []byte(c.values), 0o600))
		args = append(args, "--values", file)
	}
	if c.kubeconfig != "" {
		args = append(args, "--kubeconfig", c.kubeconfig)
	}
	return append(args, chartDir)
}

func (c chart) render(t *testing.T) manifests {
	t.Helper()
	text, err := render(t, c.args(t, "template")...)
	require.NoError(t, err)
	return decode(t, text)
}
