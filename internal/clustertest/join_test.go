package clustertest

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/internal/invariant"
)

// A join of 100 MiB of which nothing gets through for so long that its stream is
// given up. The bulk has a connection of its own, so that probes pass all the while:
// were they to wait for its window, no ack would come. And what came stays: it goes on
// from there.
func TestABulkThatStandsStillDelaysNoProbeAndGoesOnWhereItWas(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: waits until a stream is given up, 10 s; -short leaves it out")
	}
	if invariant.Enabled {
		t.Skip("NOT RUN: 100 MiB are too much for a build whose invariants are checked")
	}
	c := Start(t, 2, func(_ string, cfg *gokv.Config) { cfg.HTTPAddr = "127.0.0.1:0" })
	const entries = 1_600
	large := strings.Repeat("v", 64<<10)
	for i := range entries {
		c.Put("a", fmt.Sprintf("large/%04d", i), large)
	}
	c.WantConverged()
	sentBefore := c.metric("a", sentInRounds) + c.metric("b", sentInRounds)

	require.NoError(t, c.Add(t.Context(), "c"))
	c.eventually(func() bool { return c.Node("c").Status().Entries > entries/2 }, "nothing comes")
	c.Network().Choke(1_000)
	dropped := c.Network().Dropped()
	require.False(t, c.Node("c").Ready(), "the join was over before it was choked")
	for _, name := range c.Names() {
		acks := c.metric(name, ackedProbes)
		c.eventually(func() bool { return c.metric(name, ackedProbes) >= acks+3 }, "the probes of "+name+" are not answered")
	}
	c.eventually(func() bool { return c.Node("c").Status().RoundsFailed > 0 }, "the stream is not given up")
	require.Greater(t, c.Network().Dropped(), dropped, "it was choked")
	require.False(t, c.Node("c").Ready())
	had := c.Node("c").Status().Entries
	c.Heal()
	c.WantConverged()

	for _, word := range []string{"member suspected", "member failed", "refuted that this node had failed"} {
		require.NotContains(t, c.logs.String(), word)
	}
	// What was on its way when the stream broke is sent again: some windows of it.
	const onItsWay = 150
	require.Less(t, had, uint64(entries-2*onItsWay), "too much had come for the break to show anything")
	require.LessOrEqual(t, c.metric("a", sentInRounds)+c.metric("b", sentInRounds)-sentBefore, float64(entries+onItsWay))
	require.LessOrEqual(t, c.metric("c", `gokv_entries_ignored_total{by="round"}`), float64(onItsWay))
}

const (
	sentInRounds = `gokv_sync_entries_total{direction="sent"}`
	ackedProbes  = `gokv_probes_total{result="ack"}`
)

// metric reads one series of a node.
func (c T) metric(name, series string) float64 {
	c.t.Helper()
	resp, err := http.Get("http://" + c.Node(name).Addrs().HTTP + "/metrics") //nolint:noctx // a test's own node
	require.NoError(c.t, err)
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			require.NoError(c.t, err)
			return v
		}
	}
	require.Fail(c.t, "no such metric", series)
	return 0
}
