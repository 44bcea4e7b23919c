package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/tochemey/gokv/internal/auth"
)

// acceptTLS takes TCP connections until the listener is closed.
func (l *ClientListener) acceptTLS() {
	const longest = time.Second
	pause := 5 * time.Millisecond
	for {
		c, err := l.cfg.TCP.Accept()
		if err != nil {
			if l.isStopped() || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: it passes.
			l.cfg.Logger.Warn("accepting clients over TCP fails, trying again", "error", err, "in", pause)
			select {
			case <-time.After(pause):
			case <-l.draining:
				return
			}
			pause = min(2*pause, longest)
			continue
		}
		pause = 5 * time.Millisecond
		release, ok := l.tlsGate.enter()
		if !ok {
			l.tlsGate.turnAway(c.RemoteAddr().String())
			c.Close() //nolint:errcheck // it was never used
			continue
		}
		l.wg.Go(func() {
			defer release()
			l.serveTLS(c, release)
		})
	}
}

func (l *ClientListener) isStopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped
}

// serveTLS proves a connection and serves its one stream.
func (l *ClientListener) serveTLS(tcp net.Conn, release func()) {
	remote := tcp.RemoteAddr().String()
	stop := context.AfterFunc(l.ctx, func() { tcp.Close() }) //nolint:errcheck // it ends here in any case
	defer stop()
	conn := tls.Server(tcp, l.cfg.Auth.ServerTLS(auth.ALPNClient))
	session, err := l.proveTLS(conn, remote)
	if err != nil {
		if !vanished(err) {
			l.refusals.note(asListener, remote, listenerError(err))
		}
		hangUp(tcp)
		return
	}
	release()
	s := &tlsStream{Conn: conn}
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	leave, ok := l.enter(s, &l.overTLS)
	if !ok {
		s.shut()
		return
	}
	defer leave()
	l.serve(ctx, session, s)
}

func (l *ClientListener) proveTLS(conn *tls.Conn, remote string) (ClientSession, error) {
	ctx, cancel := context.WithTimeout(l.ctx, tlsTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return ClientSession{}, err
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != auth.ALPNClient {
		return ClientSession{}, &auth.RefusedError{
			Reason: auth.VersionMismatch,
			Detail: fmt.Sprintf("it does not ask for the protocol %s", auth.ALPNClient),
		}
	}
	proof, cancelProof := context.WithTimeout(l.ctx, auth.HandshakeTimeout)
	defer cancelProof()
	return l.prove(proof, conn, state, OverTLS, remote)
}

// vanished reports whether the other end has just gone, as load balancers do that
// see whether a port is open. Nothing was refused then.
func vanished(err error) bool {
	return auth.ReasonOf(auth.Classify(err)) == auth.ReasonNone &&
		(errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE))
}

// hangUp closes a connection whose handshake failed. Closing at once would lose the
// alert or message that says why, if the other end has sent more meanwhile: TCP
// then resets instead.
func hangUp(tcp net.Conn) {
	defer tcp.Close() //nolint:errcheck // it failed before
	if half, ok := tcp.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		linger(tcp, lingerTime)
	}
}

// tlsStream is the one Stream of a TLS connection.
type tlsStream struct {
	*tls.Conn
	once sync.Once
	err  error
}

func (s *tlsStream) Close() error {
	s.once.Do(func() {
		s.err = s.Conn.CloseWrite()
		if cerr := s.Conn.Close(); s.err == nil {
			s.err = cerr
		}
	})
	return s.err
}

func (s *tlsStream) Abort() {
	s.once.Do(func() { s.err = s.Conn.NetConn().Close() })
}

// CancelRead and CancelWrite end the connection: TLS knows no half of it.
func (s *tlsStream) CancelRead(uint64)  { s.Abort() }
func (s *tlsStream) CancelWrite(uint64) { s.Abort() }

func (s *tlsStream) shut() { s.Abort() }
