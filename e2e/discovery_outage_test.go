package e2e

import (
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery/dns/dnstest"
)

// outage is a way in which a discovery service fails.
type outage struct {
	name, provider string
	raced          bool // under the race detector, too

	// lines is how many lines a node may write about it: its failures in turn,
	// such as a connection that breaks, that is not there, that cannot be made.
	lines int
	begin func(t *testing.T) failing
}

// failing is a service that fails when it is told to.
type failing struct {
	flags        []string
	publish      func(addrs ...string) // makes exactly these nodes known, once it works
	strike, mend func()
}

var outages = []outage{
	{"dns, no answer", "dns", false, 1, func(t *testing.T) failing {
		s, f := records(t)
		f.strike, f.mend = func() { s.Handle(silent) }, func() { s.Handle(nil) }
		return f
	}},
	{"dns, SERVFAIL", "dns", true, 1, func(t *testing.T) failing {
		s, f := records(t)
		f.strike, f.mend = func() { s.Fail(dns.RcodeServerFailure) }, func() { s.Fail(dns.RcodeSuccess) }
		return f
	}},
	{"dns, dnsmasq killed", "dns", false, 1, func(t *testing.T) failing {
		s := newDnsmasq(t)
		s.start()
		return failing{dnsFlags(hostName, s.addr), func(addrs ...string) { s.publish(addrs...) }, s.kill, s.start}
	}},
	{"nats, killed", "nats", true, 3, func(t *testing.T) failing {
		s := newNATS(t)
		s.start()
		return failing{patientNATS(s), func(...string) {}, s.kill, s.start}
	}},
	{"nats, stopped in its tracks", "nats", false, 3, func(t *testing.T) failing {
		s := newNATS(t)
		s.start()
		return failing{patientNATS(s), func(...string) {}, s.pause, s.resume}
	}},
	{"kubernetes, killed", "kubernetes", true, 2, func(t *testing.T) failing {
		o := newOrchestrator(t)
		p := o.namespace(t)
		var dead bool
		var next []string // what is there by the time that it is mended
		return failing{
			flags: p.flags(),
			publish: func(addrs ...string) {
				if next = addrs; !dead {
					p.publish(next...)
				}
			},
			strike: func() {
				o.server.Stop(t)
				dead = true
			},
			mend: func() {
				o.server.Restart(t)
				dead = false
				p.publish(next...)
			},
		}
	}},
}

// records runs a DNS server that publishes A records.
func records(t *testing.T) (*dnstest.Server, failing) {
	t.Helper()
	s := dnstest.Start(t)
	return s, failing{flags: dnsFlags(hostName, s.Addr()), publish: func(addrs ...string) { s.SetA(hostName, hostsOf(t, addrs)...) }}
}

func dnsFlags(name, server string) []string {
	return []string{"--discovery", "dns", "--dns-domain", name, "--dns-server", server}
}

// silent leaves a query without an answer.
func silent(dns.ResponseWriter, *dns.Msg) bool { return true }

// patientNATS are the flags of nodes that do not give a server up.
func patientNATS(s *server) []string {
	return []string{"--discovery", "nats", "--nats-server", "nats://" + s.addr, "--nats-max-join-attempts", "1000", "--nats-reconnect-wait", "100ms"}
}

// eachOutage runs a story for each of them.
func eachOutage(t *testing.T, story func(t *testing.T, o outage)) {
	t.Helper()
	all := sideBySide(t, len(outages))
	for _, o := range outages {
		if raceDetector && !o.raced {
			continue // the nodes run the same code as in another one, for longer
		}
		all.run(o.name, func(t *testing.T) { story(t, o) })
	}
	all.wait()
}

const (
	saysFails = `msg="discovery fails; it is tried again"`
	saysWorks = `msg="discovery works again"`
)

