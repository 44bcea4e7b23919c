//go:build !plantedbug_merge && !plantedbug_delete && !plantedbug_retire

package simcluster

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// A checker that has never found anything may not be looking. Each planted bug
// must be found within a few histories, by the checks after each
// event and, where it lasts, by what is wrong in the end.
func TestPlantedBugsAreCaught(t *testing.T) {
	const caught = "went back to|gave the value|is at version|is gone|the greatest that survived is|which nothing has deleted|has root|the export|is retired, and"
	for tag, histories := range map[string]int{"plantedbug_merge": 100, "plantedbug_delete": 100, "plantedbug_retire": 600} {
		t.Run(tag, func(t *testing.T) {
			simulation := filepath.Join(t.TempDir(), "simulation.test")
			out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", tag, "-o", simulation, ".").CombinedOutput()
			require.NoError(t, err, "%s", out)

			run := func(args ...string) {
				args = append([]string{"-test.run=^TestSimulation$", "-sim.histories=" + strconv.Itoa(histories)}, args...)
				out, err := exec.CommandContext(t.Context(), simulation, args...).CombinedOutput()
				var exit *exec.ExitError
				require.ErrorAs(t, err, &exit, "the bug was not caught:\n%s", out)
				require.Contains(t, string(out), "--- FAIL: TestSimulation")
				require.Contains(t, string(out), "replay: go test ./internal/simcluster -run TestSimulation -sim.seed=")
				require.Regexp(t, caught, string(out))
			}
			run()
			if tag == "plantedbug_merge" { // a key that is back goes again when a round is told so
				run("-sim.endonly")
			}
		})
	}
}
