package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestABusyPairIsCounted(t *testing.T) {
	figures, err := measureBusy(t.Context(), busyOptions{keys: 1_000, valueBytes: 20, rate: 2_000, window: 300 * time.Millisecond})
	require.NoError(t, err)
	require.Positive(t, named(t, figures, "under load: entries pushed"))
	require.LessOrEqual(t, named(t, figures, "under load: entries that came twice"),
		named(t, figures, "under load: entries sent in rounds")+named(t, figures, "under load: entries pushed"))
}
