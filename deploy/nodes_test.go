package deploy

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loopback are the pods' addresses. Linux has all of them without being told.
var loopback = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}

// process is a gokv-node that was started as a pod's container would be.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer // read when it has ended
	http   string
	grace  time.Duration
}

// startPods runs the container of each pod. What is bound on all addresses of a pod
// is bound on that one, since these share a machine; extra overrides the settings.
func startPods(t *testing.T, m manifests, extra map[string]string) []*process {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "cluster.secret")
	random := make([]byte, 32)
	_, err := rand.Read(random)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(secret, []byte(base64.StdEncoding.EncodeToString(random)+"\n"), 0o400))

	var all []*process
	for i, ip := range loopback {
		env := environment(t, m, ip, fmt.Sprintf("%s-%d", m.set.Name, i))
		env["GOKV_CLIENT_ADDR"] = ip + env["GOKV_CLIENT_ADDR"]
		env["GOKV_HTTP_ADDR"] = ip + env["GOKV_HTTP_ADDR"]
		env["GOKV_SECRET_FILE"] = secret
		for name, value := range extra {
			env[name] = value
		}
		p := &process{
			cmd: exec.CommandContext(t.Context(), nodeProgram(t)), http: "http://" + env["GOKV_HTTP_ADDR"],
			grace: time.Duration(*m.set.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second,
		}
		p.cmd.Env = []string{"PATH=/nonexistent"}
		for name, value := range env {
			p.cmd.Env = append(p.cmd.Env, name+"="+value)
		}
		p.cmd.Stderr = &p.stderr
		require.NoError(t, p.cmd.Start())
		t.Cleanup(func() {
			if p.cmd.ProcessState == nil {
				require.NoError(t, p.cmd.Process.Kill())
				_ = p.cmd.Wait()
			}
			if t.Failed() {
				t.Logf("%s\n%s", p.http, p.stderr.String())
			}
		})
		all = append(all, p)
	}
	return all
}

// get returns what the node answers at a path, with status 0 for nothing.
func (p *process) get(path string) (int, string) {
	client := http.Client{Timeout: 2 * time.Second}
	r, err := client.Get(p.http + path)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err.Error()
	}
	return r.StatusCode, string(body)
}

var alive = regexp.MustCompile(`(?m)^gokv_members\{state="alive"\} (\d+)$`)

// sees returns how many members the node takes for alive, as it tells Prometheus.
func (p *process) sees() string {
	_, body := p.get("/metrics")
	if found := alive.FindStringSubmatch(body); found != nil {
		return found[1]
	}
	return ""
}

// wantReady asks as the kubelet would, until all are ready and see each other.
func wantReady(t *testing.T, all []*process, m manifests) {
	t.Helper()
	c := m.container(t)
	for _, p := range all {
		require.Eventually(t, func() bool {
			startup, _ := p.get(c.StartupProbe.HTTPGet.Path)
			live, _ := p.get(c.LivenessProbe.HTTPGet.Path)
			ready, _ := p.get(c.ReadinessProbe.HTTPGet.Path)
			return startup == http.StatusOK && live == http.StatusOK && ready == http.StatusOK && p.sees() == fmt.Sprint(len(all))
		}, 30*time.Second, 50*time.Millisecond, "%s sees %q", p.http, p.sees())
	}
}

// end does what the kubelet does after preStop.
func (p *process) end(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	began := time.Now()
	require.NoError(t, p.cmd.Wait(), "%s", p.stderr.String())
	require.Less(t, time.Since(began), p.grace)
}

// freePorts returns values for the chart with ports that are free on all of loopback.
func freePorts(t *testing.T) string {
	t.Helper()
	for _, ip := range loopback {
		l, err := net.Listen("tcp", ip+":0")
		if err != nil {
			leftOut(t, "this machine has no %s: %v", ip, err)
		}
		require.NoError(t, l.Close())
	}
	var free []int
	for len(free) < 3 {
		l, err := net.Listen("tcp", "0.0.0.0:0")
		require.NoError(t, err)
		defer l.Close()
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		defer u.Close()
		free = append(free, l.Addr().(*net.TCPAddr).Port)
	}
	return fmt.Sprintf("ports: {peers: %d, clients: %d, http: %d}", free[0], free[1], free[2])
}

func TestNodesRunAsThePodsDoFormAClusterAndLeaveIt(t *testing.T) {
	m := chart{values: freePorts(t)}.render(t)
	port := m.port(t, "peers").ContainerPort
	var join []string
	for _, ip := range loopback {
		join = append(join, fmt.Sprintf("%s:%d", ip, port))
	}
	all := startPods(t, m, map[string]string{"GOKV_DISCOVERY": "static", "GOKV_JOIN": strings.Join(join, ",")})
	wantReady(t, all, m)

	all[0].end(t)
	for _, p := range all[1:] {
		require.Eventually(t, func() bool { return p.sees() == "2" }, 10*time.Second, 50*time.Millisecond)
		_, body := p.get("/metrics")
		require.Contains(t, body, `gokv_members{state="left"} 1`, "it said goodbye")
	}
	// The brackets are gone: this is the address that discovery gives.
	require.Contains(t, all[0].stderr.String(), `"peers":"`+join[0]+`"`)
	all[1].end(t)
	all[2].end(t)
}
