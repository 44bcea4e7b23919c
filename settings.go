package gokv

import "github.com/tochemey/gokv/internal/setting"

// Value is one setting's place in a Config, read and written as text. It has
// the methods that the flag and pflag packages ask of a value.
type Value = setting.Value

// Setting is a row of the configuration table: a flag --Name, an environment
// variable GOKV_NAME and a YAML key name, for one field of a Config.
type Setting = setting.Setting

// Settings returns the table of all settings, bound to c's fields, which it
// fills with gokv-node's defaults where they are zero (the listeners' for
// clients and HTTP included).
func (c *Config) Settings() []Setting {
	d := c.withDefaults()
	if d.ClientAddr == "" {
		d.ClientAddr = DefaultClientAddr
	}
	if d.HTTPAddr == "" {
		d.HTTPAddr = DefaultHTTPAddr
	}
	*c = d
	row := setting.Row
	rows := []Setting{
		row("name", "host name:peer port", "the member's `name`, one a live node", setting.FilledText(&c.Name)),
		row("cluster", "", "the cluster's `name`; nodes of another never join", setting.FilledText(&c.Cluster)),
		row("peer-addr", "", "UDP `host:port` for peers", setting.FilledText(&c.PeerAddr)),
		row("client-addr", "", "`host:port` for clients: QUIC on UDP, TLS on TCP", setting.Text(&c.ClientAddr)),
		row("http-addr", "", "`host:port` of /metrics, /healthz and /readyz", setting.Text(&c.HTTPAddr)),
		row("advertise-addr", "peer-addr", "`host:port` that peers dial", setting.Text(&c.AdvertiseAddr)),
		row("join", "none", "peers' addresses, `host:port,…`; alone and ready at once without", setting.List(&c.Join)),
		row("bootstrap-expect", "", "`number` of members that must have met to begin a cluster; 0: whoever discovery finds", setting.Int(&c.BootstrapExpect, 0, maxBootstrapExpect)),
		row("sync-interval", "", "`pause` between anti-entropy rounds, 10ms to 1h", setting.Duration(&c.SyncInterval)),
		row("tls-ca", "none", "PEM `file` of the authority that signs members and clients (mutual TLS)", setting.Text(&c.TLSCA)),
		row("tls-cert", "none", "PEM `file` of this node's certificate", setting.Text(&c.TLSCert)),
		row("tls-key", "none", "PEM `file` of this node's key", setting.Text(&c.TLSKey)),
		row("secret-file", "none", "`file` of cluster secrets, one a line: the first signs, all verify", setting.Text(&c.SecretFile)),
		row("max-value-size", "", "largest value, a `size` up to 15MiB, the same on all members", setting.Size(&c.MaxValueSize)),
		row("max-memory", "none", "`size` that the node's memory may come to, from 64MiB on: above 85 % of it nobody takes puts that make the store grow", setting.OptionalSize(&c.MaxMemory)),
		row("max-clock-skew", "", "how far `ahead` of the wall clock a version may be, 10ms to 1m", setting.Duration(&c.MaxClockSkew)),
		row("max-tombstones", "", "`number` of deleted and expired entries that are kept at most, 10000 to 1000000000: those beyond go before everybody has seen them", setting.Int(&c.MaxTombstones, leastMaxTombstones, largestMaxTombstones)),
		row("tombstone-grace", "", "how `long` deleted and expired entries wait for a member that is believed dead, 1s to 10000h", setting.Duration(&c.TombstoneGrace)),
		row("insecure", "", "allow addresses that are not loopback without TLS files or secret", setting.Bool(&c.Insecure)),
	}
	return setting.Filled(rows)
}
