package dnstest

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Handler answers a query in the server's stead, or returns false. Whoever
// returns true without having written anything leaves the query unanswered.
type Handler func(w dns.ResponseWriter, query *dns.Msg) bool

// Server is a DNS server on loopback.
type Server struct {
	t    testing.TB
	addr string

	running sync.Mutex // held while the server starts or stops
	servers []*dns.Server
	served  sync.WaitGroup

	mu      sync.Mutex
	records map[string]map[uint16][]dns.RR // by canonical name and type
	ttl     uint32
	rcode   int
	handler Handler
	queries []string
}

// Start runs a server at a free port of 127.0.0.1 until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartAt(t, "127.0.0.1:0")
}

// StartAt runs a server at host:port. Port 0 is any that is free.
func StartAt(t testing.TB, addr string) *Server {
	t.Helper()
	s := &Server{t: t, addr: addr, records: map[string]map[uint16][]dns.RR{}}
	s.Restart()
	t.Cleanup(s.Stop)
	return s
}

// Addr returns the server's host:port, the same for its whole life.
func (s *Server) Addr() string {
	s.running.Lock()
	defer s.running.Unlock()
	return s.addr
}

// Stop ends the server. What it was told stays.
func (s *Server) Stop() {
	s.running.Lock()
	defer s.running.Unlock()
	for _, srv := range s.servers {
		if err := srv.Shutdown(); err != nil {
			s.t.Errorf("dnstest: %v", err)
		}
	}
	s.served.Wait()
	s.servers = nil
}

// Restart runs the server at its address, after it was stopped.
func (s *Server) Restart() {
	s.t.Helper()
	s.running.Lock()
	defer s.running.Unlock()
	if s.servers != nil {
		return
	}
	pc, l, err := listen(s.addr)
	// Another process may hold the port for a moment, as that of an outgoing
	// connection, or hold the TCP port of the UDP port that was free.
	for began := time.Now(); err != nil && time.Since(began) < 10*time.Second; {
		time.Sleep(10 * time.Millisecond)
		pc, l, err = listen(s.addr)
	}
	if err != nil {
		s.t.Fatalf("dnstest: %v", err)
	}
	s.addr = pc.LocalAddr().String()
	for _, srv := range []*dns.Server{{PacketConn: pc}, {Listener: l}} {
		srv.Handler = dns.HandlerFunc(s.serve)
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		s.served.Go(func() {
			if err := srv.ActivateAndServe(); err != nil {
				s.t.Errorf("dnstest: %v", err)
			}
		})
		<-started
		s.servers = append(s.servers, srv)
	}
}

// listen opens the same port for UDP and for TCP.
func listen(addr string) (net.PacketConn, net.Listener, error) {
	pc, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", pc.LocalAddr().String())
	if err != nil {
		_ = pc.Close()
		return nil, nil, err
	}
	return pc, l, nil
}

// Fail makes the server answer everything with a response code, such as
// dns.RcodeServerFailure. 0, dns.RcodeSuccess, mends it.
func (s *Server) Fail(rcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rcode = rcode
}

// Handle lets h see every query first. Nil takes it away.
func (s *Server) Handle(h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// Queries returns what was asked since the last call, as "name TYPE udp" or
// "name TYPE tcp", in order.
func (s *Server) Queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queries
	s.queries = nil
	return q
}

// maxQueries bounds what is remembered for a test that does not ask.
const maxQueries = 100_000

func (s *Server) serve(w dns.ResponseWriter, query *dns.Msg) {
	s.mu.Lock()
	handler := s.handler
	if len(query.Question) == 1 && len(s.queries) < maxQueries {
		q := query.Question[0]
		s.queries = append(s.queries, fmt.Sprintf("%s %s %s", q.Name, dns.TypeToString[q.Qtype], w.RemoteAddr().Network()))
	}
	s.mu.Unlock()
	if handler != nil && handler(w, query) {
		return
	}
	// Who asked may be gone by now; that is for the test to notice.
	_ = w.WriteMsg(s.Answer(query, w.RemoteAddr().Network() == "tcp"))
}
