package main

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client"
)

// printed is what f prints in a format.
func printed(t *testing.T, format string, f func(*app) error) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, f(&app{stdout: &b, format: format}))
	return b.String()
}

func TestStatusSaysForWhomDeadEntriesWait(t *testing.T) {
	status := client.Status{Name: "a", HeldUp: []client.HeldUp{
		{Name: "c", Instance: 3, Dead: true, Reported: true, BehindSeconds: 150, Waiting: 1200},
		{Name: "d", Instance: 4, Dead: true, Earlier: true, Waiting: 1},
		{Instance: 5, Reported: true, BehindSeconds: 0.5, Waiting: 2},
	}}
	table := printed(t, formatTable, func(a *app) error { return a.printStatus(status) })
	require.Regexp(t, `(?m)^held up +1,200 dead entries wait for c, believed dead, which is 2m30s behind$`, table)
	require.Regexp(t, `(?m)^held up +1 dead entry waits for an earlier instance of d, believed dead, which has reported nothing yet$`, table)
	require.Regexp(t, `(?m)^held up +2 dead entries wait for instance 0000000000000005, which is 500ms behind$`, table)

	var decoded struct {
		HeldUp []map[string]any `json:"held_up"`
	}
	require.NoError(t, json.Unmarshal([]byte(printed(t, formatJSON, func(a *app) error { return a.printStatus(status) })), &decoded))
	require.Equal(t, map[string]any{
		"name": "c", "instance": "3", "dead": true, "earlier": false, "reported": true, "behind_seconds": 150.0, "waiting": "1200",
	}, decoded.HeldUp[0])

	status.HeldUp = nil
	for _, format := range []string{formatTable, formatJSON} {
		require.NotRegexp(t, "held.up", printed(t, format, func(a *app) error { return a.printStatus(status) }))
	}
}

func TestForgetSaysWhoCouldNotBeTold(t *testing.T) {
	told := []client.Forgotten{{Member: "a"}, {Member: "b", Error: "no answer"}}
	var b bytes.Buffer
	err := (&app{stdout: &b, format: formatTable}).printForgotten("c", told)
	require.EqualError(t, err, `forget "c": not told: b: no answer: unavailable`)
	require.Equal(t, 3, (&app{stderr: io.Discard}).finish(err))
	require.Regexp(t, `(?m)^b +no$`, b.String())
	b.Reset()
	require.Error(t, (&app{stdout: &b, format: formatJSON}).printForgotten("c", told))
	require.JSONEq(t, `[{"member":"a"},{"member":"b","error":"no answer"}]`, b.String())
}

func TestWhyShowsWhoCouldNotBeAsked(t *testing.T) {
	holdings := []client.Holding{{Member: "a", State: "deleted", Version: "00ff", Instance: 5}, {Member: "b", Error: "believed dead"}}
	table := printed(t, formatTable, func(a *app) error { return a.printWhy(holdings) })
	require.Regexp(t, `(?m)^a +deleted +0 B +1970-01-01T00:00:00.000Z +0000000000000005 +- +00ff$`, table)
	require.Regexp(t, `(?m)^b +not asked: believed dead$`, table)
	require.JSONEq(t, `[{"member":"a","state":"deleted","size":"0","version":"00ff","instance":"0000000000000005",
		"written_at":"1970-01-01T00:00:00.000Z"},{"member":"b","error":"believed dead"}]`,
		printed(t, formatJSON, func(a *app) error { return a.printWhy(holdings) }))

	err := (&app{stdout: io.Discard, format: formatTable}).printWhy([]client.Holding{{Member: "a", State: "unknown"}, {Member: "b", Error: "x"}})
	require.Equal(t, 1, (&app{stderr: io.Discard}).finish(err))
}
