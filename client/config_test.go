package client

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAddressesAreHostAndPortWithOrWithoutATransport(t *testing.T) {
	for s, want := range map[string]address{
		"127.0.0.1:7947":     {"127.0.0.1:7947", schemeAny, "127.0.0.1:7947"},
		"quic://[::1]:1":     {"quic://[::1]:1", schemeQUIC, "[::1]:1"},
		"tls://node-a:65535": {"tls://node-a:65535", schemeTLS, "node-a:65535"},
	} {
		got, err := parseAddr(s)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for s, want := range map[string]string{
		"":                 `address "": missing port in address`,
		"host":             `address "host": missing port in address`,
		"::1:7947":         `address "::1:7947": too many colons in address`,
		":7947":            `address ":7947": host is missing`,
		"host:":            `address "host:": port "" is not a number from 1 to 65535`,
		"host:0":           `address "host:0": port "0" is not a number from 1 to 65535`,
		"host:http":        `address "host:http": port "http" is not a number from 1 to 65535`,
		"host:65536":       `address "host:65536": port "65536" is not a number from 1 to 65535`,
		"tls://host":       `address "tls://host": missing port in address`,
		"unix:///run/gokv": `address "unix:///run/gokv": scheme "unix" is not supported, use host:port, quic://host:port or tls://host:port`,
		"http://host:7947": `address "http://host:7947": scheme "http" is not supported, use host:port, quic://host:port or tls://host:port`,
		"quic://host:1/x":  `address "quic://host:1/x": port "1/x" is not a number from 1 to 65535`,
	} {
		_, err := parseAddr(s)
		require.EqualError(t, err, want)
	}
}

func TestNewNamesEverythingThatIsWrong(t *testing.T) {
	_, err := New(Config{
		Addrs: []string{"good:1", "bad", "unix:///x"}, TLS: &tls.Config{}, CAFile: "ca",
		Timeout: -1, DialTimeout: 1, Attempts: -1, MaxFrame: 1,
	})
	require.ErrorIs(t, err, ErrInvalid)
	require.Equal(t, 2, ExitStatus(err))
	for _, want := range []string{
		`address "bad": missing port`, `scheme "unix" is not supported`, "TLS and certificate files are both given",
		"Timeout: -1ns: at least 1ms", "DialTimeout: 1ns: at least 1ms", "Attempts: -1: at least 0",
		"MaxFrame: 1: from 65536 to 1073741824",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "good")

	_, err = New(Config{Addrs: []string{"10.0.0.1:1", "127.0.0.1:2", "example.com:3"}})
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "10.0.0.1:1 is not loopback")
	require.ErrorContains(t, err, "example.com:3 is not loopback")
	require.NotContains(t, err.Error(), "127.0.0.1:2")
	c, err := New(Config{Addrs: []string{"10.0.0.1:1"}, Insecure: true})
	require.NoError(t, err)
	require.NoError(t, c.Close())

	_, err = New(Config{SecretFile: filepath.Join(t.TempDir(), "none")})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = New(Config{Secrets: []string{"c2hvcnQ="}})
	require.ErrorIs(t, err, ErrInvalid)
}

func TestTheZeroConfigIsAClientOfThisHost(t *testing.T) {
	c := Config{}.withDefaults()
	require.NoError(t, c.Validate())
	require.Equal(t, []string{DefaultAddr}, c.Addrs)
	require.Equal(t, 5*time.Second, c.Timeout)
	require.NotNil(t, c.Logger)
}

func TestDelaysHaveFullJitter(t *testing.T) {
	const first, most = 50 * time.Millisecond, 500 * time.Millisecond
	var low, high bool
	for range 200 {
		b := newBackoff(first, most)
		bound := first
		for i := range 8 {
			d := b.NextBackOff()
			require.GreaterOrEqual(t, d, time.Duration(0))
			require.LessOrEqual(t, d, bound+time.Millisecond, fmt.Sprint(i))
			low, high = low || d < bound/4, high || d > bound*3/4
			bound = min(2*bound, most)
		}
	}
	require.True(t, low && high)
}

func TestLongKeysAreShortenedInErrors(t *testing.T) {
	err := &Error{Key: strings.Repeat("k", 1000)}
	require.Less(t, len(err.Error()), 200)
}
