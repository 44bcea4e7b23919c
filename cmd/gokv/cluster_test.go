package main

import (
	"bytes"
	"encoding/json"
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
