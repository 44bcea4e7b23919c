package gokv

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSettingsReadBackWhatTheyPrint(t *testing.T) {
	var c Config
	for _, r := range c.Settings() {
		if text := r.Value.String(); text != "" {
			require.NoError(t, r.Value.Set(text), r.Name)
			require.Equal(t, text, r.Value.String(), r.Name)
		}
	}
}

func TestValidateNamesEveryWrongField(t *testing.T) {
	err := Config{
		Name:          strings.Repeat("n", 101),
		Cluster:       strings.Repeat("c", 65),
		PeerAddr:      "nowhere",
		ClientAddr:    "127.0.0.1:http",
		HTTPAddr:      "127.0.0.1:70000",
		Join:          []string{"10.0.0.1:7946", "10.0.0.2", "10.0.0.3:0", ":7946"},
		SyncInterval:  time.Millisecond,
		MaxClockSkew:  time.Hour,
		MaxValueSize:  1 << 30,
		MaxMemory:     1 << 20,
		MaxTombstones: 1,
		TLSCA:         "ca.pem",
	}.Validate()
	require.Error(t, err)
	require.Equal(t, []string{
		"name: 101 bytes: at most 100",
		"cluster: 65 bytes: at most 64",
		`peer-addr: "nowhere": not host:port`,
		`client-addr: "127.0.0.1:http": port "http" is not a number from 0 to 65535`,
		`http-addr: "127.0.0.1:70000": port "70000" is not a number from 0 to 65535`,
		`join: "10.0.0.2": not host:port`,
		`join: "10.0.0.3:0": port "0" is not a number from 1 to 65535`,
		`join: ":7946": "" is no host that can be dialled`,
		"sync-interval: 1ms: at least 10ms",
		"max-clock-skew: 1h0m0s: at most 1m0s",
		"max-tombstones: 1: at least 10000",
		"max-value-size: 1024MiB: at most 15MiB",
		"max-memory: 1MiB: at least 64MiB, or 0 for no limit",
		"tls-ca, tls-cert, tls-key: 1 of the three given: mutual TLS needs all",
	}, strings.Split(err.Error(), "\n"))
	require.NoError(t, Config{}.Validate())
}

func TestAWildcardNeedsAnAddressToAdvertise(t *testing.T) {
	require.ErrorContains(t, Config{PeerAddr: "0.0.0.0:7946"}.Validate(), "advertise-addr: empty")
	require.NoError(t, Config{PeerAddr: ":7946", AdvertiseAddr: "10.0.0.1:7946"}.Validate())
}

func TestBadValuesSayWhatIsAllowed(t *testing.T) {
	var c Config
	for _, r := range c.Settings() {
		switch r.Name {
		case "name", "cluster", "peer-addr":
			require.ErrorContains(t, r.Value.Set(""), "empty")
		}
		switch r.Value.Type() {
		case "duration":
			require.ErrorContains(t, r.Value.Set("soon"), "such as 500ms")
			require.ErrorContains(t, r.Value.Set("0s"), "above zero")
		case "size":
			require.ErrorContains(t, r.Value.Set("big"), "such as 4096")
			require.ErrorContains(t, r.Value.Set("0"), "above zero")
		case "list":
			require.ErrorContains(t, r.Value.Set(" ,,"), "names nothing")
			require.NoError(t, r.Value.Set(""))
		case "bool":
			require.ErrorContains(t, r.Value.Set("perhaps"), "neither true nor false")
		}
	}
}
