package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client/wire"
)

// fakeAddr serves f until the test ends.
func fakeAddr(t *testing.T, f *fakeNode) string {
	t.Helper()
	addr, stop, err := serveFake(f)
	require.NoError(t, err)
	t.Cleanup(stop)
	return addr
}

func TestAClosedPipeEndsAnExportQuietly(t *testing.T) {
	f := newFakeNode()
	for range 3 {
		f.store(&wire.Request{Key: []byte(strings.Repeat("k", int(f.clock)+1)), Value: make([]byte, 1<<20)})
	}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	defer w.Close()

	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), process, "--addr", fakeAddr(t, f), "export")
	cmd.Stdout, cmd.Stderr = w, &stderr
	require.NoError(t, cmd.Run(), "status 0, and no death by SIGPIPE")
	require.Empty(t, stderr.String())
}

func TestOutputThatCannotBeWrittenIsStatusThree(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no full device here: %v", err)
	}
	defer full.Close()
	f := newFakeNode()
	f.store(&wire.Request{Key: []byte("k"), Value: []byte("v")})
	addr := fakeAddr(t, f)
	for _, args := range [][]string{{"get", "k"}, {"list"}, {"export"}, {"exists", "k"}} {
		var stderr bytes.Buffer
		env := func(name string) (string, bool) { return addr, name == envAddr }
		require.Equal(t, exitOutput, run(t.Context(), args, strings.NewReader(""), full, &stderr, env), args)
		require.Regexp(t, `^gokv: .*write the output: .*no space left on device\n$`, stderr.String())
	}
}

func TestAnInterruptIsStatus130AndOneLine(t *testing.T) {
	f := newFakeNode()
	started := make(chan struct{}, 1)
	f.refuse = func(r *wire.Request) (wire.Code, string) {
		if r.Op == wire.OpPut {
			select {
			case started <- struct{}{}:
			default:
			}
		}
		return wire.CodeOK, ""
	}
	stdin, feed := io.Pipe()
	defer feed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	go func() { _, _ = io.Copy(feed, &endlessLines{}) }() // until the reader is gone
	addr := fakeAddr(t, f)
	env := func(name string) (string, bool) { return addr, name == envAddr }
	var stderr bytes.Buffer
	require.Equal(t, exitInterrupted, run(ctx, []string{"import", "-"}, stdin, io.Discard, &stderr, env))
	require.Regexp(t, `^gokv: interrupted: import stdin: .*canceled; [0-9,]+ (entry|entries) stored\n$`, stderr.String())
	require.NoError(t, stdin.Close())
}

// silent is a stdin on which nobody types.
type silent struct{ asked, never chan struct{} }

func (s *silent) Read([]byte) (int, error) {
	s.asked <- struct{}{}
	<-s.never
	return 0, io.EOF
}

func TestAnInterruptEndsACommandThatWaitsForStdin(t *testing.T) {
	addr := fakeAddr(t, newFakeNode())
	env := func(name string) (string, bool) { return addr, name == envAddr }
	for _, args := range [][]string{{"import", "-"}, {"put", "k", "-"}} {
		ctx, cancel := context.WithCancel(t.Context())
		stdin := &silent{asked: make(chan struct{}), never: make(chan struct{})}
		go func() {
			<-stdin.asked
			cancel()
		}()
		var stderr bytes.Buffer
		require.Equal(t, exitInterrupted, run(ctx, args, stdin, io.Discard, &stderr, env))
		require.Regexp(t, `^gokv: interrupted: .*canceled.*\n$`, stderr.String())
		close(stdin.never)
	}
}

func TestASignalEndsTheCommandInOrder(t *testing.T) {
	f := newFakeNode()
	started := make(chan struct{}, 1)
	f.refuse = func(r *wire.Request) (wire.Code, string) {
		if r.Op == wire.OpPut {
			select {
			case started <- struct{}{}:
			default:
			}
		}
		return wire.CodeOK, ""
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), process, "--addr", fakeAddr(t, f), "import", "-")
	cmd.Stdin, cmd.Stderr = &endlessLines{}, &stderr
	require.NoError(t, cmd.Start())
	<-started
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait() // its error is the status below, or that of the stdin that it left
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), stderr.String())
	require.Contains(t, stderr.String(), "gokv: interrupted: ")
}
