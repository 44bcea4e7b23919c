package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/debindex"
)

// leastPackages is what a Debian package index holds at the very least; a machine
// that never ran apt-get update has a few hundred.
const leastPackages = 10_000

// debianIndex writes this machine's package index as NDJSON and returns what a
// store is to hold: each key's value.
func debianIndex(t *testing.T, file string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(deadline(t), need(t, "apt-cache"), "dumpavail")
	index, err := cmd.Output()
	require.NoError(t, err)
	if bytes.Count(index, []byte("\nPackage: ")) < leastPackages {
		missing(t, "Debian's package index (apt-get update)")
	}
	if raceDetector { // a tenth of the speed: a part shows the same
		index = firstStanzas(index, leastPackages)
	}
	out, err := os.Create(file)
	require.NoError(t, err)
	stats, err := debindex.WriteNDJSON(out, bytes.NewReader(index))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	t.Logf("%d packages, %d bytes", stats.Packages, stats.TextBytes)

	want := make(map[string]string, stats.Packages)
	for in := debindex.NewReader(bytes.NewReader(index)); ; {
		p, err := in.Next()
		if err != nil {
			break
		}
		if _, ok := want[p.Key()]; !ok {
			want[p.Key()] = string(p.Text)
		}
	}
	require.Len(t, want, stats.Packages)
	return want
}

// firstStanzas cuts an index after n stanzas.
func firstStanzas(index []byte, n int) []byte {
	end := 0
	for range n {
		i := bytes.Index(index[end:], []byte("\n\n"))
		if i < 0 {
			return index
		}
		end += i + len("\n\n")
	}
	return index[:end]
}

// The package index goes through a; halfway b is killed, and comes back empty when
// the others have noticed. Whatever was pushed meanwhile, b ends with the same
// bytes as a and c.
func TestDebianIndexSurvivesTheLossOfANode(t *testing.T) {
	dir := t.TempDir()
	input := filepath.Join(dir, "packages.ndjson")
	want := debianIndex(t, input)
	a, b, c := startCluster(t)

	load := binaries.Command(t.Context(), a.Client, "import", input)
	var said bytes.Buffer
	load.Stdout, load.Stderr = &said, &said
	require.NoError(t, load.Start())
	imported := make(chan error, 1)
	go func() { imported <- load.Wait() }()

	half := count(len(want) / 2)
	atDeath := count(0)
	for atDeath < half {
		s, err := a.status(t, "--timeout", "30s")
		require.NoError(t, err)
		atDeath = s.Entries
	}
	b.Kill()
	select {
	case err := <-imported:
		require.Fail(t, "the import ended before b was killed", "%v: %s", err, &said)
	default:
	}
	require.Less(t, atDeath, count(len(want)), "b was to die before all was in")
	t.Logf("b killed after %d entries", atDeath)

	for _, survivor := range []node{a, c} {
		survivor.wantLog(t, `msg="member failed" name=b`)
	}
	again := startNode(t, "b", "--peer-addr", b.Peer, "--join", a.Peer+","+c.Peer)
	require.NoError(t, again.WaitReady(deadline(t)))
	for _, n := range []node{a, c} {
		n.wantLog(t, `(?s)msg="member failed" name=b .*msg="member joined" name=b `)
	}
	select {
	case err := <-imported:
		require.NoError(t, err, &said)
	case <-deadline(t).Done():
		require.Fail(t, "the import does not end", &said)
	}
	t.Log(strings.TrimSpace(said.String()))

	s := wantOneRoot(t, a, again, c)
	require.EqualValues(t, len(want), s.Entries)
	require.NotEmpty(t, s.RootDigest)
	require.Positive(t, again.metric(t, `gokv_sync_entries_total{direction="received"}`),
		"what b had missed was to come in a round")

	exports := make(map[string][]byte)
	for _, n := range []node{a, again, c} {
		exports[n.name] = []byte(n.must(t, "export"))
	}
	require.True(t, bytes.Equal(exports["a"], exports["b"]), "the exports of a and b differ")
	require.True(t, bytes.Equal(exports["a"], exports["c"]), "the exports of a and c differ")
	wantExport(t, exports["a"], want)
}

// wantExport demands that an export holds exactly the given keys and values, in
// key order.
func wantExport(t *testing.T, export []byte, want map[string]string) {
	t.Helper()
	previous, n := "", 0
	lines := bufio.NewScanner(bytes.NewReader(export))
	lines.Buffer(nil, 4<<20)
	for ; lines.Scan(); n++ {
		var e struct {
			Key     string
			Value   []byte
			Version string
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		text, ok := want[e.Key]
		if !ok || text != string(e.Value) || e.Key <= previous || e.Version == "" {
			require.Fail(t, "a line of the export is wrong", "%s after %q: known %v, value as loaded %v",
				lines.Bytes(), previous, ok, text == string(e.Value))
		}
		previous = e.Key
	}
	require.NoError(t, lines.Err())
	require.Equal(t, len(want), n, "lines exported")
}

// A process that is killed and comes back before anybody noticed takes its old
// instance's place.
func TestANodeThatIsKilledAndBackAtOnceSupersedesItsOldInstance(t *testing.T) {
	t.Parallel() // it waits more than it works
	a, b, c := startCluster(t)
	input := filepath.Join(t.TempDir(), "in.ndjson")
	const entries = 500
	writeNDJSON(t, input, entries)
	c.must(t, "import", input)
	c.must(t, "put", "k/000007", "new")
	wantOneRoot(t, a, b, c)
	c.Kill()
	again := startNode(t, "c", "--peer-addr", c.Peer, "--client-addr", c.Client, "--join", a.Peer)
	require.NoError(t, again.WaitReady(deadline(t)))
	for _, n := range []node{a, b, again} {
		eventually(t, func() error { return n.wantMembers(t, "a alive", "b alive", "c alive") })
	}
	s := wantOneRoot(t, a, b, again)
	require.EqualValues(t, entries, s.Entries)
	require.Equal(t, a.must(t, "export"), again.must(t, "export"))
	require.Equal(t, "new", again.must(t, "get", "k/000007"))
}
