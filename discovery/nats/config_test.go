package nats

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/discovery/nats/natstest"
)

func TestEveryWrongFieldIsNamedAsItsSetting(t *testing.T) {
	err := Config{
		Server: "http://a:1", Subject: "a b", Timeout: time.Millisecond, MaxJoinAttempts: -1, ReconnectWait: time.Hour,
		DiscoveryPort: 70000, Host: "0.0.0.0", Credentials: "/none", NKey: "/none", TLSCA: "/none", TLSCert: "/none",
	}.Validate()
	require.Error(t, err)
	for _, name := range []string{
		"nats-server: ", "nats-subject: ", "nats-timeout: 1ms: at least 10ms", "nats-max-join-attempts: -1: from 1 to 1000",
		"nats-reconnect-wait: 1h0m0s: at most 1m0s", "nats-discovery-port: 70000", "nats-host: ", "nats-creds: /none: ", "nats-nkey: /none: ",
		"nats-creds, nats-nkey: one of them at most", "nats-tls-ca: /none: ", "nats-tls-cert, nats-tls-key: both or neither",
	} {
		require.Contains(t, "\n"+err.Error(), "\n"+name)
	}
	_, newErr := New(Config{Server: "x:y"})
	require.ErrorContains(t, newErr, "nats-server")
	require.NoError(t, Config{Server: "127.0.0.1"}.Validate())
}

func TestRangesHoldTheirEnds(t *testing.T) {
	ok := Config{Server: "nats://127.0.0.1:4222"}
	for _, c := range []struct {
		change func(*Config)
		good   bool
	}{
		{func(c *Config) { c.Timeout = 10 * time.Millisecond }, true},
		{func(c *Config) { c.Timeout = 5 * time.Second }, true},
		{func(c *Config) { c.Timeout = 5*time.Second + 1 }, false},
		{func(c *Config) { c.Timeout = -1 }, false},
		{func(c *Config) { c.MaxJoinAttempts = 1000 }, true},
		{func(c *Config) { c.MaxJoinAttempts = 1001 }, false},
		{func(c *Config) { c.ReconnectWait = time.Minute }, true},
		{func(c *Config) { c.ReconnectWait = 9 * time.Millisecond }, false},
		{func(c *Config) { c.DiscoveryPort = 65535 }, true},
		{func(c *Config) { c.DiscoveryPort = -1 }, false},
		{func(c *Config) { c.Subject = strings.Repeat("s", 255) }, true},
		{func(c *Config) { c.Subject = strings.Repeat("s", 256) }, false},
		{func(c *Config) { c.Subject = "a.*.b" }, false},
		{func(c *Config) { c.Subject = "a.>" }, false},
		{func(c *Config) { c.Subject = "a..b" }, false},
		{func(c *Config) { c.Subject = ".a" }, false},
		{func(c *Config) { c.Subject = "a." }, false},
		{func(c *Config) { c.Subject = "a\r\nPUB x 0" }, false},
		{func(c *Config) { c.Subject = "é" }, false},
		{func(c *Config) { c.Subject = "$SYS.x" }, false},
		{func(c *Config) { c.Subject = "_INBOX.x" }, false},
		{func(c *Config) { c.Host = "2001:db8::1" }, true},
		{func(c *Config) { c.Host = "[2001:db8::1]" }, false},
		{func(c *Config) { c.Host = "a.example." }, true},
		{func(c *Config) { c.Host = "a.example:1" }, false},
	} {
		cfg := ok
		c.change(&cfg)
		if err := cfg.Validate(); c.good {
			require.NoError(t, err, "%+v", cfg)
		} else {
			require.Error(t, err, "%+v", cfg)
		}
	}
}

func TestServersAreReadAndTheirSecretsNeverPrinted(t *testing.T) {
	servers, err := parseServers("nats://a.example, tls://u:p%40ss@[2001:db8::1]:5222 ,10.0.0.1,nats://t0ken@b/")
	require.NoError(t, err)
	for i, name := range []string{"a.example:4222", "[2001:db8::1]:5222", "10.0.0.1:4222", "b:4222"} {
		require.Equal(t, name, servers[i].name)
	}
	require.Equal(t, "tls://u:p%40ss@[2001:db8::1]:5222", servers[1].url)
	for _, bad := range []string{
		"", " ", ",", "a,", "http://u:s3cret@a", "ws://a", "nats://", "nats://u:s3cret@", "nats://u:s3cret@a:0", "nats://u:s3cret@a:70000",
		"nats://u:s3cret@a:x", "nats://u:s3c#ret@a", "nats://u:s3/cret@a", "nats://u:s3cret%zz@a", "nats://u:s3cret@a/path", "nats://u:s3cret@a?x=1",
		"nats://u:s3cret@0.0.0.0", "u:s3cret@a b", "nats://a:\x00", strings.Repeat("a,", 40) + "a",
	} {
		_, err := parseServers(bad)
		require.ErrorContains(t, err, "nats-server: ", bad)
		require.NotContains(t, err.Error(), "s3", bad)
		require.NotContains(t, err.Error(), "cret", bad)
	}
}

