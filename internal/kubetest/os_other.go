//go:build !linux

package kubetest

import (
	"errors"
	"net"
	"syscall"
)

var errOnlyLinux = errors.New("this needs Linux")

func dieWithParent() *syscall.SysProcAttr { return nil }

func (p *process) freeze() error { return errOnlyLinux }
func (p *process) thaw() error   { return errOnlyLinux }

// port is a TCP port of 127.0.0.1 that was free a moment ago.
type port struct {
	number int
}

func reservePort() (*port, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &port{number: l.Addr().(*net.TCPAddr).Port}, l.Close()
}

func (p *port) flags() []string { return nil }
func (p *port) release()        {}
