package gokv_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

// heldUp waits until what a node says of who holds purging up is as wanted.
func heldUp(t *testing.T, c clustertest.T, node string, want func([]client.HeldUp) bool) []client.HeldUp {
	t.Helper()
	var got []client.HeldUp
	require.Eventually(t, func() bool {
		got = c.Node(node).Status().HeldUp
		return want(got)
	}, time.Minute, 5*time.Millisecond, "what holds purging up at %s: %+v", node, &got)
	return got
}

// purged writes and deletes through a node and waits until it has forgotten that.
func purged(t *testing.T, c clustertest.T, node string) {
	t.Helper()
	c.Put(node, "passing", "v")
	c.Delete(node, "passing")
	require.Eventually(t, func() bool { return c.Node(node).Status().Tombstones == 0 }, time.Minute, 5*time.Millisecond)
}

func TestStatusNamesTheDeadMemberThatPurgingWaitsFor(t *testing.T) {
	c := clustertest.Start(t, 3)
	require.Empty(t, c.Node("a").Status().HeldUp, "nothing waits")
	purged(t, c, "a") // so that c has reported
	c.Put("a", "k", "v")
	c.Put("a", "l", "v")
	c.Kill("c")
	c.WantAlive("a", "a|b")
	c.Delete("a", "k")
	c.Delete("a", "l")
	got := heldUp(t, c, "a", func(h []client.HeldUp) bool { return len(h) == 1 && h[0].Dead })
	require.Equal(t, "c", got[0].Name)
	require.Equal(t, uint64(2), got[0].Waiting)
	require.False(t, got[0].Earlier)
	require.True(t, got[0].Reported)
	require.Positive(t, got[0].BehindSeconds)

	c.Revive("c")
	got = heldUp(t, c, "a", func(h []client.HeldUp) bool { return len(h) == 1 && h[0].Earlier })
	require.Equal(t, "c", got[0].Name)
	require.True(t, got[0].Dead, "the instance is, not the name")
}

func TestStatusSaysNothingOnceNothingWaits(t *testing.T) {
	c := clustertest.Start(t, 2)
	purged(t, c, "a")
	require.Empty(t, c.Node("a").Status().HeldUp)
}
