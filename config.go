package gokv

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/internal/hostlist"
	"github.com/tochemey/gokv/internal/setting"
)

// Config is what a Node is made from. A zero field means its default, which is
// gokv-node's, with two exceptions: an embedded node has no listener for
// clients and none for HTTP unless their addresses are given.
//
// Each field that a user of gokv-node can set stands in the table that
// [Config.Settings] returns; flags, environment, YAML and the reference in
// docs/configuration.md come from it.
type Config struct {
	// Name is the member's name, 1 to 100 bytes, one a live node in a cluster.
	// Default: the host name, a colon and the peers' port.
	Name string

	// Cluster names the cluster; nodes of another name never join. 1 to 64
	// bytes, default "gokv".
	Cluster string

	// PeerAddr is the UDP address on which peers are served, default
	// 127.0.0.1:7946. Port 0 takes a free one.
	PeerAddr string

	// ClientAddr is the address on which clients are served: QUIC on UDP and
	// TLS on TCP. Empty: no listener for clients.
	ClientAddr string

	// HTTPAddr is the TCP address of /metrics, /healthz and /readyz. Empty:
	// no HTTP listener.
	HTTPAddr string

	// AdvertiseAddr is the host:port that peers dial. Default: PeerAddr as it
	// was bound. A wildcard PeerAddr needs it.
	AdvertiseAddr string

	// Join lists host:port addresses of peers: static discovery. Names are
	// looked up at each attempt. One peer that answers is enough; those that do
	// not are asked again for as long as the node lives. The node's own address
	// in it is ignored.
	Join []string

	// Discovery finds the peers, in Join's place. The node closes it. With
	// neither the node starts a cluster of its own and is ready at once.
	Discovery discovery.Provider

	// BootstrapExpect is how many members, this one included, must have met
	// before they begin a cluster; one that is there is joined whatever their
	// number. 0 to 1000; default 0: whoever discovery finds.
	BootstrapExpect int

	// SyncInterval is the pause between anti-entropy rounds with a peer whose
	// digest differs. 10 ms to 1 h, default 1 s.
	SyncInterval time.Duration

	// TLSCA, TLSCert and TLSKey are PEM files for mutual TLS, for peers and
	// clients; all three or none. They are read again when they change.
	TLSCA, TLSCert, TLSKey string

	// SecretFile holds cluster secrets, one a line; Secrets holds them
	// themselves, in the same form. The first signs, all verify.
	SecretFile string
	Secrets    []string

	// MaxValueSize is the largest value in bytes, 1 B to 15 MiB, default
	// 1 MiB. It must be the same on all members.
	MaxValueSize int64

	// MaxMemory is what the node's memory may come to, in bytes, 64 MiB or more;
	// 0, the default: no limit. Above 85 % of it puts that make the store grow are
	// refused, on all members; above all of it, what other members wrote is.
	// Deletes, and overwrites with no more than there was, always pass. While a
	// node with it runs, Go's soft limit on memory is set accordingly.
	MaxMemory int64

	// MaxClockSkew is how far ahead of the wall clock a version may be.
	// 10 ms to 1 min, default 500 ms.
	MaxClockSkew time.Duration
	// TombstoneGrace is for how long deleted and expired entries wait for a
	// member that is believed dead. Default 10m, 1s to 10000h.
	TombstoneGrace time.Duration

	// MaxTombstones is how many tombstones and expired entries are kept at most
	// while somebody has not seen them. Those beyond go, the oldest first: a put
	// made elsewhere that the delete had not seen, and that comes later, then
	// lives. Default 1,000,000, 10,000 to 1,000,000,000.
	MaxTombstones int

	// Insecure allows addresses that are not loopback without TLS material
	// or secret.
	Insecure bool

	// Logger takes the node's log, default slog.Default().
	Logger *slog.Logger

	// PeerConn, if set, is used in PeerAddr's place: a test's network, or a
	// socket that the embedding program made. The node closes it.
	PeerConn net.PacketConn

	// Clock gives the wall time, default time.Now. Versions, expiries and
	// the limits on clock skew are judged by it.
	Clock func() time.Time

	// Seed feeds the node's random choices (probe order, partners, jitter).
	// Zero: a random one. The instance ID is always random.
	Seed uint64
}

// The defaults that gokv-node starts with.
const (
	DefaultCluster    = "gokv"
	DefaultPeerAddr   = "127.0.0.1:7946"
	DefaultClientAddr = "127.0.0.1:7947"
	DefaultHTTPAddr   = "127.0.0.1:7948"

	defaultSyncInterval   = time.Second
	defaultMaxValueSize   = 1 << 20
	defaultMaxClockSkew   = 500 * time.Millisecond
	defaultTombstoneGrace = 10 * time.Minute
	defaultMaxTombstones  = 1_000_000

	maxBootstrapExpect = 1000

	maxNameBytes    = auth.MaxName
	maxClusterBytes = auth.MaxCluster
	// A frame of the clients' protocol is at most 16 MiB, head and key included.
	largestMaxValueSize = 15 << 20

	leastMaxTombstones, largestMaxTombstones = 10_000, 1_000_000_000
)

