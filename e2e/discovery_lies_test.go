package e2e

import (
	"crypto/rand"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/dns/dnstest"
)

// A cluster loses all nodes but one, which asks for others at once, and is lied to.
func TestWhoIsLeftOfAClusterLivesThroughEveryLie(t *testing.T) {
	t.Parallel() // it waits more than it works
	stranger := startNode(t, "stranger", "--cluster", "another")
	deaf, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer deaf.Close()
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprintf("127.251.%d.%d:%d", i/250, 1+i%250, 7000+i%3)
	}
	lies := sideBySide(t, 3)
	for _, lie := range []struct {
		name  string
		addrs []string // besides the node's own
	}{
		{"nobody", nil},
		{"who never answers", []string{deaf.LocalAddr().String()}},
		{"where nothing is", []string{"127.251.0.1:1"}},
		{"another cluster", []string{stranger.Peer}},
		{"ten thousand", many},
	} {
		lies.run(lie.name, func(t *testing.T) {
			s := dnstest.Start(t)
			s.SetTTL(0)
			addrs := addresses(t, 3)
			s.SetSRV(serviceName, addrs...)
			flags := dnsFlags(serviceName, s.Addr())
			nodes := startTogether(t, addrs, flags...)
			wantCluster(t, nodes...)
			rest := nodes[0]

			s.SetSRV(serviceName, append(lie.addrs, addrs[0])...)
			nodes[1].Kill()
			nodes[2].Kill()
			s.Queries() // forgets those that there were
			asked := 0
			eventually(t, func() error {
				for _, q := range s.Queries() {
					if strings.HasSuffix(q, " SRV udp") { // not by TCP again, nor a target's address
						asked++
					}
				}
				if asked < 4 {
					return fmt.Errorf("%d questions", asked)
				}
				return nil
			})
			require.Equal(t, nodes[1].HTTP, rest.must(t, "get", "written at n2"))
			rest.must(t, "put", "kept", "newer")

			s.SetSRV(serviceName, addrs...)
			back := []node{
				startNode(t, "n2", append(flags, "--peer-addr", addrs[1])...),
				startNode(t, "n3", append(flags, "--peer-addr", addrs[2])...),
			}
			wantCluster(t, rest, back[0], back[1])
			require.Equal(t, "newer", back[1].must(t, "get", "kept"))
			require.Equal(t, 1, rest.count("msg=ready "), rest.Log())
		})
	}
	lies.wait()
	wantCluster(t, stranger)
}

// Two of three have to have met, whatever the service says.
func TestNodesWaitForAsManyAsAreExpected(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := dnstest.Start(t)
	s.SetTTL(0)
	addrs := addresses(t, 3)
	flags := append(dnsFlags(hostName, s.Addr()), "--bootstrap-expect", "2")
	first := startNode(t, "n1", append(flags, "--peer-addr", addrs[0])...)
	c := first.client(t)
	require.Never(t, func() bool { _, err := c.Exists(t.Context(), "k"); return err == nil }, 5*time.Second, 250*time.Millisecond)
	require.Greater(t, len(s.Queries()), 3, "it is to ask again and again")
	wantNotReady(t, first)

	second := startNode(t, "n2", append(flags, "--peer-addr", addrs[1])...)
	s.SetA(hostName, hostsOf(t, addrs[:2])...)
	wantCluster(t, first, second)
	third := startNode(t, "n3", append(flags, "--peer-addr", addrs[2])...)
	wantCluster(t, first, second, third) // one address that leads there is enough
	wantNotBegunAlone(t, first, second, third)
}

func TestClustersThatShareAServiceStayApartAndThoseOfOneNameMerge(t *testing.T) {
	t.Parallel() // it waits more than it works
	s := newNATS(t)
	s.start()
	records := dnstest.Start(t)
	records.SetTTL(0)
	addrs := addresses(t, 6)

	// Over NATS another cluster's nodes are not even seen; by DNS they are, below.
	red := startTogether(t, addrs[:2], append(patientNATS(s), "--cluster", "red")...)
	blue := startTogether(t, addrs[2:4], append(patientNATS(s), "--cluster", "blue")...)
	wantCluster(t, red...)
	wantCluster(t, blue...)

	// Two that began apart: nobody told them of each other.
	left := startNode(t, "left", append(dnsFlags("left.test", records.Addr()), "--peer-addr", addrs[4])...)
	right := startNode(t, "right", append(dnsFlags("right.test", records.Addr()), "--peer-addr", addrs[5])...)
	wantCluster(t, left)
	wantCluster(t, right)
	records.SetA("left.test", hostsOf(t, addrs[2:3])...)
	left.wantFailures(t, "dns", 1) // a stranger, who is counted and is no peer
	wantCluster(t, left)
	wantCluster(t, blue...)
	records.SetA("left.test", hostsOf(t, addrs[5:])...)
	wantCluster(t, left, right)
	require.Equal(t, right.HTTP, left.must(t, "get", "written at right"))
	wantCluster(t, red...)
	wantCluster(t, blue...)
}

