package gokv_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/clustertest"
)

func TestWhyTellsWhatEachMemberHolds(t *testing.T) {
	c := clustertest.Start(t, 2)
	ctx := within(t)
	a, b := c.Node("a").Client(), c.Node("b").Client()
	c.Put("b", "k", "value")
	c.WantConverged("k", "value")
	written := c.Entries("b")["k"].Version.String()

	got, err := a.Why(ctx, "k")
	require.NoError(t, err)
	version, err := engine.ParseVersion(written)
	require.NoError(t, err)
	want := client.Holding{
		Member: "a", State: "live", Version: written, Written: version.Wall(),
		Instance: c.Node("b").Self().Instance, Writer: "b", Size: 5,
	}
	require.Len(t, got, 2)
	require.Equal(t, want, got[0])
	want.Member = "b"
	require.Equal(t, want, got[1])

	c.Partition("a", "b")
	c.Delete("a", "k")
	here, err := a.Held(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, "deleted", here.State)
	require.Equal(t, "a", here.Writer)
	there, err := b.Held(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, want, there, "the delete has not come")

	got, err = a.Why(ctx, "k")
	require.NoError(t, err)
	require.Equal(t, here, got[0])
	require.Equal(t, "b", got[1].Member)
	require.NotEmpty(t, got[1].Error, "it cannot be asked")
	require.Empty(t, got[1].State)
}

func TestWhyRefusesWhatNoKeyCanBe(t *testing.T) {
	c := clustertest.Start(t, 1)
	ctx := within(t)
	store := c.Node("a").Client()
	_, err := store.Why(ctx, "")
	require.ErrorIs(t, err, client.ErrInvalid)
	_, err = store.Held(ctx, strings.Repeat("k", 4097))
	require.ErrorIs(t, err, client.ErrTooLarge)
	got, err := store.Why(ctx, "nobody's")
	require.NoError(t, err)
	require.Equal(t, []client.Holding{{Member: "a", State: "unknown"}}, got)
}
