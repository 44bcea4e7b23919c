package gokv_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

// startWithClock starts three nodes; the clock of c is off by what is stored.
func startWithClock(t *testing.T) (clustertest.T, *atomic.Int64) {
	off := new(atomic.Int64)
	c := clustertest.Start(t, 3, func(name string, cfg *gokv.Config) {
		cfg.HTTPAddr = "127.0.0.1:0"
		if name == "c" {
			cfg.Clock = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
		}
	})
	require.Eventually(t, func() bool {
		// Its clock has been compared with both of the others'.
		off.Store(int64(2 * time.Second))
		defer off.Store(0)
		return c.Node("c").Status().Fenced
	}, time.Minute, time.Millisecond)
	return c, off
}

func TestANodeWhoseClockIsOffTakesNoWritesAndReadsAndMergesOn(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, -2 * time.Second, 2 * time.Second, time.Hour, 87_600 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			c, off := startWithClock(t)
			ctx := within(t)
			c.Put("a", "k", "before", client.WithTTL(30*time.Minute))
			c.WantConverged("k", "before")
			node := c.Node("c")
			require.Equal(t, http.StatusOK, get(t, node, "/readyz"))

			off.Store(int64(step))
			err := node.Client().Put(ctx, "k", []byte("wrong"))
			require.ErrorIs(t, err, client.ErrFenced)
			require.ErrorContains(t, err, "the node's clock is")
			require.Equal(t, 4, client.ExitStatus(err))
			require.ErrorIs(t, node.Client().Delete(ctx, "k"), client.ErrFenced)
			require.Equal(t, http.StatusServiceUnavailable, get(t, node, "/readyz"))
			require.Contains(t, body(t, node, "/metrics"), "\ngokv_fenced 1\n")
			require.InDelta(t, -step.Seconds(), node.Status().ClockOffsetSeconds, 1)

			off.Store(0)
			require.Equal(t, http.StatusOK, get(t, node, "/readyz"))
			c.Put("c", "mine", "after")
			c.WantConverged("k", "before", "mine", "after")
		})
	}
}

// A node whose clock is two seconds behind parks what the others write, and merges
// it when it is due.
func TestWhatIsAheadOfANodesClockIsMergedWhenItIsDue(t *testing.T) {
	c, off := startWithClock(t)
	off.Store(int64(-2 * time.Second))
	c.Put("a", "k", "v")
	node := c.Node("c")
	require.Eventually(t, func() bool {
		got, err := node.Client().Get(t.Context(), "k")
		if err == nil {
			return string(got.Value) == "v"
		}
		require.ErrorIs(t, err, client.ErrNotFound)
		return false
	}, time.Minute, 5*time.Millisecond)
	require.Contains(t, body(t, node, "/metrics"), "\ngokv_versions_refused_total 0\n")
	require.Eventually(t, func() bool {
		return strings.Contains(body(t, node, "/metrics"), "\ngokv_versions_parked 0\n")
	}, time.Minute, 5*time.Millisecond)
}
