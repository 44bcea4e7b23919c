package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/clustertest"
)

// patience bounds each wait; it is no expectation.
const patience = 90 * time.Second

var binaries clustertest.Binaries

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "NOT RUN: -short leaves the processes out")
		return 0
	}
	dir, err := os.MkdirTemp("", "gokv-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries, err = clustertest.Build(context.Background(), dir, raceDetector)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// need returns the path of a program; without it the test is skipped, or fails on
// CI.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program)
	}
	return path
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing, and CI is set: .ci/run is to install it", what)
	}
	t.Skipf("NOT RUN: %s IS NOT INSTALLED", strings.ToUpper(what))
}

// node is a process of this test; it ends with it.
type node struct {
	*clustertest.Process
	name string
}

// startNode starts a gokv-node. A race that it reports fails the test.
func startNode(t *testing.T, name string, flags ...string) node {
	t.Helper()
	p, err := binaries.StartNode(t.Context(), append([]string{"--name", name}, flags...)...)
	require.NoError(t, err)
	return adopt(t, name, p)
}

// adopt makes a process end with the test.
func adopt(t *testing.T, name string, p *clustertest.Process) node {
	t.Helper()
	n := node{p, name}
	t.Cleanup(func() {
		p.Kill()
		if strings.Contains(p.Log(), "DATA RACE") || strings.Contains(p.Log(), "panic: ") {
			t.Errorf("%s failed within:\n%s", name, p.Log())
		} else if t.Failed() {
			t.Logf("log of %s:\n%s", name, tail(p.Log(), 16<<10))
		}
	})
	return n
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

// startCluster starts a, b and c, and waits until each is ready and alive to all.
func startCluster(t *testing.T, flags ...string) (a, b, c node) {
	t.Helper()
	a = startNode(t, "a", flags...)
	b = startNode(t, "b", append(flags, "--join", a.Peer)...)
	c = startNode(t, "c", append(flags, "--join", a.Peer+","+b.Peer)...)
	for _, n := range []node{a, b, c} {
		require.NoError(t, n.WaitReady(deadline(t)))
	}
	for _, n := range []node{a, b, c} {
		eventually(t, func() error { return n.wantMembers(t, "a alive", "b alive", "c alive") })
	}
	return a, b, c
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

var errNotYet = errors.New("not yet")

func readFile(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

// eventually asks until there is no error.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	ctx := deadline(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, err, "still so after %v", patience)
		case <-tick.C:
		}
	}
}

// result is what a run of gokv came to.
type result struct {
	stdout, stderr string
	exit           int
}

// gokv runs the command line against the node.
func (n node) gokv(t *testing.T, args ...string) result {
	t.Helper()
	return runCommand(t, binaries.Command(deadline(t), n.Client, args...))
}

func runCommand(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError))
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs the command line, demands success, and returns what it printed.
func (n node) must(t *testing.T, args ...string) string {
	t.Helper()
	r := n.gokv(t, args...)
	require.Zero(t, r.exit, "gokv %s against %s: %s", strings.Join(args, " "), n.name, r.stderr)
	return r.stdout
}

// status is `gokv status -o json`.
type status struct {
	Name       string `json:"name"`
	RootDigest string `json:"root_digest"`
	Entries    count  `json:"entries"`
	Tombstones count  `json:"tombstones"`
	Version    string `json:"version"`
}

// count is a number that JSON may carry as a string, as 64-bit integers are.
type count uint64

func (c *count) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseUint(strings.Trim(string(b), `"`), 10, 64)
	*c = count(n)
	return err
}

func (n node) status(t *testing.T, flags ...string) (status, error) {
	t.Helper()
	r := n.gokv(t, append(flags, "status", "-o", "json")...)
	if r.exit != 0 {
		return status{}, fmt.Errorf("status of %s: exit %d: %s", n.name, r.exit, r.stderr)
	}
	var s status
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &s), r.stdout)
	return s, nil
}

// wantMembers says how `gokv members` differs from "name state", sorted.
func (n node) wantMembers(t *testing.T, want ...string) error {
	t.Helper()
	r := n.gokv(t, "members", "-o", "json")
	if r.exit != 0 {
		return fmt.Errorf("members of %s: exit %d: %s", n.name, r.exit, r.stderr)
	}
	var members []struct{ Name, State string }
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &members), r.stdout)
	var got []string
	for _, m := range members {
		got = append(got, m.Name+" "+m.State)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s knows %q, not %q", n.name, got, want)
	}
	return nil
}

// wantOneRoot waits until the nodes show one root digest and number of entries.
func wantOneRoot(t *testing.T, nodes ...node) status {
	t.Helper()
	var first status
	eventually(t, func() error {
		for i, n := range nodes {
			s, err := n.status(t)
			if err != nil {
				return err
			}
			if i == 0 {
				first = s
			}
			if s.RootDigest != first.RootDigest || s.Entries != first.Entries {
				return fmt.Errorf("%s: %s, %d entries; %s: %s, %d entries",
					nodes[0].name, first.RootDigest, first.Entries, n.name, s.RootDigest, s.Entries)
			}
		}
		return nil
	})
	return first
}

// metric returns a series' value from /metrics, given as it stands there with its
// labels.
func (n node) metric(t *testing.T, series string) float64 {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`)
	m := line.FindStringSubmatch(n.metrics(t))
	require.NotNil(t, m, "%s has no series %s", n.name, series)
	v, err := strconv.ParseFloat(m[1], 64)
	require.NoError(t, err)
	return v
}

func (n node) metrics(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), http.MethodGet, "http://"+n.HTTP+"/metrics", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

// wantLog waits until the node's log holds a line that matches.
func (n node) wantLog(t *testing.T, pattern string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)` + pattern)
	eventually(t, func() error {
		if !line.MatchString(n.Log()) {
			return fmt.Errorf("the log of %s has no line like %s", n.name, pattern)
		}
		return nil
	})
}
