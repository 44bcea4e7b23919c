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

func TestWhoHasOnlyDeletedHandsThatOver(t *testing.T) {
	start := func(name string, join ...string) *Node {
		n, err := NewNode(Config{Name: name, PeerAddr: "127.0.0.1:0", Join: join, SyncInterval: time.Minute, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		require.NoError(t, n.Start(t.Context()))
		return n
	}
	b := start("b")
	defer func() { require.NoError(t, b.Stop(context.Background())) }()
	a := start("a", b.Addrs().Peer)
	for _, n := range []*Node{a, b} {
		require.Eventually(t, func() bool { return n.Ready() && len(n.Members()) == 2 }, time.Minute, time.Millisecond)
	}
	require.NoError(t, a.Client().Put(t.Context(), "k", nil))
	require.Eventually(t, func() bool { _, err := b.Client().Get(t.Context(), "k"); return err == nil }, time.Minute, time.Millisecond)

	of, known := a.memberNamed("b")
	require.True(t, known)
	a.replication.peerDown(of, false) // cut off for longer than the grace
	require.NoError(t, a.Client().Delete(t.Context(), "k"))
	a.engine.PurgeBeyond(0) // as of one that counts nobody else
	require.Zero(t, a.engine.Stats().Tombstones)
	a.replication.peerUp(of)
	require.NoError(t, a.Stop(t.Context()))
	_, err := b.Client().Get(t.Context(), "k")
	require.Error(t, err, "it was deleted")
}
