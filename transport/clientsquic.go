package transport

import (
	"context"
	"fmt"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/tochemey/gokv/internal/auth"
)

func (l *ClientListener) listenQUIC() error {
	quietBuffers()
	// The address stands for the listener; a restarted one ends the connections of
	// its predecessor.
	key := quic.StatelessResetKey(l.cfg.Auth.StatelessResetKey("clients " + l.cfg.UDP.LocalAddr().String()))
	l.quic = &quic.Transport{
		Conn:                counted(l.cfg.UDP, &l.traffic),
		ConnectionIDLength:  8,
		StatelessResetKey:   &key,
		VerifySourceAddress: l.quicGate.askRetry,
		ConnContext:         l.quicGate.connContext,
	}
	var err error
	config := quicConfig(int64(l.cfg.MaxStreams), clientWindow, false)
	config.MaxIdleTimeout = clientIdleTimeout
	l.listener, err = l.quic.Listen(l.cfg.Auth.ServerTLS(auth.ALPNClient), config)
	if err != nil {
		return fmt.Errorf("listen for clients on %s: %w", l.cfg.UDP.LocalAddr(), err)
	}
	reportBuffer(l.cfg.Logger, l.cfg.UDP)
	l.wg.Go(l.acceptQUIC)
	return nil
}

func (l *ClientListener) acceptQUIC() {
	for {
		q, err := l.listener.Accept(l.ctx)
		if err != nil {
			return
		}
		l.wg.Go(func() { l.serveQUIC(q) })
	}
}

// quicCloser ends a client's QUIC connection.
type quicCloser struct{ *quic.Conn }

func (c quicCloser) shut() {
	c.CloseWithError(auth.CloseShutdown, "shutting down") //nolint:errcheck // always nil
}

// serveQUIC proves a connection on its first stream, and serves that and all that
// follow.
func (l *ClientListener) serveQUIC(q *quic.Conn) {
	k := knockOf(q)
	defer k.release()
	if !k.take() {
		return // it ended before we came to it
	}
	first, session, err := l.proveQUIC(q, k)
	if err != nil {
		l.quicGate.failed(k.remote, err)
		auth.CloseQUIC(q, listenerError(err))
		return
	}
	k.release()
	leave, ok := l.enter(quicCloser{q}, &l.overQUIC)
	if !ok {
		quicCloser{q}.shut()
		return
	}
	defer leave()
	ctx := q.Context()
	var streams sync.WaitGroup
	for s := first; ; {
		stream := newIncoming(s, nil)
		streams.Go(func() { l.serve(ctx, session, stream) })
		if s, err = q.AcceptStream(ctx); err != nil {
			break
		}
	}
	streams.Wait()
}

func (l *ClientListener) proveQUIC(q *quic.Conn, k *knock) (*quic.Stream, ClientSession, error) {
	ctx, cancel := context.WithTimeout(l.ctx, auth.HandshakeTimeout)
	defer cancel()
	s, err := q.AcceptStream(ctx)
	if err != nil {
		return nil, ClientSession{}, err
	}
	session, err := l.prove(ctx, s, q.ConnectionState().TLS, OverQUIC, k.remote)
	return s, session, err
}