func TestFilesThatAreMissingOrMalformedAreNamed(t *testing.T) {
	junk := file(t, "junk", []byte("this is no key\n"))
	empty := file(t, "empty", nil)
	dir := t.TempDir()
	ca := newAuthority(t)
	cert, key := ca.issue("client", 0)
	_, otherKey := ca.issue("other", 0)
	account := file(t, "account", []byte("SAANJIBNEKGCRUWJCPIWUXFBFJLR36FJTFKGBGKAT7AQXH2LVFNQWZJMQU\n"))
	check := func(setting string, change func(c *Config, f string), files ...string) {
		t.Helper()
		for _, f := range append(files, junk, empty, dir, filepath.Join(dir, "none")) {
			cfg := Config{Server: "a"}
			change(&cfg, f)
			err := cfg.Validate()
			require.ErrorContains(t, err, setting+": ", f)
			require.ErrorContains(t, err, f)
			require.NotContains(t, err.Error(), "SAAN")
		}
	}
	check("nats-creds", func(c *Config, f string) { c.Credentials = f }, account)
	check("nats-nkey", func(c *Config, f string) { c.NKey = f }, account)
	check("nats-tls-ca", func(c *Config, f string) { c.TLSCA = f }, key)
	check("nats-tls-cert", func(c *Config, f string) { c.TLSCert, c.TLSKey = f, key }, key)
	check("nats-tls-key", func(c *Config, f string) { c.TLSCert, c.TLSKey = cert, f }, otherKey)
	require.NoError(t, Config{Server: "a", TLSCA: ca.ca(), TLSCert: cert, TLSKey: key}.Validate())
}

// counting is an address that refuses each connection after having counted it.
func counting(t *testing.T) (url string, accepted chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted = make(chan struct{}, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- struct{}{}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "nats://u:s3cret@" + l.Addr().String(), accepted
}

func TestInitializeGivesUpAfterExactlyMaxJoinAttempts(t *testing.T) {
	url, accepted := counting(t)
	cfg := quick(url)
	cfg.MaxJoinAttempts = 3
	p := prepared(t, cfg, "c", "10.0.0.1:1")
	err := p.Initialize(t.Context())
	require.ErrorIs(t, err, discovery.ErrPermanent)
	require.ErrorContains(t, err, "after 3 attempts")
	require.ErrorContains(t, err, strings.TrimPrefix(url, "nats://u:s3cret@"))
	require.NotContains(t, err.Error(), "s3cret")
	require.Len(t, accepted, 3)
}

func TestInitializeSaysWhatARefusedConnectionWas(t *testing.T) {
	srv := natstest.Start(t)
	srv.Stop()
	cfg := quick(srv.URL)
	cfg.MaxJoinAttempts = 2
	err := prepared(t, cfg, "c", "10.0.0.1:1").Initialize(t.Context())
	require.ErrorIs(t, err, discovery.ErrPermanent)
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, err, "after 2 attempts")
	cfg.Server = "does-not-exist.invalid"
	err = prepared(t, cfg, "c", "10.0.0.1:1").Initialize(t.Context())
	require.ErrorIs(t, err, discovery.ErrPermanent)
	require.ErrorContains(t, err, "does-not-exist.invalid")
}

func TestInitializeEndsWithItsContextAndCountsOn(t *testing.T) {
	url, accepted := counting(t)
	cfg := quick(url)
	cfg.MaxJoinAttempts, cfg.ReconnectWait = 2, time.Minute
	p := prepared(t, cfg, "c", "10.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := p.Initialize(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "after 1 of 2 attempts")
	require.NotErrorIs(t, err, discovery.ErrPermanent)
	require.ErrorIs(t, p.Initialize(ctx), context.DeadlineExceeded, "ended before")
	err = p.Initialize(t.Context())
	require.ErrorIs(t, err, discovery.ErrPermanent, "the second attempt is the last")
	require.Len(t, accepted, 2)
}

func TestAServerThatSaysNothingCostsTwoSecondsAnAttempt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg := quick("nats://" + l.Addr().String())
	cfg.MaxJoinAttempts = 1
	p := prepared(t, cfg, "c", "10.0.0.1:1")
	began := time.Now()
	err = p.Initialize(t.Context())
	require.ErrorIs(t, err, discovery.ErrPermanent)
	require.ErrorContains(t, err, "no answer within 2s")
	require.Less(t, time.Since(began), patience)

	// Neither a context nor Close waits that long.
	for name, end := range map[string]func(cancel func()){
		"the context": func(cancel func()) { cancel() },
		"Close":       func(func()) { require.NoError(t, p.Close()) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Initialize(ctx) }()
		end(cancel)
		err := <-done
		require.True(t, errors.Is(err, context.Canceled) || errors.Is(err, errClosed), "%s: %v", name, err)
		cancel()
		p = prepared(t, cfg, "c", "10.0.0.1:1")
	}
}

func TestOneServerOfAListIsEnough(t *testing.T) {
	srv := natstest.Start(t)
	gone := natstest.Start(t)
	gone.Stop()
	cfg := quick(gone.URL + "," + srv.URL)
	cfg.MaxJoinAttempts = 1
	meet(t, cfg)
}
