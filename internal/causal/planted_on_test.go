//go:build plantedbug

package causal

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	update = flag.Bool("causal.update", false, "write the histories in testdata/planted anew")
	slow   = flag.Bool("causal.slow", false, "look for the bug too that takes minutes to find")
)

// plants are the ways to break the rule, each with a budget that suffices to find
// out. testdata/planted has the shortest history of each.
var plants = []struct {
	bug    bug
	name   string
	budget string
}{
	// What other systems do, or was tried for this one.
	{lastWriterWins, "last-writer-wins", "puts=1,deletes=1"},
	{discardOnReturn, "discard-on-return", "puts=1,deletes=1,giveups=1"},
	{nothingHidden, "nothing-hidden", "puts=2,deletes=1,giveups=1"},
	{noPrev, "no-prev", "keys=2,puts=2"},
	{equalRootsAreSeen, "equal-roots-are-seen", "puts=1,deletes=1"},
	{pushOverHidden, "push-over-hidden", "puts=2,deletes=1,giveups=1"},
	{retiresTooEarly, "retires-too-early", "puts=1,deletes=1,crashes=1,giveups=1,retires=1"},
	{sessionUnseen, "session-unseen", "puts=1,deletes=1,giveups=1"},
	{vectorAfterListing, "vector-after-listing", "puts=1,deletes=1,sessions=1"},
	{vectorOfTheEnd, "vector-of-the-end", "puts=1,deletes=1,sessions=1"},
	{acceptsBrokenRound, "accepts-broken-round", "keys=2,puts=1,sessions=1"},
	{mergedIsSeen, "merged-is-seen", "puts=1,deletes=1,sessions=1,giveups=1"},
	{listHidesYounger, "list-hides-younger", "puts=2,sessions=1,crashes=1"},
	// Retirement.
	{retiresWithoutOne, "retires-without-one", "puts=1,deletes=1,crashes=1,giveups=1,retires=1"},
	{retiresDuringRound, "retires-during-round", "deletes=1,crashes=1,sessions=1,retires=1"},
	{takesFromTheGone, "takes-from-the-gone", "puts=1,deletes=1,crashes=1,retires=1"},
	{forgetsTooEarly, "forgets-too-early", "puts=1,deletes=1,crashes=1,retires=1"},
	{unknownIsSeen, "unknown-is-seen", "puts=2"},
	// Slips.
	{pushOverUnseen, "push-over-unseen", "puts=1,deletes=1"},
	{retiresUnlike, "retires-unlike", "puts=2,deletes=1,crashes=1,giveups=1,retires=1"},
	{unseenIsSeen, "unseen-is-seen", "puts=1,deletes=1,unseen=1"},
	{loserNotHidden, "loser-not-hidden", "puts=2,deletes=1"},
	{mergeLoserNotHidden, "merge-loser-not-hidden", "puts=2,deletes=1"},
	{purgedNotHidden, "purged-not-hidden", "puts=2,deletes=1,giveups=1"},
	{purgesAlone, "purges-alone", "puts=1,deletes=1"},
	{purgesUnseenDeparted, "purges-unseen-departed", "puts=1,deletes=1,crashes=1"},
	{reportsDuringRound, "reports-during-round", "puts=1,deletes=1,sessions=1,crashes=1"},
	{acceptUnequal, "accept-unequal", "puts=1,sessions=1"},
	{acceptWithoutWatch, "accept-without-watch", "puts=1,deletes=1,sessions=1,giveups=1"},
	{acceptWithoutDead, "accept-without-dead", "puts=1,deletes=1,sessions=1"},
	{dropsBeforeItCame, "drops-before-it-came", "puts=2,sessions=1,crashes=1"},
	{acceptWithoutHidden, "accept-without-hidden", "puts=2,deletes=1,giveups=2"},
	{aheadAsBase, "ahead-as-base", "keys=2,puts=2"},
	{probeWithoutLast, "probe-without-last", "puts=1,probes=1"},
	{wantsSeen, "wants-seen", "puts=1,deletes=1,giveups=1"},
	{dropsUnseen, "drops-unseen", "puts=1"},
	{lastArrivalWins, "last-arrival-wins", "puts=2"},
	{writesBeforeItsRound, "writes-before-its-round", "puts=2,deletes=1,crashes=1"},
	{reusesInstance, "reuses-instance", "puts=1,deletes=1,crashes=1"},
}

func TestPlantedBugsAreFound(t *testing.T) {
	require.Len(t, plants, int(reusesInstance), "each has a place here")
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			b, err := parseBudget(p.budget)
			require.NoError(t, err)
			if (p.bug == reportsDuringRound || p.bug == retiresUnlike) && !*slow {
				t.Skip("left out: takes millions of states; -causal.slow looks for it")
			}
			planted = p.bug
			defer func() { planted = none }()
			x := explore(b, p.bug >= pushOverUnseen)
			t.Logf("%s: %d states", p.budget, x.states)
			require.NotEmpty(t, x.wrong)

			file := filepath.Join("testdata", "planted", p.name+".txt")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(x.wrong), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), x.wrong)
		})
	}
}
