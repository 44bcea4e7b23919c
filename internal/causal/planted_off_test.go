//go:build !plantedbug

package causal

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/invariant"
)

// A search that has never found anything may not be looking.
func TestPlantedRulesAreFound(t *testing.T) {
	if testing.Short() || invariant.Enabled {
		t.Skip("left out: builds the package again, with the tag plantedbug")
	}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-tags", "plantedbug", "-run", "^TestPlantedBugsAreFound$", "-v", "-count=1", ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestPlantedBugsAreFound")
	t.Logf("%s", out)
}
