package nats

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
)

// process is Debian's nats-server, on a port of its own that stays the same.
type process struct {
	t    *testing.T
	bin  string
	port int
	url  string
	cmd  *exec.Cmd
}

// processHost is not 127.0.0.1, whose port would not stay free while the server is
// down: any connection may leave from it, even one that tries to reach the server.
const processHost = "127.0.0.2"

func newProcess(t *testing.T) *process {
	t.Helper()
	bin, err := exec.LookPath("nats-server")
	if err != nil {
		const missing = "LEFT OUT: no nats-server in PATH (Debian: apt-get install nats-server)"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	l, err := net.Listen("tcp", processHost+":0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	s := &process{t: t, bin: bin, port: port, url: fmt.Sprintf("nats://%s:%d", processHost, port)}
	t.Cleanup(func() {
		if s.cmd != nil {
			s.kill()
		}
	})
	return s
}

func (s *process) start() {
	s.t.Helper()
	var out bytes.Buffer
	s.cmd = exec.Command(s.bin, "-a", processHost, "-p", fmt.Sprint(s.port))
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	require.NoError(s.t, s.cmd.Start())
	require.Eventually(s.t, func() bool {
		nc, err := nats.Connect(s.url, nats.NoReconnect())
		if err != nil {
			return false
		}
		nc.Close()
		return true
	}, patience, often)
}

// kill ends it without a word to anybody.
func (s *process) kill() {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Kill())
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
}

func (s *process) restart() { s.t.Helper(); s.kill(); s.start() }

func (s *process) signal(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

func TestAServerThatIsKilledBeforeInitializeIsWaitedFor(t *testing.T) {
	srv := newProcess(t)
	srv.start()
	srv.kill()
	cfg := quick(srv.url)
	cfg.MaxJoinAttempts = maxAttempts
	p := prepared(t, cfg, "c", "10.0.0.1:1")
	done := make(chan error, 1)
	go func() { done <- p.Initialize(t.Context()) }()
	srv.start()
	require.NoError(t, <-done)
	require.NoError(t, p.Register(t.Context()))
	wantPeers(t, p)
}

func TestAServerThatIsKilledBetweenInitializeAndRegister(t *testing.T) {
	srv := newProcess(t)
	srv.start()
	a := registered(t, quick(srv.url), "c", "10.0.0.1:1")
	b := connected(t, quick(srv.url), "c", "10.0.0.2:2")
	srv.kill()
	require.Error(t, b.Register(t.Context()))
	srv.start()
	require.Eventually(t, func() bool { return b.Register(t.Context()) == nil }, patience, often)
	neverNobody(t, b, "10.0.0.1:1")
	wantPeers(t, a, "10.0.0.2:2")
}

// during calls strike once a's request is on its way and returns what a gets.
func during(t *testing.T, url string, a *Provider, strike func()) ([]string, error) {
	t.Helper()
	nc := stranger(t, url)
	sub, err := nc.SubscribeSync(a.cfg.Subject)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	type result struct {
		addrs []string
		err   error
	}
	done := make(chan result, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		addrs, err := a.DiscoverPeers(ctx)
		done <- result{addrs, err}
	}()
	_, err = sub.NextMsg(patience)
	require.NoError(t, err)
	strike()
	r := <-done
	return r.addrs, r.err
}

func TestAServerThatIsKilledWhileAnswersAreCollected(t *testing.T) {
	srv := newProcess(t)
	srv.start()
	cfg := quick(srv.url)
	cfg.Timeout = time.Second
	a := registered(t, cfg, "c", "10.0.0.1:1")
	b := registered(t, quick(srv.url), "c", "10.0.0.2:2")
	_, err := during(t, srv.url, a, srv.kill)
	require.ErrorContains(t, err, "the connection was lost")
	srv.start()
	neverNobody(t, a, "10.0.0.2:2")
	wantPeers(t, b, "10.0.0.1:1")

	_, err = during(t, srv.url, a, srv.restart)
	require.ErrorContains(t, err, "the connection was lost", "however soon it is back")
	neverNobody(t, a, "10.0.0.2:2")
}

func TestAServerThatIsKilledAfterAllIsWellIsComeBackTo(t *testing.T) {
	srv := newProcess(t)
	srv.start()
	var log transcript
	cfg := quick(srv.url)
	cfg.Logger = log.logger()
	a := registered(t, cfg, "c", "10.0.0.1:1")
	b := registered(t, quick(srv.url), "c", "10.0.0.2:2")
	for range 3 {
		wantPeers(t, a, "10.0.0.2:2")
		srv.kill()
		for _, p := range []*Provider{a, b} { // until an attempt has failed
			require.Eventually(t, func() bool {
				_, err := ask(t, p)
				return err != nil && strings.Contains(err.Error(), "connection refused")
			}, patience, often)
		}
		select {
		case <-a.Changes():
		default:
		}
		srv.start()
		neverNobody(t, a, "10.0.0.2:2")
		neverNobody(t, b, "10.0.0.1:1")
		select {
		case <-a.Changes():
		case <-time.After(patience):
			t.Fatal("nothing tells that the connection is back")
		}
	}
	lines := bytes.Count([]byte(log.String()), []byte("\n"))
	require.Equal(t, 6, lines, "each change is told once:\n%s", log.String())
}

// A node that starts just after the server's restart is told of the others, who
// are on their way back, and not that it is alone.
func TestANodeThatStartsWithTheServerWaitsForTheOthers(t *testing.T) {
	srv := newProcess(t)
	srv.start()
	slow := quick(srv.url)
	slow.ReconnectWait = 2 * time.Second
	registered(t, slow, "c", "10.0.0.2:2")
	srv.restart()
	p := prepared(t, quick(srv.url), "c", "10.0.0.1:1")
	p.quiet = patience
	require.NoError(t, p.Initialize(t.Context()))
	addrs, err := ask(t, p)
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.2:2"}, addrs)
}

func TestAServerThatStandsStillIsAnErrorForEveryCall(t *testing.T) {
	srv := newProcess(t)
	srv.start()
	a := registered(t, quick(srv.url), "c", "10.0.0.1:1")
	b := registered(t, quick(srv.url), "c", "10.0.0.2:2")
	c := connected(t, quick(srv.url), "c", "10.0.0.3:3")
	d := registered(t, quick(srv.url), "c", "10.0.0.4:4")
	neverNobody(t, a, "10.0.0.2:2", "10.0.0.4:4")

	srv.signal(syscall.SIGSTOP)
	began := time.Now()
	_, err := ask(t, a)
	require.Error(t, err)
	require.Error(t, c.Register(t.Context()))
	require.Error(t, d.Deregister(t.Context()))
	require.Less(t, time.Since(began), patience)

	cfg := quick(srv.url)
	cfg.MaxJoinAttempts = 2
	p := prepared(t, cfg, "c", "10.0.0.5:5")
	err = p.Initialize(t.Context())
	require.ErrorIs(t, err, discovery.ErrPermanent)
	require.ErrorContains(t, err, "no answer within")
	// By now the connections have been given up, and are tried again.
	require.ErrorContains(t, wantError(t, a), "not connected")
	require.ErrorContains(t, wantError(t, b), "not connected")

	srv.signal(syscall.SIGCONT)
	neverNobody(t, a, "10.0.0.2:2")
	neverNobody(t, b, "10.0.0.1:1")
}

func TestAServerThatStopsWhileAnswersAreCollectedIsAnError(t *testing.T) {
	srv := newProcess(t)
	srv.start()
	cfg := quick(srv.url)
	cfg.Timeout = time.Second
	a := registered(t, cfg, "c", "10.0.0.1:1")
	_, err := during(t, srv.url, a, func() { srv.signal(syscall.SIGSTOP) })
	srv.signal(syscall.SIGCONT)
	require.Error(t, err)
	wantPeers(t, a)
}
