package gokv_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/clustertest"
)

func TestABatchReachesEveryMember(t *testing.T) {
	c := clustertest.Start(t, 2, func(_ string, cfg *gokv.Config) { cfg.ClientAddr = "127.0.0.1:0" })
	ctx := within(t)
	local := c.Node("a").Client()
	require.NoError(t, local.Put(ctx, "old", []byte("1")))
	old, err := local.Get(ctx, "old")
	require.NoError(t, err)
	remote, err := client.New(client.Config{Addrs: []string{c.Node("a").Addrs().Client}})
	require.NoError(t, err)
	defer func() { require.NoError(t, remote.Close()) }()

	results, err := remote.Batch(ctx, client.PutOp("new", []byte("2"), client.IfAbsent(), client.WithTTL(time.Hour)),
		client.DeleteOp("old", client.IfVersion(old.Version)), client.PutOp("third", []byte("3")))
	require.NoError(t, err)
	require.Equal(t, []bool{false, true, false}, []bool{results[0].Existed, results[1].Existed, results[2].Existed})
	c.WantConverged("new", "2", "third", "3")
	require.NotContains(t, c.Entries("b"), "old")
	require.Equal(t, results[0].Version, c.Entries("b")["new"].Version)

	for name, cl := range map[string]*client.Client{"in process": local, "remote": remote} {
		t.Run(name, func(t *testing.T) {
			_, err := cl.Batch(ctx, client.PutOp("never", nil), client.PutOp("new", nil, client.IfAbsent()))
			require.ErrorIs(t, err, client.ErrConditionFailed)
			require.ErrorContains(t, err, `item 2 of 2: put "new": the key is there at version `+results[0].Version.String())
			var failed *client.Error
			require.ErrorAs(t, err, &failed)
			require.Equal(t, 2, failed.Item)
			require.Equal(t, "new", failed.Key)
			require.Equal(t, "2", string(failed.Current.Value))
			_, err = cl.Get(ctx, "never")
			require.ErrorIs(t, err, client.ErrNotFound)

			_, err = cl.Batch(ctx)
			require.EqualError(t, err, "batch: no items, at least one is needed: invalid")
			_, err = cl.Batch(ctx, client.PutOp("k", nil), client.DeleteOp(""))
			require.EqualError(t, err, `batch: item 2 of 2: delete "": key is empty: invalid`)
			_, err = cl.Batch(ctx, client.PutOp("k", nil, client.WithTTL(-1)))
			require.ErrorIs(t, err, client.ErrInvalid)
			_, err = cl.Batch(ctx, client.PutOp("k", nil), client.DeleteOp("k"))
			require.ErrorIs(t, err, client.ErrInvalid)
			require.ErrorContains(t, err, "the key is that of item 1 too")
			_, err = cl.Batch(ctx, make([]client.BatchOp, wire.MaxBatchItems+1)...)
			require.Error(t, err)
			_, err = cl.Batch(ctx, client.PutOp("k", make([]byte, wire.MaxBatchBytes)))
			require.ErrorIs(t, err, client.ErrTooLarge)
		})
	}
}
