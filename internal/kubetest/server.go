package kubetest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// variable is the environment variable that names the program.
const variable = "GOKV_TEST_KUBE_APISERVER"

// patience bounds how long the servers may take until they are ready: 4 s on an idle
// machine, many times that on one that runs other tests.
const patience = 2 * time.Minute

// Server is a kube-apiserver and the etcd that it stores into.
type Server struct {
	// Admin is a member of system:masters, whom nothing is refused. It asks as fast as
	// the server answers.
	Admin *rest.Config

	program string
	dir     string // both processes' working directory
	port    *port
	etcd    *process
	api     *process
	frozen  bool
}

// Start starts etcd and kube-apiserver on loopback and waits until they are ready. Both
// end with the test. It skips the test where there is no server to start, and says so.
func Start(t testing.TB) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("starts an API server")
	}
	program := os.Getenv(variable)
	if program == "" {
		why := "LEFT OUT: no API server: " + variable + " names none; `make e2e-kubernetes` builds one and runs the tests that need it"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	if !filepath.IsAbs(program) { // a test runs in its package's directory, not where the variable was set
		t.Fatalf("%s is %q: an absolute path is needed", variable, program)
	}
	s := &Server{program: program, dir: t.TempDir()}
	t.Cleanup(func() {
		s.end()
		if t.Failed() {
			t.Log(s.logs())
		}
	})
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts both servers at once: kube-apiserver waits for etcd by itself.
func (s *Server) start(ctx context.Context) error {
	if err := s.makeIdentities(); err != nil {
		return err
	}
	var err error
	if s.port, err = reservePort(); err != nil {
		return fmt.Errorf("reserve a port: %w", err)
	}
	s.Admin.Host = "https://" + s.address()
	if s.etcd, err = startProcess(s.dir, s.program, "etcd"); err != nil {
		return err
	}
	return s.startAPI(ctx)
}

func (s *Server) startAPI(ctx context.Context) error {
	var err error
	if s.api, err = startProcess(s.dir, s.program, s.flags()...); err != nil {
		return err
	}
	return s.waitReady(ctx)
}

func (s *Server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port.number) }

// flags are kube-apiserver's: what differs from its defaults.
func (s *Server) flags() []string {
	flags := []string{
		"--etcd-servers=unix://etcd.sock",
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.port.number),
		"--tls-cert-file=" + serverCert, "--tls-private-key-file=" + serverKey,
		"--client-ca-file=" + authority,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + accountKey, "--service-account-signing-key-file=" + accountKey,
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.96.0.0/16,fd00:96::/108", // both families, as the manifests may ask for

		// No controller makes the account "default", and this would refuse each pod that
		// has no other.
		"--disable-admission-plugins=ServiceAccount",

		// Nobody reads the Endpoints of the Service "kubernetes", or needs one tester's
		// requests held back for another's.
		"--endpoint-reconciler-type=none",
		"--enable-priority-and-fairness=false",
	}
	return append(flags, s.port.flags()...)
}

// waitReady returns when kube-apiserver says that it is ready, or with what both
// servers had to say when one of them has ended.
func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	transport, err := s.transport()
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	again := time.NewTicker(25 * time.Millisecond)
	defer again.Stop()
	for {
		last := s.askReady(ctx, &client)
		if last == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-s.api.ended:
			return fmt.Errorf("%s\n%s", s.api.outcome(), s.logs())
		case <-s.etcd.ended:
			return fmt.Errorf("%s\n%s", s.etcd.outcome(), s.logs())
		case <-ctx.Done():
			return fmt.Errorf("not ready within %v: %w\n%s", patience, last, s.logs())
		}
	}
}

func (s *Server) askReady(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Admin.Host+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return err
}

// Stop kills the API server: its connections break, and new ones are refused. etcd
// goes on. Stopping a stopped server does nothing.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.api.kill()
	s.frozen = false
	connection, err := net.DialTimeout("tcp", s.address(), time.Second)
	if err == nil {
		_ = connection.Close()
		t.Fatalf("%s accepts connections although the API server has ended", s.address())
	}
}

// Restart starts the API server again, at the same address and with the same data, and
// waits until it is ready. One that runs is killed first.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	if err := s.startAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Freeze makes the API server hang: it accepts connections and requests and answers
// none, until Thaw.
func (s *Server) Freeze(t testing.TB) {
	t.Helper()
	if err := s.api.freeze(); err != nil {
		t.Fatalf("freeze the API server: %v", err)
	}
	s.frozen = true
}

// Thaw lets a frozen API server go on, with what it was asked in the meantime too.
func (s *Server) Thaw(t testing.TB) {
	t.Helper()
	if !s.frozen {
		t.Fatal("thaw the API server: it is not frozen")
	}
	if err := s.api.thaw(); err != nil {
		t.Fatalf("thaw the API server: %v", err)
	}
	s.frozen = false
}

// end ends what was started.
func (s *Server) end() {
	for _, p := range []*process{s.api, s.etcd} {
		if p != nil {
			p.kill()
		}
	}
	if s.port != nil {
		s.port.release()
	}
}

// logs returns the last that each server wrote.
func (s *Server) logs() string {
	var all string
	for _, p := range []*process{s.etcd, s.api} {
		if p != nil {
			all += fmt.Sprintf("-- %s:\n%s\n", p.name, p.log.String())
		}
	}
	return all
}
