//go:build !plantedbug_merge && !plantedbug_delete

package simcluster

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// A checker that has never found anything may not be looking. Each planted bug
// in the engine must be found within a few histories, by the checks after each
// event and, without those, by what is wrong in the end.
func TestPlantedBugsAreCaught(t *testing.T) {
	for _, bug := range []struct{ tag, duringEvents, atTheEnd string }{
		{"plantedbug_merge", "went back to version", "the greatest that survived is"},
		{"plantedbug_delete", "went back to version", "the greatest that survived is"},
	} {
		for _, mode := range []struct {
			name, want string
			args       []string
		}{
			{"after each event", bug.duringEvents, nil},
			{"in the end", bug.atTheEnd, []string{"-sim.endonly"}},
		} {
			t.Run(bug.tag+" "+mode.name, func(t *testing.T) {
				args := append([]string{"test", "-tags", bug.tag, "-run", "^TestSimulation$", ".", "-sim.histories", "30"}, mode.args...)
				out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
				var exit *exec.ExitError
				require.ErrorAs(t, err, &exit, "the bug was not caught:\n%s", out)
				require.Contains(t, string(out), "--- FAIL: TestSimulation")
				require.Contains(t, string(out), "replay: go test ./internal/simcluster -run TestSimulation -sim.seed=")
				require.Contains(t, string(out), mode.want)
			})
		}
	}
}
