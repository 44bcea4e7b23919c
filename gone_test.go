package gokv

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhoIsTakenForGoneIsRefusedAndGivesUp(t *testing.T) {
	start := func(name string, join ...string) *Node {
		n, err := NewNode(Config{Name: name, PeerAddr: "127.0.0.1:0", Join: join, SyncInterval: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		require.NoError(t, n.Start(t.Context()))
		t.Cleanup(func() {
			ended, cancel := context.WithCancel(context.Background())
			cancel() // what b could not hand over is not waited for
			_ = n.Stop(ended)
		})
		return n
	}
	a := start("a")
	b := start("b", a.Addrs().Peer)
	for _, n := range []*Node{a, b} {
		require.Eventually(t, func() bool { return n.Ready() && len(n.Members()) == 2 }, time.Minute, time.Millisecond)
	}
	require.NoError(t, b.Client().Put(t.Context(), "before", nil))
	require.Eventually(t, func() bool { _, err := a.Client().Get(t.Context(), "before"); return err == nil }, time.Minute, time.Millisecond)

	a.replication.horizon.Left(b.self)
	require.NoError(t, b.Client().Put(t.Context(), "late", nil))
	select {
	case err := <-b.Fatal():
		require.ErrorContains(t, err, "a takes this process for one that is gone for good")
	case <-time.After(time.Minute):
		t.Fatal("b goes on")
	}
	_, err := a.Client().Get(t.Context(), "late")
	require.Error(t, err)
}
