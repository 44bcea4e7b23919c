package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/client/wire"
)

// compared is what a diff of two nodes prints, and its exit status.
func compared(t *testing.T, format string, a, b *fakeNode) (string, int) {
	t.Helper()
	var out, stderr bytes.Buffer
	app := &app{stdout: &out, stderr: &stderr, format: format}
	d := differ{app: app, names: [2]string{"a", "b"}, clients: [2]*client.Client{client.Local(a), client.Local(b)}}
	status := app.finish(d.run(t.Context()))
	return out.String() + stderr.String(), status
}

// listing is a node that lists keys, each "key=version".
func listing(digest string, entries ...string) *fakeNode {
	f := newFakeNode()
	f.digest, f.page = digest, 3
	for _, e := range entries {
		key, version, _ := strings.Cut(e, "=")
		f.entries[key] = client.Entry{Key: key, Version: versionOf(version)}
	}
	return f
}

func versionOf(s string) (v client.Version) {
	v[15] = s[0]
	return v
}

func live(version string) client.Holding {
	return client.Holding{State: "live", Version: versionOf(version).String()}
}

func TestEqualDigestsAreBelievedWithoutAListing(t *testing.T) {
	a, b := listing("d", "k=1"), listing("d", "other=1")
	out, status := compared(t, formatTable, a, b)
	require.Equal(t, "a and b hold the same: digest d\n", out)
	require.Zero(t, status)
}

func TestEachKeyThatDiffersIsFoundOnce(t *testing.T) {
	var left, right []string
	var want []string
	for i := range 5000 {
		key := fmt.Sprintf("k%04d", i)
		switch i % 5 {
		case 0:
			left, want = append(left, key+"=1"), append(want, key)
		case 1:
			right, want = append(right, key+"=1"), append(want, key)
		case 2:
			left, right, want = append(left, key+"=1"), append(right, key+"=2"), append(want, key)
		default:
			left, right = append(left, key+"=1"), append(right, key+"=1")
		}
	}
	a, b := listing("d", left...), listing("e", right...)
	a.page, b.page = 100, 171
	out, status := compared(t, formatTable, a, b)
	require.Equal(t, exitDifferent, status)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Equal(t, []string{"KEY", "a", "b"}, strings.Fields(lines[0]))
	require.Equal(t, "3,000 differences in 5,000 keys", lines[len(lines)-1])
	var got []string
	for _, line := range lines[1 : len(lines)-1] {
		got = append(got, strings.Fields(line)[0])
	}
	require.Equal(t, want, got)
}

func TestAKeyThatWasWrittenMeanwhileIsLookedAtAgain(t *testing.T) {
	a, b := listing("d", "k=1", "new=1"), listing("e", "k=2")
	looks := atomic.Int64{}
	both := func(string) client.Holding { looks.Add(1); return live("2") }
	a.held, b.held = both, both
	out, status := compared(t, formatTable, a, b)
	require.Equal(t, "no difference in 2 keys\n", out)
	require.Zero(t, status)
	require.Equal(t, int64(4), looks.Load(), "once, each key on each side")
}

func TestWhatDiffersIsWhatReadersGet(t *testing.T) {
	deleted, expired := client.Holding{State: "deleted", Version: "3"}, client.Holding{State: "expired", Version: live("1").Version}
	unknown := client.Holding{State: "unknown"}
	for _, row := range []struct {
		a, b client.Holding
		want bool
	}{
		{live("1"), live("1"), false},
		{live("1"), live("2"), true},
		{live("1"), deleted, true},
		{unknown, live("1"), true},
		{live("1"), expired, false}, // by one clock only
		{live("2"), expired, true},
		{deleted, unknown, false},
		{expired, deleted, false},
	} {
		d := difference{each: [2]client.Holding{row.a, row.b}}
		require.Equal(t, row.want, d.is(), row)
	}
}

func TestADiffThatIsNotWholeSaysSo(t *testing.T) {
	for _, op := range []wire.Op{wire.OpStatus, wire.OpList, wire.OpHeld} {
		a, b := listing("d", "k1=1", "k2=1", "k3=1", "k4=1"), listing("e")
		b.refuse = func(r *wire.Request) (wire.Code, string) {
			if r.Op == op {
				return wire.CodeNotReady, "it starts"
			}
			return wire.CodeOK, ""
		}
		out, status := compared(t, formatTable, a, b)
		require.Equal(t, 3, status, op)
		require.Contains(t, out, "it starts: not ready")
		require.NotContains(t, out, " in 4 keys")
	}
}

func TestAKeyThatIsNoTextIsSpelledInBase64(t *testing.T) {
	out, status := compared(t, formatJSON, listing("d", "\xff=1"), listing("e"))
	require.Equal(t, exitDifferent, status)
	require.JSONEq(t, `{"key_base64":"/w==","a":{"state":"live","size":"0","version":"`+live("1").Version+
		`","instance":"0000000000000000","written_at":"1970-01-01T00:00:00.000Z"},"b":{"state":"unknown","size":"0"}}`, out)
}
