package e2e

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// SIGTERM while writes are still on their way: the node hands them over, leaves,
// and exits 0; what it acknowledged is on the others.
func TestSigtermHandsUnpushedWritesOverLeavesAndExitsZero(t *testing.T) {
	a, b, c := startCluster(t)
	input := filepath.Join(t.TempDir(), "in.ndjson")
	const entries = 20_000
	writeNDJSON(t, input, entries)

	load := binaries.Command(t.Context(), c.Client, "import", input)
	var said bytes.Buffer
	load.Stdout, load.Stderr = &said, &said
	require.NoError(t, load.Run(), &said)
	exit, err := c.Terminate(deadline(t)) // at once: the last pushes have just been queued
	require.NoError(t, err)
	require.Zero(t, exit, c.Log())

	for _, n := range []node{a, b} {
		eventually(t, func() error { return n.wantMembers(t, "a alive", "b alive", "c left") })
		require.NotContains(t, n.Log(), `msg="member failed"`, "c was to say goodbye")
		s, err := n.status(t)
		require.NoError(t, err)
		require.EqualValues(t, entries, s.Entries, "%s lacks writes that c had acknowledged", n.name)
	}
	wantOneRoot(t, a, b)
	require.Contains(t, c.Log(), `msg=stopping`)
}

// Requests in flight are finished: a client that was importing when its node was
// told to end loses nothing that was acknowledged, and goes on with another node.
func TestSigtermUnderLoadLosesNothingAndTheClientGoesElsewhere(t *testing.T) {
	a, b, c := startCluster(t)
	input := filepath.Join(t.TempDir(), "in.ndjson")
	const entries = 100_000
	writeNDJSON(t, input, entries)

	load := binaries.Command(t.Context(), c.Client+","+a.Client, "--timeout", "30s", "import", input)
	var said bytes.Buffer
	load.Stdout, load.Stderr = &said, &said
	require.NoError(t, load.Start())
	eventually(t, func() error {
		s, err := a.status(t)
		if err == nil && s.Entries < entries/20 {
			err = fmt.Errorf("%d entries", s.Entries)
		}
		return err
	})
	exit, err := c.Terminate(deadline(t))
	require.NoError(t, err)
	require.Zero(t, exit, c.Log())
	require.NoError(t, load.Wait(), &said)
	require.Positive(t, a.metric(t, `gokv_client_requests_total{code="ok",op="put"}`), "the client was to go on with a")
	s := wantOneRoot(t, a, b)
	require.EqualValues(t, entries, s.Entries)
}

func writeNDJSON(t *testing.T, file string, entries int) {
	t.Helper()
	var b strings.Builder
	for i := range entries {
		fmt.Fprintf(&b, `{"key":"k/%06d","text":"%s %d"}`+"\n", i, strings.Repeat("x", 100), i)
	}
	writeFile(t, file, b.String())
}