// withDefaults returns a copy in which every zero field has its default.
func (c Config) withDefaults() Config {
	if c.Cluster == "" {
		c.Cluster = DefaultCluster
	}
	if c.PeerAddr == "" {
		c.PeerAddr = DefaultPeerAddr
	}
	if c.SyncInterval == 0 {
		c.SyncInterval = defaultSyncInterval
	}
	if c.MaxValueSize == 0 {
		c.MaxValueSize = defaultMaxValueSize
	}
	if c.MaxClockSkew == 0 {
		c.MaxClockSkew = defaultMaxClockSkew
	}
	if c.TombstoneGrace == 0 {
		c.TombstoneGrace = defaultTombstoneGrace
	}
	if c.MaxTombstones == 0 {
		c.MaxTombstones = defaultMaxTombstones
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return c
}

// Validate reports every field that is wrong, a line each, named as the
// setting is. It changes nothing. Zero fields stand for their defaults.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	wrong := func(setting, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", setting, fmt.Sprintf(format, args...)))
	}
	if len(c.Name) > maxNameBytes {
		wrong("name", "%d bytes: at most %d", len(c.Name), maxNameBytes)
	}
	if len(c.Cluster) > maxClusterBytes {
		wrong("cluster", "%d bytes: at most %d", len(c.Cluster), maxClusterBytes)
	}
	for _, a := range []struct{ setting, addr string }{
		{"peer-addr", c.PeerAddr},
		{"client-addr", c.ClientAddr},
		{"http-addr", c.HTTPAddr},
	} {
		if err := checkListenAddr(a.addr); err != nil {
			wrong(a.setting, "%v", err)
		}
	}
	if c.AdvertiseAddr != "" {
		if err := hostlist.Check(c.AdvertiseAddr); err != nil {
			wrong("advertise-addr", "%v", err)
		}
	} else if host, _, err := net.SplitHostPort(c.PeerAddr); err == nil && c.PeerConn == nil && wildcard(host) {
		wrong("advertise-addr", "empty: needed because peer-addr %s is a wildcard, which no peer can dial", c.PeerAddr)
	}
	for _, a := range c.Join {
		if err := hostlist.Check(a); err != nil {
			wrong("join", "%v", err)
		}
	}
	if len(c.Join) > 0 && c.Discovery != nil {
		wrong("join", "%d addresses given, and a discovery provider: one of the two", len(c.Join))
	}
	if c.Discovery != nil && !providerID.MatchString(c.Discovery.ID()) {
		wrong("discovery", "the provider calls itself %q: 1 to 32 lower-case letters, digits and dashes", c.Discovery.ID())
	}
	if c.BootstrapExpect < 0 || c.BootstrapExpect > maxBootstrapExpect {
		wrong("bootstrap-expect", "%d: 0 to %d", c.BootstrapExpect, maxBootstrapExpect)
	}
	between(wrong, "sync-interval", c.SyncInterval, 10*time.Millisecond, time.Hour)
	between(wrong, "max-clock-skew", c.MaxClockSkew, 10*time.Millisecond, time.Minute)
	switch {
	case c.MaxTombstones < leastMaxTombstones:
		wrong("max-tombstones", "%d: at least %d", c.MaxTombstones, leastMaxTombstones)
	case c.MaxTombstones > largestMaxTombstones:
		wrong("max-tombstones", "%d: at most %d", c.MaxTombstones, largestMaxTombstones)
	}
	between(wrong, "tombstone-grace", c.TombstoneGrace, time.Second, 10000*time.Hour)
	switch {
	case c.MaxValueSize < 1:
		wrong("max-value-size", "%d B: at least 1 B", c.MaxValueSize)
	case c.MaxValueSize > largestMaxValueSize:
		wrong("max-value-size", "%s: at most %s", setting.FormatSize(c.MaxValueSize), setting.FormatSize(largestMaxValueSize))
	}
	if c.MaxMemory != 0 && c.MaxMemory < leastMaxMemory {
		wrong("max-memory", "%s: at least %s, or 0 for no limit", setting.FormatSize(c.MaxMemory), setting.FormatSize(leastMaxMemory))
	}
	if n := countSet(c.TLSCA, c.TLSCert, c.TLSKey); n != 0 && n != 3 {
		wrong("tls-ca, tls-cert, tls-key", "%d of the three given: mutual TLS needs all", n)
	}
	return errors.Join(errs...)
}

func between(wrong func(string, string, ...any), setting string, d, least, most time.Duration) {
	switch {
	case d < least:
		wrong(setting, "%v: at least %v", d, least)
	case d > most:
		wrong(setting, "%v: at most %v", d, most)
	}
}

func countSet(ss ...string) int {
	n := 0
	for _, s := range ss {
		if s != "" {
			n++
		}
	}
	return n
}

// checkListenAddr accepts host:port with a numeric port, and the empty string.
func checkListenAddr(addr string) error {
	if addr == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q: not host:port", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("%q: port %q is not a number from 0 to 65535", addr, port)
	}
	return nil
}

// providerID is what a metric label and a log line can bear.
var providerID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

func wildcard(host string) bool {
	if host == "" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

// defaultName is the host name and the peers' port.
func defaultName(peerAddr string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(peerAddr)
	if err != nil {
		return host
	}
	name := host + ":" + port
	if len(name) > maxNameBytes {
		name = strings.TrimLeft(name[len(name)-maxNameBytes:], ".-:")
	}
	return name
}
