package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/tochemey/gokv/internal/auth"
)

const (
	// quicIdle ends a connection that carries nothing, as the node does too.
	quicIdle = 5 * time.Minute
	// mostHosts is how many addresses of one name are dialled at once.
	mostHosts = 4
)

// quicLink is the first stream of a QUIC connection that owns its socket.
type quicLink struct {
	*quic.Stream
	conn      *quic.Conn
	transport *quic.Transport
	socket    *net.UDPConn
}

// Close ends the connection, and with it reads and writes in progress.
func (l *quicLink) Close() error {
	return errors.Join(
		l.conn.CloseWithError(auth.CloseNormal, ""),
		l.transport.Close(),
		l.socket.Close(),
	)
}

var quietOnce sync.Once

// quiet keeps quic-go from printing a line about small UDP buffers past the
// program's own log. Whoever sets the variable, either way, keeps it.
func quiet() {
	quietOnce.Do(func() {
		const name = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"
		if _, set := os.LookupEnv(name); !set {
			_ = os.Setenv(name, "true") // fails for an invalid name only
		}
	})
}

// dialQUIC connects to host:port, to whichever of its addresses answers first.
func (d *dialer) dialQUIC(ctx context.Context, host string) (*quicLink, tls.ConnectionState, error) {
	quiet()
	targets, err := resolve(ctx, host)
	if err != nil {
		return nil, tls.ConnectionState{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		link *quicLink
		err  error
	}
	results := make(chan result, len(targets))
	for _, target := range targets {
		go func() {
			link, err := d.dialUDP(ctx, host, target)
			results <- result{link, err}
		}()
	}
	// All of them are waited for: none outlives the dial.
	var won *quicLink
	var errs []error // of each address of the name
	for range targets {
		r := <-results
		switch {
		case r.err != nil:
			errs = append(errs, r.err)
		case won != nil:
			_ = r.link.Close() // the slower one, which nobody has used
		default:
			won = r.link
			cancel()
		}
	}
	if won == nil {
		if len(errs) == 1 {
			return nil, tls.ConnectionState{}, errs[0]
		}
		return nil, tls.ConnectionState{}, dialError(errs)
	}
	return won, won.conn.ConnectionState().TLS, nil
}

func resolve(ctx context.Context, host string) ([]*net.UDPAddr, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return nil, err
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, err
	}
	if len(ips) > mostHosts {
		ips = ips[:mostHosts]
	}
	out := make([]*net.UDPAddr, len(ips))
	for i, ip := range ips {
		out[i] = net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(n)))
	}
	return out, nil
}

func (d *dialer) dialUDP(ctx context.Context, host string, target *net.UDPAddr) (*quicLink, error) {
	network := "udp4"
	if target.IP.To4() == nil {
		network = "udp6"
	}
	socket, err := net.ListenUDP(network, nil)
	if err != nil {
		return nil, err
	}
	l := &quicLink{socket: socket, transport: &quic.Transport{Conn: socket}}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer listenForRefusal(target, cancel)()
	l.conn, err = l.transport.Dial(ctx, target, d.tlsFor(host), &quic.Config{
		Versions:             []quic.Version{quic.Version1},
		HandshakeIdleTimeout: d.timeout,
		MaxIdleTimeout:       quicIdle,
		InitialPacketSize:    1200, // what every path takes; raised by probing
		// The node opens no stream.
		MaxIncomingStreams:    -1,
		MaxIncomingUniStreams: -1,
	})
	if err == nil {
		if l.Stream, err = l.conn.OpenStream(); err == nil {
			return l, nil
		}
		err = errors.Join(err, l.conn.CloseWithError(auth.CloseNormal, ""))
	}
	if cause := context.Cause(ctx); errors.Is(cause, syscall.ECONNREFUSED) {
		err = cause
	}
	return nil, errors.Join(err, l.transport.Close(), socket.Close())
}

// listenForRefusal ends a dial at once where the other host says that nobody
// listens there. QUIC's own socket is not connected and does not hear that, so a
// connected one sends a byte, which a node ignores, and listens for it. It
// returns what ends it.
func listenForRefusal(target *net.UDPAddr, cancel context.CancelCauseFunc) (stop func()) {
	c, err := net.DialUDP("udp", nil, target)
	if err != nil {
		return func() {} // only a help
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := c.Write([]byte{0}); err != nil {
			return
		}
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, syscall.ECONNREFUSED) {
			cancel(fmt.Errorf("%w", syscall.ECONNREFUSED))
		}
	}()
	return func() {
		_ = c.Close() // ends the read; nothing was expected to arrive
		<-done
	}
}
