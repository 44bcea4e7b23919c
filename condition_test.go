package gokv_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

func TestAFailedConditionTellsWhatTheKeyHolds(t *testing.T) {
	c := clustertest.Start(t, 2)
	ctx := within(t)
	cl := c.Node("a").Client()
	require.NoError(t, cl.Put(ctx, "k", []byte("1"), client.IfAbsent()))
	e, err := cl.Get(ctx, "k")
	require.NoError(t, err)

	err = cl.Put(ctx, "k", []byte("2"), client.IfAbsent())
	require.ErrorIs(t, err, client.ErrConditionFailed)
	require.Equal(t, 1, client.ExitStatus(err))
	require.EqualError(t, err, `put "k": the key is there at version `+e.Version.String()+`: condition failed`)
	var failed *client.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, e, *failed.Current)

	// On the other node the condition is judged by what it has merged.
	c.WantConverged("k", "1")
	other := c.Node("b").Client()
	require.NoError(t, other.Put(ctx, "k", []byte("2"), client.IfVersion(e.Version)))
	c.WantConverged("k", "2")
	require.ErrorIs(t, cl.Delete(ctx, "k", client.IfVersion(e.Version)), client.ErrConditionFailed)
	require.NoError(t, cl.Delete(ctx, "k"))
	err = cl.Delete(ctx, "k", client.IfVersion(e.Version))
	require.ErrorAs(t, err, &failed)
	require.Nil(t, failed.Current, "it is absent")
	require.NoError(t, cl.Put(ctx, "k", []byte("3"), client.IfAbsent()), "a deleted key is absent")
	require.ErrorIs(t, cl.Put(ctx, "k", nil, client.IfVersion(client.Version{})), client.ErrInvalid)
	require.ErrorIs(t, cl.Put(ctx, "k", nil, client.IfVersion(e.Version), client.IfAbsent()), client.ErrInvalid)
}

func TestBothSidesOfAPartitionPutIfAbsentAndOneIsLost(t *testing.T) {
	c := clustertest.Start(t, 2)
	ctx := within(t)
	c.Partition("a", "b")
	require.NoError(t, c.Node("a").Client().Put(ctx, "k", []byte("a"), client.IfAbsent()))
	require.NoError(t, c.Node("b").Client().Put(ctx, "k", []byte("b"), client.IfAbsent()), "it is no lock")
	winner := c.Entries("a")["k"]
	if other := c.Entries("b")["k"]; other.Version.String() > winner.Version.String() {
		winner = other
	}
	c.Heal()
	c.WantConverged("k", string(winner.Value))
}
