package gokv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/transport"
)

// bindClients opens the clients' listener, where one is configured, and
// returns the address that other members tell clients to dial: the host that
// peers dial, with the clients' port.
func (n *Node) bindClients(hello auth.Hello) (string, error) {
	if n.cfg.ClientAddr == "" {
		return "", nil
	}
	udp, tcp, err := listenBoth(n.cfg.ClientAddr)
	if err != nil {
		return "", fmt.Errorf("client-addr: %w", err)
	}
	n.clients, err = transport.ListenClients(transport.ClientConfig{
		UDP: udp, TCP: tcp, Auth: n.auth, Self: hello, Handler: n.serveClient, Refused: n.refused, Logger: n.log,
	})
	if err != nil {
		return "", errors.Join(fmt.Errorf("client-addr: %w", err), udp.Close(), tcp.Close())
	}
	n.addrs.Client = tcp.Addr().String()
	host, _, err := net.SplitHostPort(n.advertise)
	if err != nil {
		return "", fmt.Errorf("advertise-addr: %w", err)
	}
	_, port, err := net.SplitHostPort(n.addrs.Client)
	if err != nil {
		return "", fmt.Errorf("client-addr: %w", err)
	}
	return net.JoinHostPort(host, port), nil
}

// serveClient serves one stream of an authenticated client.
func (n *Node) serveClient(ctx context.Context, s transport.ClientSession, rw io.ReadWriteCloser) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopping := make(chan struct{})
	defer close(stopping)
	n.background.Go(func() {
		select {
		case <-s.Draining:
			cancel() // nothing more is read; what is in flight ends
		case <-stopping:
		}
	})
	if err := client.ServeStream(ctx, rw, server{n}, client.Limits{}); err != nil && ctx.Err() == nil {
		n.log.Debug("client", "transport", s.Transport, "remote", s.Remote, "error", err)
	}
}

// listenBoth binds one port for UDP and TCP. Port 0 takes one that is free
// for both.
func listenBoth(addr string) (net.PacketConn, net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, err
	}
	const tries = 16
	for try := 1; ; try++ {
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		bound, ok := tcp.Addr().(*net.TCPAddr)
		if !ok {
			return nil, nil, errors.Join(fmt.Errorf("%s: not a TCP address", tcp.Addr()), tcp.Close())
		}
		udp, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(bound.Port)))
		if err == nil {
			return udp, tcp, nil
		}
		if err = errors.Join(err, tcp.Close()); port != "0" || try == tries {
			return nil, nil, err
		}
	}
}
