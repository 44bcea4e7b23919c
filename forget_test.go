package gokv_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

func TestAForgottenMemberHoldsNothingUpAndItsReturnChangesNothing(t *testing.T) {
	c := clustertest.Start(t, 3)
	ctx := within(t)
	c.Put("a", "gone", "v")
	c.Put("a", "kept", "v")
	c.WantConverged("gone", "v", "kept", "v")
	c.Partition("a|b", "c")
	c.WantAlive("a", "a|b")
	c.WantAlive("b", "a|b")
	c.Put("c", "own", "v")
	c.Delete("a", "gone")
	for _, node := range []string{"a", "b"} {
		heldUp(t, c, node, func(h []client.HeldUp) bool { return len(h) == 1 && h[0].Name == "c" && h[0].Dead })
	}

	told, err := c.Node("a").Client().Forget(ctx, "c")
	require.NoError(t, err)
	require.Equal(t, []client.Forgotten{{Member: "a"}, {Member: "b"}}, told)
	for _, node := range []string{"a", "b"} {
		require.Eventually(t, func() bool { return c.Node(node).Status().Tombstones == 0 }, time.Minute, 5*time.Millisecond)
		require.Empty(t, c.Node(node).Status().HeldUp)
	}

	require.Contains(t, c.Entries("c"), "gone", "it has not heard of the delete")
	c.Heal()
	c.WantConverged("gone", "", "kept", "v", "own", "v")
	_, err = c.Node("a").Client().Forget(ctx, "c")
	require.ErrorIs(t, err, client.ErrConditionFailed, "it is back")
}
