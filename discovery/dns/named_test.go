package dns

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/discoverytest"
)

// named is BIND, authoritative for the zone gokv.test.
type named struct {
	process
	zone   string
	serial int
}

const namedConf = `options {
	directory "%[1]s"; listen-on port %[2]s { 127.0.0.1; }; listen-on-v6 { none; };
	pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no;
	managed-keys-directory "%[1]s"; allow-query { any; }; max-records-per-type 0;
};
controls { };
zone "gokv.test" { type primary; file "%[3]s"; };
`

func newNamed(t *testing.T) *named {
	t.Helper()
	bin, dir, port := find(t, "named", "bind9"), t.TempDir(), freePort(t, "127.0.0.1")
	n := &named{zone: filepath.Join(dir, "zone")}
	conf := filepath.Join(dir, "named.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, namedConf, dir, port, n.zone), 0o600))
	n.process = process{t: t, addr: "127.0.0.1:" + port, args: []string{bin, "-g", "-4", "-n", "1", "-c", conf}}
	n.write()
	n.start()
	t.Cleanup(n.kill)
	return n
}

// write makes these records the zone's, besides what each zone has.
func (n *named) write(records ...string) {
	n.t.Helper()
	n.serial++
	text := fmt.Sprintf("$TTL 1\n@ IN SOA ns nobody %d 60 60 60 1\n@ IN NS ns\nns IN A 127.0.0.1\n%s\n", n.serial, strings.Join(records, "\n"))
	next := n.zone + ".next"
	require.NoError(n.t, os.WriteFile(next, []byte(text), 0o600))
	require.NoError(n.t, os.Rename(next, n.zone))
	n.reload()
}

func (n *named) publish(t *testing.T, addrs ...string) {
	t.Helper()
	var records []string
	for i, a := range addrs {
		h, port, err := net.SplitHostPort(a)
		require.NoError(t, err)
		records = append(records, fmt.Sprintf("_gokv._tcp IN SRV 0 0 %s n%d", port, i), fmt.Sprintf("n%d IN A %s", i, h))
	}
	n.write(records...)
}

func TestNamedsRecordsAppearChangeAndVanish(t *testing.T) {
	n := newNamed(t)
	p := newProviderAt(t, n.addr, asService)
	wantNobody(t, p)
	n.publish(t, "127.0.0.1:7101", "127.0.0.2:7102")
	eventually(t, p, "127.0.0.1:7101", "127.0.0.2:7102")
	n.publish(t, "127.0.0.3:7103")
	eventually(t, p, "127.0.0.3:7103")
	n.publish(t)
	eventually(t, p)
	n.write("@ IN A 127.0.0.4", "@ IN AAAA fd00::4", "alias IN CNAME @", "_gokv._tcp IN SRV 0 0 0 .")
	eventually(t, newProviderAt(t, n.addr), "127.0.0.4:7946")
	wantNobody(t, newProviderAt(t, n.addr, asService)) // "."
	wantPeers(t, newProviderAt(t, n.addr, ipv6), "[fd00::4]:7946")
	wantPeers(t, newProviderAt(t, n.addr, func(c *Config) { c.DomainName = "alias.gokv.test" }), "127.0.0.4:7946")
	wantFailure(t, newProviderAt(t, n.addr, func(c *Config) { c.DomainName = "example.org" }), n.addr+": REFUSED")

	n.kill()
	wantFailure(t, newProviderAt(t, n.addr), n.addr+": connection refused")
	n.start()
	wantPeers(t, newProviderAt(t, n.addr), "127.0.0.4:7946")
}

func TestNamedCutsDatagramsShortAndGivesAllByTCP(t *testing.T) {
	n := newNamed(t)
	var records, want []string
	for i := range 4000 {
		ip := fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)
		records, want = append(records, "@ IN A "+ip), append(want, ip+":7946")
	}
	n.write(records...)
	eventually(t, newProviderAt(t, n.addr), want...)
}

func TestTheProviderPassesTheSuiteWithNamed(t *testing.T) {
	n := newNamed(t)
	discoverytest.Run(t, discoverytest.Harness{
		New:     made(n.addr, asService),
		Publish: n.publish,
		Break:   func(*testing.T) { n.kill() },
		Mend:    func(*testing.T) { n.start() },
	})
}
