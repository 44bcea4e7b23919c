package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// The names that nodes are found under.
const (
	hostName    = "gokv.test"
	serviceName = "_gokv._udp.gokv.test"
)

// often is how long lies between two looks at a server.
const often = 10 * time.Millisecond

// server is a discovery service of Debian's as a process. Its address stays the
// same when it is killed and started again.
type server struct {
	t     *testing.T
	host  string
	addr  string
	args  []string
	ready func() bool
	cmd   *exec.Cmd
	out   *lockedBuffer
}

// newServer takes a free port of a host for a server, which does not run yet. On
// 127.0.0.1 the port of one that is down would not stay free: any connection may
// leave from it, even one that tries to reach the server.
func newServer(t *testing.T, host string) *server {
	t.Helper()
	s := &server{t: t, host: host}
	require.Eventually(t, func() bool { // the same port for UDP and for TCP
		udp, err := net.ListenPacket("udp", s.host+":0")
		if err != nil {
			return false
		}
		defer udp.Close()
		s.addr = udp.LocalAddr().String()
		tcp, err := net.Listen("tcp", s.addr)
		if err != nil {
			return false
		}
		return tcp.Close() == nil
	}, patience, often)
	t.Cleanup(s.kill)
	return s
}

func (s *server) port() string {
	_, port, err := net.SplitHostPort(s.addr)
	require.NoError(s.t, err)
	return port
}

// start runs the server and returns when it answers.
func (s *server) start() {
	s.t.Helper()
	s.out = &lockedBuffer{}
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // dnsmasq forks for TCP
	require.NoError(s.t, s.cmd.Start())
	require.Eventually(s.t, s.ready, patience, often, "%s says nothing", s.args[0])
}

// kill ends the server without a word to anybody.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
	if s.t.Failed() {
		s.t.Logf("%s:\n%s", s.args[0], tail(s.out.String(), 4<<10))
	}
}

// dnsmasq serves hostName's A records from a file, which it reads again when it is
// told to.
type dnsmasq struct {
	*server
	file string
}

// newDnsmasq returns one with these nodes' addresses, not started.
func newDnsmasq(t *testing.T, addrs ...string) *dnsmasq {
	t.Helper()
	bin, s := need(t, "dnsmasq"), newServer(t, nextHost())
	d := &dnsmasq{s, filepath.Join(t.TempDir(), "hosts")}
	s.args = []string{
		bin, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=", "--pid-file=", "--log-facility=-",
		"--bind-interfaces", "--listen-address=" + s.host, "--port=" + s.port(), "--local=/test/", "--addn-hosts=" + d.file,
	}
	s.ready = s.answersDNS
	d.publish(addrs...)
	return d
}

// publish makes exactly these nodes known.
func (d *dnsmasq) publish(addrs ...string) {
	d.t.Helper()
	text := ""
	for _, host := range hostsOf(d.t, addrs) {
		text += host + " " + hostName + "\n"
	}
	writeFile(d.t, d.file+".next", text) // renamed: it may be read at any time
	require.NoError(d.t, os.Rename(d.file+".next", d.file))
	if d.cmd != nil {
		d.signal(syscall.SIGHUP)
	}
}

const namedConf = `options {
	directory "%[1]s"; listen-on port %[2]s { %[3]s; }; listen-on-v6 { none; };
	pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no;
	managed-keys-directory "%[1]s"; allow-query { any; };
};
controls { };
zone "gokv.test" { type primary; file "%[1]s/zone"; };
`

// newNamed returns BIND, not started, with these addresses.
func newNamed(t *testing.T, addrs ...string) *server {
	t.Helper()
	// named listens at addresses of interfaces alone. It is never down here.
	bin, s := need(t, "named"), newServer(t, "127.0.0.1")
	dir := t.TempDir()
	zone := "$TTL 1\n@ IN SOA ns nobody 1 60 60 60 1\n@ IN NS ns\nns IN A 127.0.0.1\n"
	for i, a := range addrs {
		host, port, err := net.SplitHostPort(a)
		require.NoError(t, err)
		zone += fmt.Sprintf("@ IN A %s\nn%d IN A %s\n_gokv._udp IN SRV 0 0 %s n%d\n", host, i, host, port, i)
	}
	writeFile(t, filepath.Join(dir, "zone"), zone)
	conf := writeFile(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(namedConf, dir, s.port(), s.host))
	s.args = []string{bin, "-g", "-4", "-n", "1", "-c", conf}
	s.ready = s.answersDNS
	return s
}

func (s *server) answersDNS() bool {
	m, err := dns.Exchange(new(dns.Msg).SetQuestion(hostName+".", dns.TypeA), s.addr)
	return err == nil && m.Rcode != dns.RcodeServerFailure
}

// newNATS returns Debian's nats-server, not started.
func newNATS(t *testing.T) *server {
	t.Helper()
	bin, s := need(t, "nats-server"), newServer(t, nextHost())
	s.args = []string{bin, "-a", s.host, "-p", s.port()}
	s.ready = func() bool {
		nc, err := nats.Connect("nats://"+s.addr, nats.NoReconnect())
		if err != nil {
			return false
		}
		nc.Close()
		return true
	}
	return s
}

// pause and resume stop and continue a server: it accepts, and says nothing.
func (s *server) pause()  { s.signal(syscall.SIGSTOP) }
func (s *server) resume() { s.signal(syscall.SIGCONT) }

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}
