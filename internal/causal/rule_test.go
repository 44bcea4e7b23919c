package causal

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/invariant"
)

var ownBudget = flag.String("causal.budget", "", "search this alone, such as keys=1,puts=2,deletes=1,crashes=1,sessions=1,giveups=1, instead of the ordinary budgets")

// ordinary are the budgets that every run exhausts. docs/deletes.md has what larger
// ones came to.
var ordinary = []string{
	"puts=2,deletes=1,crashes=1",
	"puts=1,sessions=2,crashes=1",
	"deletes=1,sessions=2,crashes=1",
	"puts=1,deletes=1,sessions=1,giveups=1",
	"puts=2,deletes=1,unseen=2",
	"puts=2,deletes=1,giveups=1",
	"puts=1,ttls=1,deletes=1,giveups=1",
	"keys=2,puts=2,deletes=1",
	"keys=2,puts=2,sessions=1",
	"keys=2,puts=1,deletes=1,crashes=1",
	"puts=1,deletes=1,crashes=2,retires=2",
	"puts=1,deletes=1,crashes=1,giveups=1,retires=1",
	"puts=1,deletes=1,skips=1,probes=1",
}

func parseBudget(s string) (budget, error) {
	b := budget{keys: 1}
	places := map[string]*uint8{
		"keys": &b.keys, "puts": &b.puts, "ttls": &b.shortPuts, "deletes": &b.deletes, "crashes": &b.crashes, "giveups": &b.giveUps,
		"skips": &b.skips, "retires": &b.retires, "probes": &b.probes, "unseen": &b.unseen, "sessions": &b.sessions,
	}
	for part := range strings.SplitSeq(s, ",") {
		name, count, _ := strings.Cut(part, "=")
		place := places[name]
		if place == nil {
			return b, fmt.Errorf("budget %q: %q is none of keys, puts, ttls, deletes, crashes, giveups, skips, retires, probes, unseen, sessions", s, name)
		}
		if _, err := fmt.Sscanf(count, "%d", place); err != nil {
			return b, fmt.Errorf("budget %q: %s: %w", s, name, err)
		}
	}
	if b.keys < 1 || b.keys > 2 || b.puts+b.shortPuts+b.deletes > 16 || b.crashes > 4 {
		return b, fmt.Errorf("budget %q: at most 2 keys, 16 writes and 4 crashes", s)
	}
	return b, nil
}

func TestEveryHistoryKeepsWhatIsDeletedDeleted(t *testing.T) {
	budgets := ordinary
	switch {
	case *ownBudget != "":
		budgets = []string{*ownBudget}
	case testing.Short() || invariant.Enabled:
		budgets = []string{"puts=1,deletes=1,crashes=1", "puts=1,deletes=1,giveups=1"}
	}
	for _, s := range budgets {
		b, err := parseBudget(s)
		require.NoError(t, err)
		began := time.Now()
		x := explore(b, true)
		t.Logf("%s: %d states, at most %d steps, %v", s, x.states, x.longest, time.Since(began).Round(time.Millisecond))
		require.Empty(t, x.wrong)
	}
}

// A state that lost something between its bytes and back would be searched wrongly.
func TestAStateSurvivesItsEncoding(t *testing.T) {
	b, err := parseBudget("keys=2,puts=1,ttls=1,deletes=1,crashes=1,giveups=1,sessions=1,probes=1")
	require.NoError(t, err)
	codes := [][]byte{start(b).encode(nil)}
	for depth := range 6 {
		var next [][]byte
		for i, code := range codes {
			at := &state{}
			at.decode(code)
			require.Equal(t, code, at.encode(nil))
			if i%(7*depth+1) != 0 {
				continue // a sample
			}
			at.successors(func(a action, to *state) {
				require.NotEmpty(t, a.String())
				next = append(next, to.encode(nil))
			})
		}
		codes = next
	}
	require.NotEmpty(t, codes)
}
