package dns

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/discoverytest"
)

// process is a DNS server of Debian's, at a loopback port that stays the same.
type process struct {
	t    *testing.T
	args []string
	addr string
	cmd  *exec.Cmd
	out  *bytes.Buffer
}

func find(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, file := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if bin, err := exec.LookPath(file); err == nil {
			return bin
		}
	}
	missing := fmt.Sprintf("LEFT OUT: no %s in PATH or /usr/sbin (Debian: apt-get install %s)", name, pkg)
	if os.Getenv("CI") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// processHost is not 127.0.0.1, whose port would not stay free while the server is
// down: any connection may leave from it, even one that tries to reach the server.
const processHost = "127.0.0.2"

func freePort(t *testing.T, host string) string {
	t.Helper()
	for {
		pc, err := net.ListenPacket("udp", host+":0")
		require.NoError(t, err)
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		require.NoError(t, pc.Close())
		if err != nil {
			continue
		}
		require.NoError(t, l.Close())
		_, port, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		return port
	}
}

func (p *process) start() {
	p.t.Helper()
	p.out = &bytes.Buffer{}
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	// dnsmasq forks for TCP: a group of its own is ended as a whole.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(p.t, p.cmd.Start())
	require.Eventually(p.t, func() bool {
		_, err := dns.Exchange(new(dns.Msg).SetQuestion("started.gokv.test.", dns.TypeA), p.addr)
		return err == nil
	}, patience, often, "%s says nothing", p.args[0])
}

// kill ends it without a word to anybody.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	_ = p.cmd.Wait() // says that it was killed
	p.cmd = nil
	if p.t.Failed() {
		p.t.Log(p.out.String())
	}
}

func (p *process) reload() {
	p.t.Helper()
	if p.cmd != nil {
		require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGHUP))
	}
}

// dnsmasq serves host's addresses from a file, and one SRV record with two
// targets that the file may name.
type dnsmasq struct {
	process
	hosts string
}

func newDnsmasq(t *testing.T, args ...string) *dnsmasq {
	t.Helper()
	bin, dir, port := find(t, "dnsmasq", "dnsmasq-base"), t.TempDir(), freePort(t, processHost)
	d := &dnsmasq{hosts: filepath.Join(dir, "hosts")}
	d.process = process{t: t, addr: processHost + ":" + port, args: append([]string{
		bin, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=", "--pid-file=",
		"--log-facility=-", "--bind-interfaces", "--listen-address=" + processHost, "--port=" + port, "--local=/test/",
		"--addn-hosts=" + d.hosts,
	}, args...)}
	d.write()
	d.start()
	t.Cleanup(d.kill)
	return d
}

// write makes these lines, "address name", the whole of the file.
func (d *dnsmasq) write(lines ...string) {
	d.t.Helper()
	// Renamed into place: it may be read at any time.
	next := d.hosts + ".next"
	require.NoError(d.t, os.WriteFile(next, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	require.NoError(d.t, os.Rename(next, d.hosts))
	d.reload()
}

func (d *dnsmasq) publish(ips ...string) {
	d.t.Helper()
	lines := make([]string, len(ips))
	for i, ip := range ips {
		lines[i] = ip + " " + host
	}
	d.write(lines...)
}

// eventually waits for the records to show.
func eventually(t *testing.T, p *Provider, want ...string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		got, err := p.DiscoverPeers(t.Context())
		require.NoError(c, err)
		require.Equal(c, want, slices.Sorted(slices.Values(got))) // thousands: ElementsMatch compares each with each
	}, patience, often)
}

func TestDnsmasqsRecordsAppearChangeAndVanish(t *testing.T) {
	d := newDnsmasq(t)
	p := newProviderAt(t, d.addr)
	wantNobody(t, p)
	d.publish("127.0.0.1", "127.0.0.2")
	eventually(t, p, "127.0.0.1:7946", "127.0.0.2:7946")
	d.publish("127.0.0.3")
	eventually(t, p, "127.0.0.3:7946")
	d.publish()
	eventually(t, p)

	d.publish("127.0.0.4")
	eventually(t, p, "127.0.0.4:7946")
	d.kill()
	require.Empty(t, wantFailure(t, p, d.addr+": connection refused"))
	d.start()
	wantPeers(t, p, "127.0.0.4:7946")
}

func TestDnsmasqCutsDatagramsShortAndGivesAllByTCP(t *testing.T) {
	d := newDnsmasq(t)
	var ips, want []string
	for i := range 500 {
		ips = append(ips, fmt.Sprintf("10.0.%d.%d", i/250, i%250+1))
		want = append(want, ips[i]+":7946")
	}
	d.publish(ips...)
	eventually(t, newProviderAt(t, d.addr), want...)
}

func TestDnsmasqsServiceRecords(t *testing.T) {
	d := newDnsmasq(t, "--srv-host="+srvName+",n1.gokv.test,7101", "--srv-host="+srvName+",n2.gokv.test,7102",
		"--cname=alias.test,"+host)
	p := newProviderAt(t, d.addr, asService)
	wantNobody(t, p) // no target exists
	d.write("127.0.0.1 n1.gokv.test", "fd00::1 n1.gokv.test", "127.0.0.9 "+host)
	eventually(t, p, "127.0.0.1:7101")
	d.write("127.0.0.1 n1.gokv.test", "fd00::1 n1.gokv.test", "127.0.0.2 n2.gokv.test", "127.0.0.9 "+host)
	eventually(t, p, "127.0.0.1:7101", "127.0.0.2:7102")
	wantPeers(t, newProviderAt(t, d.addr, asService, ipv6), "[fd00::1]:7101")
	wantPeers(t, newProviderAt(t, d.addr, func(c *Config) { c.DomainName = "Alias.Test" }), "127.0.0.9:7946")
	// It is told of no server for other names: REFUSED.
	wantFailure(t, newProviderAt(t, d.addr, func(c *Config) { c.DomainName = "example.org" }), d.addr+": REFUSED")
}

func TestTheProviderPassesTheSuiteWithDnsmasq(t *testing.T) {
	d := newDnsmasq(t)
	discoverytest.Run(t, discoverytest.Harness{
		New:     made(d.addr),
		Publish: func(t *testing.T, addrs ...string) { d.publish(hostsOf(t, addrs)...) },
		Break:   func(*testing.T) { d.kill() },
		Mend:    func(*testing.T) { d.start() },
		Addrs:   onePort,
	})
}
