package natstest

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startFor bounds how long a server may take until it accepts connections.
const startFor = 10 * time.Second

// Server is a NATS server in this process.
type Server struct {
	URL string // nats://127.0.0.1:port, without a user

	t    testing.TB
	opts server.Options
	srv  *server.Server // nil while it is stopped
}

// Start starts a server on a free port; each change may alter its options, the
// address aside. It stops when the test ends.
func Start(t testing.TB, changes ...func(*server.Options)) *Server {
	t.Helper()
	s := &Server{t: t, opts: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, NoSystemAccount: true}}
	for _, change := range changes {
		change(&s.opts)
	}
	s.start()
	addr := s.srv.Addr().(*net.TCPAddr) //nolint:errcheck // a TCP listener's address is one
	s.opts.Port = addr.Port
	s.URL = "nats://" + addr.String()
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) start() {
	s.t.Helper()
	opts := s.opts // the server keeps and alters what it is given
	srv, err := server.NewServer(&opts)
	if err != nil {
		s.t.Fatalf("natstest: %v", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(startFor) {
		srv.Shutdown()
		s.t.Fatalf("natstest: the server on port %d is not ready after %v", opts.Port, startFor)
	}
	s.srv = srv
}

// Stop ends the server and its connections, and returns when its port is free.
// A server that is stopped stays so.
func (s *Server) Stop() {
	if s.srv == nil {
		return
	}
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
	s.srv = nil
}

// Restart stops the server, if it runs, and starts it on the same port. It has
// forgotten all connections and subscriptions.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.start()
}

// Change alters the options, for the next Restart.
func (s *Server) Change(change func(*server.Options)) { change(&s.opts) }
