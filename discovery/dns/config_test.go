package dns

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestValidateNamesEveryWrongSetting(t *testing.T) {
	good := Config{DomainName: "gokv.example.org", Port: 7946}
	for _, c := range []struct {
		change func(*Config)
		want   string // of each line the beginning; empty: nothing is wrong
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.DomainName = "gokv.example.org." }, ""},
		{func(c *Config) { c.DomainName, c.Port = "_gokv._tcp.example.org", 0 }, ""},
		{func(c *Config) { c.DomainName, c.Port = "_gokv._udp.gokv", 7946 }, ""},
		{func(c *Config) { c.DomainName = "gokv" }, ""},
		{func(c *Config) { c.DomainName = "xn--gk-lka.example" }, ""},
		{func(c *Config) { c.DomainName = "" }, "dns-domain: empty"},
		{func(c *Config) { c.DomainName = "a..b" }, `dns-domain: "a..b": nothing between two dots`},
		{func(c *Config) { c.DomainName = ".b" }, `dns-domain: ".b": nothing between two dots`},
		{func(c *Config) { c.DomainName = "." }, `dns-domain: ".": nothing`},
		{func(c *Config) { c.DomainName = "a b" }, `dns-domain: "a b": ' ' is no letter`},
		{func(c *Config) { c.DomainName = "gökv.org" }, `dns-domain: "gökv.org": 'ö' is no letter`},
		{func(c *Config) { c.DomainName = "http://x" }, `dns-domain: "http://x": ':' is no letter`},
		{func(c *Config) { c.DomainName = "-a.b" }, `dns-domain: "-a.b": the label "-a" begins or ends with a dash`},
		{func(c *Config) { c.DomainName = "10.0.0.1" }, `dns-domain: "10.0.0.1": an address, not a name`},
		{func(c *Config) { c.DomainName = "[::1]" }, `dns-domain: "[::1]": an address, not a name`},
		{func(c *Config) { c.DomainName = strings.Repeat("a", 64) }, "dns-domain: "},
		{func(c *Config) { c.DomainName = strings.Repeat("a.", 127) + "b" }, "dns-domain: "},
		{func(c *Config) { c.Port = 0 }, "dns-port: 0: needed"},
		{func(c *Config) { c.DomainName, c.Port = "_gokv.example.org", 0 }, "dns-port: 0: needed"},
		{func(c *Config) { c.Port = -1 }, "dns-port: -1: 1 to 65535"},
		{func(c *Config) { c.Port = 65536 }, "dns-port: 65536: 1 to 65535"},
		{func(c *Config) { c.DomainName, c.Port = "_gokv._tcp.x", 65536 }, "dns-port: 65536: 1 to 65535"},
		{func(c *Config) { c.Server = "10.0.0.53:0" }, "dns-server: "},
		{func(c *Config) { c.Server = "10.0.0.53:dns" }, "dns-server: "},
		{func(c *Config) { c.Server = "10.0.0.53:65536" }, "dns-server: "},
		{func(c *Config) { c.Server = ":53" }, "dns-server: "},
		{func(c *Config) { c.Server = "a:b:c" }, "dns-server: "},
		{func(c *Config) { c.Server = "[10.0.0.1]" }, "dns-server: "},
		{func(c *Config) { c.Server = "[::1" }, "dns-server: "},
		{func(c *Config) { c.Server = "0.0.0.0" }, "dns-server: "},
		{func(c *Config) { c.Server = "ns..example" }, "dns-server: "},
		{func(c *Config) { c.Timeout = time.Millisecond }, "dns-timeout: 1ms: 10ms to 30s"},
		{func(c *Config) { c.Timeout = time.Minute }, "dns-timeout: 1m0s: 10ms to 30s"},
		{func(c *Config) { c.Timeout = -1 }, "dns-timeout: -1ns: 10ms to 30s"},
		{func(c *Config) { *c = Config{Port: -1, Server: ":", Timeout: 1} }, "dns-domain: \ndns-port: \ndns-server: \ndns-timeout: "},
	} {
		cfg := good
		c.change(&cfg)
		before := cfg
		err := cfg.Validate()
		require.Equal(t, before, cfg)
		p, newErr := New(cfg)
		if c.want == "" {
			require.NoError(t, err, "%+v", cfg)
			require.NoError(t, newErr)
			require.NoError(t, p.Close())
			continue
		}
		require.Error(t, err, "%+v", cfg)
		require.EqualError(t, newErr, err.Error())
		lines, want := strings.Split(err.Error(), "\n"), strings.Split(c.want, "\n")
		require.Len(t, lines, len(want))
		for i := range lines {
			require.True(t, strings.HasPrefix(lines[i], want[i]), "%q begins with %q", lines[i], want[i])
		}
	}
}

func TestAServerMayHaveAPortOrNot(t *testing.T) {
	for server, want := range map[string]string{
		"10.0.0.53":      "10.0.0.53:53",
		"10.0.0.53:5353": "10.0.0.53:5353",
		"::1":            "[::1]:53",
		"[::1]":          "[::1]:53",
		"[::1]:5353":     "[::1]:5353",
		"fe80::1%eth0":   "[fe80::1%eth0]:53",
		"ns.example":     "ns.example:53",
		"ns:5353":        "ns:5353",
	} {
		got, err := serverAddr(server)
		require.NoError(t, err, server)
		require.Equal(t, want, got)
	}
}
