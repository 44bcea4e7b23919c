package gokv_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/client"
	"github.com/tochemey/gokv/internal/clustertest"
)

const mebi = 1 << 20

// fill puts values under new keys through a client until one is refused.
func fill(t *testing.T, c *client.Client, size int) (n int, err error) {
	t.Helper()
	ctx := within(t)
	for ; ; n++ {
		if err = c.Put(ctx, fmt.Sprintf("key-%06d", n), make([]byte, size)); err != nil {
			require.ErrorIs(t, err, client.ErrOverloaded)
			return n, err
		}
	}
}

func TestTheSmallestMembersMemoryIsTheClusters(t *testing.T) {
	c := clustertest.Start(t, 2, func(name string, cfg *gokv.Config) {
		if name == "b" {
			cfg.MaxMemory = 64 * mebi
		}
	})
	a, b := c.Node("a"), c.Node("b")
	n, err := fill(t, a.Client(), mebi/2)
	ctx := within(t)
	require.ErrorContains(t, err, "the memory of b is full")
	require.Equal(t, []string{"b"}, a.Status().Full)
	require.Zero(t, a.Status().MemoryLimit)
	require.Equal(t, []string{"b"}, b.Status().Full)
	require.EqualValues(t, 64*mebi, b.Status().MemoryLimit)
	err = b.Client().Put(ctx, "new", make([]byte, mebi/2))
	require.ErrorIs(t, err, client.ErrOverloaded)
	require.ErrorContains(t, err, "of 64 MiB are in use, what grows is refused above 54.4 MiB")
	require.Equal(t, 4, client.ExitStatus(err))

	require.NoError(t, a.Client().Put(ctx, "key-000000", make([]byte, mebi/2)), "it does not grow")
	for i := range n { // hundreds, where the news that b is full comes late
		require.NoError(t, a.Client().Delete(within(t), fmt.Sprintf("key-%06d", i)))
	}
	require.Eventually(t, func() bool { return a.Client().Put(ctx, "after", make([]byte, mebi/2)) == nil }, time.Minute, time.Millisecond,
		"what was deleted makes room, and b says so")
	require.Empty(t, b.Status().Full)
	c.WantConverged()
}

func TestALimitOnMemoryIsGosToo(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	node, err := gokv.NewNode(gokv.Config{PeerAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", MaxMemory: 96 * mebi, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	other, err := gokv.NewNode(gokv.Config{PeerAddr: "127.0.0.1:0", MaxMemory: 64 * mebi, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Equal(t, before, debug.SetMemoryLimit(-1), "nothing runs yet")
	ctx := within(t)
	require.NoError(t, node.Start(ctx))
	alone := debug.SetMemoryLimit(-1)
	require.InDelta(t, 24.4, float64(alone)/mebi, 1, "all but the program, and entries up to 85 % of the limit")
	require.NoError(t, other.Start(ctx))
	require.InDelta(t, 24.4+21.6, float64(debug.SetMemoryLimit(-1))/mebi, 1, "a process has one limit for all its nodes")
	require.NoError(t, other.Stop(ctx))
	require.Equal(t, alone, debug.SetMemoryLimit(-1))

	_, err = fill(t, node.Client(), 10_000)
	require.ErrorContains(t, err, "of 96 MiB are in use")
	resp, err := http.Get("http://" + node.Addrs().HTTP + "/metrics")
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(text), "\ngokv_memory_limit_bytes 1.00663296e+08\n")
	require.Regexp(t, `\ngokv_memory_bytes 8\.\d+e\+07\n`, string(text))
	require.Contains(t, string(text), "\ngokv_overloaded_total{from=\"client\"} 1\n")
	require.Contains(t, string(text), "\ngokv_overloaded_total{from=\"member\"} 0\n")

	require.NoError(t, node.Stop(ctx))
	require.Equal(t, before, debug.SetMemoryLimit(-1))
}
