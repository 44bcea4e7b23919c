package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/term"

	"github.com/tochemey/gokv"
)

// terminal is a pseudo-terminal: what is written to tty can be read from screen.
type terminal struct {
	tty    *os.File
	screen chan string // all that was shown, once tty is closed
}

// openTerminal makes a terminal of 40 columns.
func openTerminal(t *testing.T) *terminal {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal here: %v", err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	control := func(request uintptr, arg unsafe.Pointer) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, screen.Fd(), request, uintptr(arg))
		require.Zero(t, errno)
	}
	var unlocked, number uint32
	control(syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked))
	control(syscall.TIOCGPTN, unsafe.Pointer(&number))
	size := [4]uint16{24, 40}
	control(syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	_, err = term.MakeRaw(int(tty.Fd())) // line feeds stay as they are
	require.NoError(t, err)

	p := &terminal{tty: tty, screen: make(chan string, 1)}
	go func() {
		var shown bytes.Buffer
		_, _ = io.Copy(&shown, screen) // ends with EIO when the last tty is closed
		p.screen <- shown.String()
	}()
	return p
}

func (p *terminal) close(t *testing.T) string {
	t.Helper()
	require.NoError(t, p.tty.Close())
	return <-p.screen
}

// startTestNode starts a node and returns its client address.
func startTestNode(t *testing.T) string {
	t.Helper()
	node, err := gokv.NewNode(gokv.Config{PeerAddr: "127.0.0.1:0", ClientAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, node.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, node.Stop(ctx))
	})
	return node.Addrs().Client
}

func onTerminal(t *testing.T, addr string, stdout, stderr io.Writer, args ...string) {
	t.Helper()
	env := func(name string) (string, bool) { return addr, name == envAddr }
	require.Equal(t, 0, run(t.Context(), args, strings.NewReader(""), stdout, stderr, env))
}

func TestATerminalGetsANewlineBehindAValueAndNobodyElse(t *testing.T) {
	addr := startTestNode(t)
	onTerminal(t, addr, io.Discard, io.Discard, "put", "k", "value")
	p := openTerminal(t)
	onTerminal(t, addr, p.tty, io.Discard, "get", "k")
	require.Equal(t, "value\n", p.close(t))
	var plain bytes.Buffer
	onTerminal(t, addr, &plain, io.Discard, "get", "k")
	require.Equal(t, "value", plain.String())
}

func TestATableFitsTheTerminal(t *testing.T) {
	addr := startTestNode(t)
	onTerminal(t, addr, io.Discard, io.Discard, "put", "k", strings.Repeat("é", 500))
	p := openTerminal(t)
	onTerminal(t, addr, p.tty, io.Discard, "list")
	shown := p.close(t)
	require.Equal(t, "KEY  EXPIRES  VALUE\nk    -        "+strings.Repeat("é", 40-14-1)+"…\n", shown)
	var plain bytes.Buffer
	onTerminal(t, addr, &plain, io.Discard, "list")
	require.Contains(t, plain.String(), strings.Repeat("é", 500))
}

func TestATerminalOnStderrSeesProgress(t *testing.T) {
	addr := startTestNode(t)
	var text bytes.Buffer
	for i := range 3_000 {
		fmt.Fprintf(&text, "{\"key\":\"key-%d\",\"text\":\"%0200d\"}\n", i, i) // more than one read
	}
	file := filepath.Join(t.TempDir(), "in.ndjson")
	require.NoError(t, os.WriteFile(file, text.Bytes(), 0o600))

	p := openTerminal(t)
	onTerminal(t, addr, io.Discard, p.tty, "import", file)
	shown := p.close(t)
	require.Contains(t, shown, "importing")
	require.Contains(t, shown, "imported 3,000 entries")

	p = openTerminal(t)
	onTerminal(t, addr, io.Discard, p.tty, "export")
	shown = p.close(t)
	require.Contains(t, shown, "exporting")
	require.Contains(t, shown, "exported 3,000 entries")

	var plain bytes.Buffer
	onTerminal(t, addr, io.Discard, &plain, "import", file)
	require.Regexp(t, `^imported 3,000 entries \(.*\) in .*\n$`, plain.String())
}
