package clustertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Binaries are the two commands, built from this tree.
type Binaries struct {
	Gokv, Node string
	// Env is added to the environment of what is started, from which settings of
	// gokv's own are taken out.
	Env []string
}

// Build builds the commands into dir, with the race detector if asked. It may be
// called from any directory of the module.
func Build(ctx context.Context, dir string, race bool) (Binaries, error) {
	args := []string{"build", "-o", dir + string(os.PathSeparator)}
	if race {
		args = append(args, "-race")
	}
	args = append(args, "github.com/tochemey/gokv/cmd/gokv", "github.com/tochemey/gokv/cmd/gokv-node")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return Binaries{}, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return Binaries{Gokv: filepath.Join(dir, "gokv"), Node: filepath.Join(dir, "gokv-node")}, nil
}

// Process is a running gokv-node.
type Process struct {
	// Peer, Client and HTTP are the addresses that it printed.
	Peer, Client, HTTP string

	cmd    *exec.Cmd
	log    *lines
	exited chan struct{} // closed once the process has ended
}

// startPatience bounds how long a process may take to print its addresses.
const startPatience = 30 * time.Second

// StartNode starts a gokv-node on loopback and returns when it has printed its
// addresses. Flags come after those that take free ports, and may override them.
// The process is killed when ctx ends.
func (b Binaries) StartNode(ctx context.Context, flags ...string) (*Process, error) {
	free := []string{"--peer-addr", "127.0.0.1:0", "--client-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"}
	p := &Process{
		cmd:    exec.CommandContext(ctx, b.Node, append(free, flags...)...),
		log:    &lines{},
		exited: make(chan struct{}),
	}
	p.cmd.Env = b.environ()
	p.cmd.Stderr = p.log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start gokv-node: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start gokv-node: %w", err)
	}
	printed := make(chan bool, 1)
	go func() {
		defer close(p.exited)
		printed <- p.readAddrs(stdout)
		// Wait closes the pipe, so that it comes after the last read.
		_, _ = io.Copy(io.Discard, stdout)
		_ = p.cmd.Wait() // ProcessState has the outcome
	}()

	timeout := time.NewTimer(startPatience)
	defer timeout.Stop()
	select {
	case ok := <-printed:
		if ok {
			return p, nil
		}
		<-p.exited
		return nil, fmt.Errorf("start gokv-node %s: %v\n%s", strings.Join(flags, " "), p.cmd.ProcessState, p.log)
	case <-timeout.C:
		p.Kill()
		return nil, fmt.Errorf("start gokv-node: no addresses after %v\n%s", startPatience, p.log)
	}
}

// readAddrs takes the addresses from what the node prints; it reports whether all
// three came.
func (p *Process) readAddrs(stdout io.Reader) bool {
	lines := bufio.NewScanner(stdout)
	for p.HTTP == "" && lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "peers":
			p.Peer = fields[1]
		case "clients":
			p.Client = fields[1]
		case "http":
			p.HTTP = strings.TrimSuffix(strings.TrimPrefix(fields[1], "http://"), "/metrics")
		}
	}
	return p.HTTP != ""
}

// environ is the environment of what is started.
func (b Binaries) environ() []string {
	own := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOKV_") })
	return append(own, b.Env...)
}

// Command returns a run of gokv against the given client addresses.
func (b Binaries) Command(ctx context.Context, addrs string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.Gokv, append([]string{"--addr", addrs}, args...)...)
	cmd.Env = b.environ()
	return cmd
}

// Log is what the node has logged so far.
func (p *Process) Log() string { return p.log.String() }

// PID is the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Kill ends the process with SIGKILL and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// Terminate sends SIGTERM and returns the exit status.
func (p *Process) Terminate(ctx context.Context) (int, error) {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return -1, fmt.Errorf("terminate gokv-node: %w", err)
	}
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return -1, fmt.Errorf("terminate gokv-node: still running: %w", ctx.Err())
	}
}

// WaitReady waits until /readyz answers 200.
func (p *Process) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		status, err := p.get(ctx, "/readyz")
		if err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("gokv-node ended before it was ready: %v\n%s", p.cmd.ProcessState, p.log)
		case <-ctx.Done():
			return fmt.Errorf("gokv-node is not ready: /readyz: %d, %w", status, errors.Join(err, ctx.Err()))
		}
	}
}

func (p *Process) get(ctx context.Context, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.HTTP+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