func TestAFloodOfRandomBytesOnTheSubjectChangesNothing(t *testing.T) {
	s := newNATS(t)
	s.start()
	addrs := addresses(t, 3)
	nodes := startTogether(t, addrs[:2], patientNATS(s)...)
	wantCluster(t, nodes...)
	nc, err := nats.Connect("nats://" + s.addr)
	require.NoError(t, err)
	defer nc.Close()
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			garbage := make([]byte, 700)
			_, _ = rand.Read(garbage)
			for _, n := range []int{0, 1, 64, 512, 513, 700} {
				if err := nc.PublishRequest("gokv.discovery", "gokv.discovery", garbage[:n]); err != nil {
					ended <- err
					return
				}
			}
			if err := nc.Flush(); err != nil {
				ended <- err
				return
			}
		}
	}()
	wantCluster(t, nodes...)
	close(stop)
	require.NoError(t, <-ended)
	late := startNode(t, "late", append(patientNATS(s), "--peer-addr", addrs[2])...)
	wantCluster(t, append(nodes, late)...)
}

// What the command line says wrong ends the node; what a server says is waited out,
// or was promised to end it.
func TestBadInputToDiscoveryIsNamed(t *testing.T) {
	closed := newServer(t, nextHost()) // nothing listens there
	for name, c := range map[string]struct {
		flags []string
		exit  int
		says  []string
	}{
		"a provider that is none":  {[]string{"--discovery", "consul"}, 2, []string{`"consul" is not one of static, dns, nats, kubernetes`}},
		"a list beside a provider": {[]string{"--discovery", "dns", "--dns-domain", "a.test", "--dns-port", "1", "--join", "127.0.0.1:1"}, 2, []string{"join: it is static discovery's, and discovery is dns"}},
		"malformed entries":        {[]string{"--join", "a,127.0.0.1:0"}, 2, []string{`join: "a": not host:port`, `join: "127.0.0.1:0": port`}},
		"no domain":                {[]string{"--discovery", "dns"}, 2, []string{"dns-domain: empty"}},
		"an address for a domain":  {[]string{"--discovery", "dns", "--dns-domain", "10.0.0.1"}, 2, []string{"dns-domain: ", "an address, not a name"}},
		"no NATS server":           {[]string{"--discovery", "nats"}, 2, []string{"nats-server: "}},
		"no labels":                {[]string{"--discovery", "kubernetes"}, 2, []string{"kubernetes-pod-labels: empty", "kubernetes-discovery-port-name: empty"}},
		"no pod": {
			[]string{"--discovery", "kubernetes", "--kubernetes-pod-labels", "app=a", "--kubernetes-discovery-port-name", "peers"},
			1,
			[]string{"kubeconfig: none is given, and this is no pod"},
		},
		"no kubeconfig": {
			[]string{"--discovery", "kubernetes", "--kubernetes-pod-labels", "app=a", "--kubernetes-discovery-port-name", "peers", "--kubeconfig", filepath.Join(t.TempDir(), "none")},
			1,
			[]string{"kubeconfig: ", "no such file"},
		},
		"a NATS server that is not there": {
			[]string{"--discovery", "nats", "--nats-server", "nats://" + closed.addr, "--nats-max-join-attempts", "2", "--nats-reconnect-wait", "10ms"},
			1,
			[]string{closed.addr},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := runCommand(t, exec.CommandContext(deadline(t), binaries.Node, append([]string{"--peer-addr", "127.0.0.1:0", "--client-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"}, c.flags...)...))
			require.Equal(t, c.exit, r.exit, "%s%s", r.stdout, r.stderr)
			for _, says := range c.says {
				require.Contains(t, r.stderr, says)
			}
		})
	}
}
