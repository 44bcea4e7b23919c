package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/invariant"
)

// Bytes have budgets, time has none. The budgets are those that README states.
const (
	idleBudget  = 3_000  // B/s, three nodes together
	roundBudget = 10_000 // B, beyond the entries' own bytes
)

func named(t *testing.T, figures []figure, name string) float64 {
	t.Helper()
	for _, f := range figures {
		if f.Name == name {
			t.Logf("%s: %.0f %s", f.Name, f.Value, f.Unit)
			return f.Value
		}
	}
	require.Fail(t, "no such figure", name)
	return 0
}

func TestAnIdleClusterOf100000KeysSendsAtMost3KBASecond(t *testing.T) {
	if testing.Short() || invariant.Enabled {
		t.Skip("NOT RUN: counts for 25 s; -short and the race detector leave it out, the ordinary run has it")
	}
	o := defaultIdle
	require.Equal(t, 100_000, o.keys)
	require.GreaterOrEqual(t, o.window, 20*time.Second)
	figures, err := measureIdle(t.Context(), o)
	require.NoError(t, err)
	require.LessOrEqual(t, named(t, figures, "UDP payload, all nodes together"), float64(idleBudget))
}

func TestARoundThatFindsTenOf100000CostsAtMost10KB(t *testing.T) {
	o := defaultRound
	if testing.Short() || invariant.Enabled {
		o.keys = 5_000
	}
	figures, err := measureRound(t.Context(), o)
	require.NoError(t, err)
	entries := named(t, figures, "of that the entries' keys and values")
	require.LessOrEqual(t, named(t, figures, "UDP payload, both ways")-entries, float64(roundBudget))
	moved := named(t, figures, "entries that the first one moved, both ways")
	require.Positive(t, moved)
	require.LessOrEqual(t, moved, float64(o.differing), "what is equal does not cross the wire")
}
