package kubetest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// process is a server that runs.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   tail
	ended chan struct{} // closed when it has
}

func startProcess(dir, program string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(program), cmd: exec.Command(program, args...), ended: make(chan struct{})}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		p.name += " " + args[0]
	}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = dieWithParent()
	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started a process for its
		// parent's: this one lives as long as the process does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // ProcessState has the outcome
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return p, nil
}

// kill ends the process and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error says that it has ended
	<-p.ended
}

// outcome says how a process ended that should not have.
func (p *process) outcome() string {
	return fmt.Sprintf("%s has ended: %s", p.name, p.cmd.ProcessState)
}

// tail keeps the last that was written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
}

const tailSize = 16 << 10

func (l *tail) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last, text...)
	if extra := len(l.last) - tailSize; extra > 0 {
		l.last = append(l.last[:0], l.last[extra:]...)
	}
	return len(text), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.last)
}
