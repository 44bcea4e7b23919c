package gokv_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

// awhile is for calls that cannot succeed.
func awhile(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestAWriteWithAConcernIsHeldByAsManyWhenItReturns(t *testing.T) {
	c := clustertest.Start(t, 3)
	for name, want := range map[string]struct {
		concern client.Concern
		least   int
	}{"one": {client.One, 2}, "quorum": {client.Quorum, 2}, "all": {client.All, 3}} {
		var h client.Holders
		require.NoError(t, c.Node("a").Client().Put(within(t), name, []byte("v"), client.WithConcern(want.concern).Into(&h)))
		require.Equal(t, 3, h.Members)
		require.GreaterOrEqual(t, h.Known, want.least)
		require.NoError(t, c.Node("b").Client().Delete(within(t), name, client.WithConcern(want.concern).Into(&h)))
		require.GreaterOrEqual(t, h.Known, want.least)
	}
}

func TestWhatIsAnsweredIsThereAtOnce(t *testing.T) {
	c := clustertest.Start(t, 3)
	require.NoError(t, c.Node("a").Client().Put(within(t), "k", []byte("v"), client.WithConcern(client.All)))
	for _, name := range c.Names() { // nothing was deleted or replaced: no push waits for another
		_, err := c.Node(name).Client().Get(within(t), "k")
		require.NoError(t, err, name)
	}
}

func TestNeitherHalfOfASplitHasAQuorumThatIsNone(t *testing.T) {
	c := clustertest.Start(t, 4)
	c.Partition("a|b", "c|d")
	defer c.Heal()
	for _, name := range c.Names() {
		for began := time.Now(); ; { // on a busy machine not even the other one of the half is heard in time
			err := c.Node(name).Client().Put(awhile(t), "k", []byte(name), client.WithConcern(client.Quorum))
			require.ErrorIs(t, err, client.ErrTimeout)
			var e *client.Error
			require.ErrorAs(t, err, &e)
			require.LessOrEqual(t, e.Holders.Known, 2)
			require.Equal(t, 4, e.Holders.Members)
			if e.Holders.Known == 2 {
				require.ErrorContains(t, err, "2 of 4 members are known to hold it, quorum needs 3")
				break
			}
			require.Less(t, time.Since(began), time.Minute)
		}
		got, err := c.Node(name).Client().Get(within(t), "k")
		require.NoError(t, err, "the write stays")
		require.Equal(t, name, string(got.Value))
	}
}

func TestWhatARoundBringsCountsAsHeld(t *testing.T) {
	c := clustertest.Start(t, 2)
	c.Partition("a", "b")
	done := make(chan error, 1)
	var h client.Holders
	go func() {
		done <- c.Node("a").Client().Put(within(t), "k", []byte("v"), client.WithConcern(client.All).Into(&h))
	}()
	require.Eventually(t, func() bool { _, err := c.Node("a").Client().Get(within(t), "k"); return err == nil }, time.Minute, time.Millisecond)
	c.Heal()
	require.NoError(t, <-done)
	require.Equal(t, client.Holders{Known: 2, Members: 2}, h)
}

func TestWhoHasLeftOrWasForgottenIsNoMember(t *testing.T) {
	c := clustertest.Start(t, 3)
	ctx := within(t)
	require.NoError(t, c.Node("c").Stop(ctx))
	var h client.Holders
	require.Eventually(t, func() bool {
		err := c.Node("a").Client().Put(awhile(t), "k", nil, client.WithConcern(client.All).Into(&h))
		return err == nil && h == client.Holders{Known: 2, Members: 2}
	}, time.Minute, time.Millisecond)
	c.Kill("b")
	err := c.Node("a").Client().Put(awhile(t), "k", nil, client.WithConcern(client.Quorum))
	require.ErrorIs(t, err, client.ErrTimeout, "the dead count")
	require.Eventually(t, func() bool {
		_, err := c.Node("a").Client().Forget(ctx, "b")
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, c.Node("a").Client().Put(ctx, "k", nil, client.WithConcern(client.Quorum).Into(&h)))
	require.Equal(t, client.Holders{Known: 1, Members: 1}, h)
	err = c.Node("a").Client().Put(awhile(t), "k", nil, client.WithConcern(client.One))
	require.True(t, errors.Is(err, client.ErrTimeout), "there is no other member")
}

func TestAConcernThatDoesNotHoldWritesNothing(t *testing.T) {
	c := clustertest.Start(t, 2)
	cl := c.Node("a").Client()
	require.NoError(t, cl.Put(within(t), "k", nil))
	err := cl.Put(within(t), "k", []byte("v"), client.IfAbsent(), client.WithConcern(client.All))
	require.ErrorIs(t, err, client.ErrConditionFailed)
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Nil(t, e.Holders)
}
