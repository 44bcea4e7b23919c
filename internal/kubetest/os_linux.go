package kubetest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// dieWithParent makes the kernel kill the process when the test's process ends,
// whichever way: nothing else could after a SIGKILL or a panic.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// freeze returns when no thread of the process runs any more: until then it answers.
func (p *process) freeze() error {
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !p.stopped() {
		select {
		case <-again.C:
		case <-p.ended:
			return errors.New(p.outcome())
		}
	}
	return nil
}

func (p *process) stopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, file := range threads {
		stat, err := os.ReadFile(file)
		// The state stands after the name, which is in parentheses and may hold some.
		if i := bytes.LastIndexByte(stat, ')'); err != nil || !bytes.HasPrefix(stat[i+1:], []byte(" T ")) {
			return false
		}
	}
	return true
}

func (p *process) thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// port is a TCP port of 127.0.0.1 that nobody else gets: a socket is bound to it that
// does not listen, so that connections are refused until the server, which is allowed
// to share the port, listens on it. It stays ours between Stop and Restart.
type port struct {
	number int
	socket int
}

// soReusePort is SO_REUSEPORT, which package syscall lacks for most architectures.
const soReusePort = 0xf

func reservePort() (*port, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p := &port{socket: socket}
	if err := p.bind(); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

func (p *port) bind() error {
	if err := syscall.SetsockoptInt(p.socket, syscall.SOL_SOCKET, soReusePort, 1); err != nil {
		return err
	}
	if err := syscall.Bind(p.socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	name, err := syscall.Getsockname(p.socket)
	if err != nil {
		return err
	}
	p.number = name.(*syscall.SockaddrInet4).Port
	return nil
}

func (p *port) flags() []string { return []string{"--permit-port-sharing"} }

func (p *port) release() { _ = syscall.Close(p.socket) }