// wantWaiting demands that nodes run, are not ready and stay so, while their
// discovery fails again and again, and that they do not say so again and again.
func (o outage) wantWaiting(t *testing.T, nodes ...node) {
	t.Helper()
	for _, n := range nodes {
		wantNotReady(t, n)
	}
	if o.provider == "nats" {
		// Its first connection is one long attempt, which counts as one: for longer
		// than a cluster of one takes to begin, then.
		c := nodes[0].client(t)
		require.Never(t, func() bool { _, err := c.Exists(t.Context(), "k"); return err == nil }, 4*time.Second, 250*time.Millisecond)
	} else {
		for _, n := range nodes {
			n.wantFailures(t, o.provider, 3)
			require.Equal(t, 1, n.count(saysFails), "%s is to say once that discovery fails:\n%s", n.name, n.Log())
		}
	}
	for _, n := range nodes {
		wantNotReady(t, n)
		wantAlive(t, n)
		require.NoError(t, n.wantMembers(t, n.name+" alive"))
	}
}

func TestNodesWhoseDiscoveryIsDeadAtTheStartWaitForItAndAreOneCluster(t *testing.T) {
	t.Parallel() // it waits more than it works
	eachOutage(t, func(t *testing.T, o outage) {
		addrs := addresses(t, 3)
		s := o.begin(t)
		s.publish(addrs...)
		s.strike()
		nodes := startTogether(t, addrs, s.flags...)
		o.wantWaiting(t, nodes...)
		s.mend()
		wantCluster(t, nodes...)
		wantNotBegunAlone(t, nodes...)
	})
}

func TestANodeThatComesWhileDiscoveryIsDeadIsNotReadyUntilItIsBack(t *testing.T) {
	t.Parallel() // it waits more than it works
	eachOutage(t, func(t *testing.T, o outage) {
		addrs := addresses(t, 3)
		s := o.begin(t)
		s.publish(addrs[:2]...)
		early := startTogether(t, addrs[:2], s.flags...)
		wantCluster(t, early...)
		s.strike()
		late := startNode(t, "late", append(s.flags, "--peer-addr", addrs[2])...)
		o.wantWaiting(t, late)
		wantCluster(t, early...) // serves on, and has not grown
		s.publish(addrs...)
		s.mend()
		wantCluster(t, append(early, late)...)
		wantNotBegunAlone(t, late)
		require.Equal(t, early[0].HTTP, late.must(t, "get", "written at n1"))
	})
}

// The service dies, and then all nodes but one; two of them come back elsewhere,
// empty, while the service is still dead.
func TestARunningClusterOutlivesItsDiscovery(t *testing.T) {
	t.Parallel() // it waits more than it works
	eachOutage(t, func(t *testing.T, o outage) {
		addrs := addresses(t, 5)
		s := o.begin(t)
		s.publish(addrs[:3]...)
		nodes := startTogether(t, addrs[:3], s.flags...)
		wantCluster(t, nodes...)
		rest := nodes[0]
		rest.must(t, "put", "kept", "value")
		for _, n := range nodes {
			eventually(t, func() error { return reads(t.Context(), n.client(t), n, "kept", "value") })
		}
		s.strike()
		wantCluster(t, nodes...)

		nodes[1].Kill()
		nodes[2].Kill()
		rest.wantFailures(t, o.provider, rest.metric(t, failures(o.provider))+float64(o.lines)+2)
		require.Equal(t, "value", rest.must(t, "get", "kept"))
		rest.must(t, "put", "kept", "newer")

		back := []node{
			startNode(t, "n2", append(s.flags, "--peer-addr", addrs[3])...),
			startNode(t, "n3", append(s.flags, "--peer-addr", addrs[4])...),
		}
		o.wantWaiting(t, back...)
		require.Equal(t, "newer", rest.must(t, "get", "kept"))
		require.Positive(t, rest.count(saysFails), rest.Log())
		require.LessOrEqual(t, rest.count(saysFails), o.lines, "a line a change, not one an attempt:\n%s", rest.Log())

		s.publish(addrs[0], addrs[3], addrs[4])
		s.mend()
		wantCluster(t, rest, back[0], back[1])
		wantNotBegunAlone(t, back...)
		for _, n := range back {
			require.Equal(t, "newer", n.must(t, "get", "kept"))
		}
		rest.wantLog(t, saysWorks)
		require.Equal(t, 1, rest.count(saysWorks), rest.Log())
		require.Equal(t, 1, rest.count("msg=ready "), rest.Log())
	})
}
