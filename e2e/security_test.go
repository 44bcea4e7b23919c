package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/auth/authtest"
)

// secret writes a file of secrets as `gokv secret new` prints them.
func secret(t *testing.T) (file string) {
	t.Helper()
	r := runCommand(t, binaries.Command(deadline(t), "127.0.0.1:1", "secret", "new"))
	require.Zero(t, r.exit, r.stderr)
	return writeFile(t, filepath.Join(t.TempDir(), "secret"), r.stdout)
}

func tlsFlags(ca *authtest.CA, f authtest.Files) []string {
	return []string{"--tls-ca", ca.File, "--tls-cert", f.Cert, "--tls-key", f.Key}
}

// wantRefused demands that a node has refused a handshake for a reason, in its
// counter and in its log.
func (n node) wantRefused(t *testing.T, reason string) {
	t.Helper()
	n.wantLog(t, `msg="handshake refused" reason=`+reason)
	require.Positive(t, n.metric(t, `gokv_handshakes_refused_total{reason="`+reason+`"}`))
}

// wantMore waits until a counter exceeds a value.
func (n node) wantMore(t *testing.T, series string, before float64) {
	t.Helper()
	eventually(t, func() error {
		if now := n.metric(t, series); now <= before {
			return fmt.Errorf("%s of %s is still %v", series, n.name, now)
		}
		return nil
	})
}

// wantOutside demands that a node which knocks does not get in: it is not ready,
// and no member to the node at whose door it stands.
func wantOutside(t *testing.T, inside, outside node) {
	t.Helper()
	require.NoError(t, inside.wantMembers(t, inside.name+" alive"))
	r := outside.gokv(t, "--timeout", "300ms", "get", "k")
	require.Equal(t, 3, r.exit, "%s is to be not ready: %s", outside.name, r.stderr)
}

func TestASecretLetsPeersAndClientsInAndNobodyElse(t *testing.T) {
	ours, theirs := secret(t), secret(t)
	mine := []string{"--secret-file", ours}
	a := startNode(t, "a", mine...)
	b := startNode(t, "b", append(mine, "--join", a.Peer)...)
	require.NoError(t, b.WaitReady(deadline(t)))
	a.must(t, "--secret-file", ours, "put", "k", "v")
	eventually(t, func() error {
		r := b.gokv(t, "--secret-file", ours, "get", "k")
		if r.exit == 1 {
			return errNotYet
		}
		require.Equal(t, result{"v", "", 0}, r)
		return nil
	})

	for name, flags := range map[string][]string{"another secret": {"--secret-file", theirs}, "no secret": nil} {
		t.Run("client with "+name, func(t *testing.T) {
			for _, scheme := range []string{"tls://", "quic://"} {
				before := a.metric(t, `gokv_handshakes_refused_total{reason="wrong_secret"}`)
				r := runCommand(t, binaries.Command(deadline(t), scheme+a.Client, append(flags, "get", "k")...))
				require.Equal(t, 4, r.exit, r.stderr)
				require.Contains(t, r.stderr, "secret")
				require.Empty(t, r.stdout)
				a.wantMore(t, `gokv_handshakes_refused_total{reason="wrong_secret"}`, before)
			}
		})
	}
	a.wantLog(t, `msg="handshake refused" reason=wrong_secret`)
}

func TestANodeWithAnotherSecretIsRefused(t *testing.T) {
	ours, theirs := secret(t), secret(t)
	a := startNode(t, "a", "--secret-file", ours)
	stray := startNode(t, "stray", "--secret-file", theirs, "--join", a.Peer)
	a.wantRefused(t, "wrong_secret")
	stray.wantRefused(t, "wrong_secret")
	require.Equal(t, 3, stray.gokv(t, "--secret-file", theirs, "--timeout", "300ms", "get", "k").exit)
}

func TestANodeOfAnotherClusterIsRefused(t *testing.T) {
	a := startNode(t, "a", "--cluster", "blue")
	// Whoever finds none of its own cluster begins one after a while, unless it is to wait for others.
	stray := startNode(t, "stray", "--cluster", "green", "--join", a.Peer, "--bootstrap-expect", "2")
	a.wantRefused(t, "wrong_cluster")
	wantOutside(t, a, stray)
}

// A rotation goes old, old+next, next+old, next, node by node: at each step both
// sorts of nodes and clients are about.
func TestSecretsAreRotatedWithoutAnOutage(t *testing.T) {
	t.Parallel() // it waits more than it works
	old, next := readFile(t, secret(t)), readFile(t, secret(t))
	var steps []string
	for i, text := range []string{old, old + next, next + old, next} {
		steps = append(steps, writeFile(t, filepath.Join(t.TempDir(), fmt.Sprint(i)), text))
	}
	for i := range len(steps) - 1 {
		t.Run(fmt.Sprintf("step %d to %d", i, i+1), func(t *testing.T) {
			a := startNode(t, "a", "--secret-file", steps[i])
			b := startNode(t, "b", "--secret-file", steps[i+1], "--join", a.Peer)
			require.NoError(t, b.WaitReady(deadline(t)))
			a.must(t, "--secret-file", steps[i+1], "put", "k", "v")
			require.Equal(t, "v", a.must(t, "--secret-file", steps[i], "get", "k"))
			require.Empty(t, b.must(t, "--secret-file", steps[i], "delete", "k"))
		})
	}
}

func TestMutualTLSLetsPeersAndClientsInAndNobodyElse(t *testing.T) {
	ours, theirs := authtest.NewCA(t), authtest.NewCA(t)
	mine := func() []string { return tlsFlags(ours, ours.Issue(t, authtest.Leaf{})) }
	a := startNode(t, "a", mine()...)
	b := startNode(t, "b", append(mine(), "--join", a.Peer)...)
	require.NoError(t, b.WaitReady(deadline(t)))
	client := mine()
	a.must(t, append(client, "put", "k", "v")...)
	require.Positive(t, a.metric(t, "gokv_certificate_expiry_seconds"))

	stray := startNode(t, "stray", append(tlsFlags(theirs, theirs.Issue(t, authtest.Leaf{})), "--join", a.Peer)...)
	eventually(t, func() error {
		// Either end may be the first to see that the other's CA is not its own.
		if a.metric(t, `gokv_handshakes_refused_total{reason="bad_certificate"}`)+
			stray.metric(t, `gokv_handshakes_refused_total{reason="bad_certificate"}`) == 0 {
			return errNotYet
		}
		return nil
	})

	for name, flags := range map[string][]string{
		"another CA's certificate": append(tlsFlags(ours, theirs.Issue(t, authtest.Leaf{})), "get", "k"),
		"no certificate":           {"get", "k"},
	} {
		t.Run("client with "+name, func(t *testing.T) {
			for _, scheme := range []string{"tls://", "quic://"} {
				before := a.metric(t, `gokv_handshakes_refused_total{reason="bad_certificate"}`)
				r := runCommand(t, binaries.Command(deadline(t), scheme+a.Client, flags...))
				require.Equal(t, 4, r.exit, r.stderr)
				require.Empty(t, r.stdout)
				a.wantMore(t, `gokv_handshakes_refused_total{reason="bad_certificate"}`, before)
			}
		})
	}
	a.wantLog(t, `msg="handshake refused" reason=bad_certificate`)
	r := b.gokv(t, append(client, "get", "k")...)
	require.Equal(t, "v", r.stdout)
}
