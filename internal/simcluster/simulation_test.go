package simcluster

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/invariant"
)

var (
	histories = flag.Int("sim.histories", 0, "how many histories to play; default 500, 60 under the race detector, 1 with -sim.seed")
	firstSeed = flag.Uint64("sim.seed", 0, "seed of the first history; alone it plays that one and says what happens")
	endOnly   = flag.Bool("sim.endonly", false, "check nothing but the end of each history")
)

// batch is what many histories came to.
type batch struct {
	mu       sync.Mutex
	counts   map[string]int
	failures map[uint64]error
	events   uint64
}

// play runs n histories, as many at once as there are processors.
func play(first uint64, n int, o Options) *batch {
	b := &batch{counts: make(map[string]int), failures: make(map[uint64]error)}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				seed := first + uint64(i)
				rep, err := Run(seed, o)
				b.mu.Lock()
				b.events += rep.Events
				for what, k := range rep.Counts {
					b.counts[what] += k
				}
				if err != nil {
					b.failures[seed] = err
				}
				b.mu.Unlock()
			}
		})
	}
	workers.Wait()
	return b
}

func TestSimulation(t *testing.T) {
	first, n := *firstSeed, *histories
	switch {
	case n == 0 && first != 0:
		n = 1
	case n == 0 && invariant.Enabled:
		n = 60
	case n == 0:
		n = 500
	}
	first = max(first, 1)
	o := Options{EndOnly: *endOnly}
	if n == 1 {
		o.Log = func(line string) { t.Log(line) }
	}
	b := play(first, n, o)
	t.Logf("%d histories, %d events, %d failures; %d ms to converge on average", n, b.events, len(b.failures), b.counts["milliseconds to converge"]/n)
	if len(b.failures) > 0 {
		report(t, b, first, n)
		return
	}
	if n >= 50 {
		b.requireThatItHappened(t, everyBatch)
	}
	if n >= 400 {
		b.requireThatItHappened(t, largeBatch)
	}
}

// report prints the first few failures, each with the last that happened before
// it and the command that replays it.
func report(t *testing.T, b *batch, first uint64, n int) {
	t.Helper()
	shown := 0
	for seed := first; seed < first+uint64(n) && shown < 3; seed++ {
		err := b.failures[seed]
		if err == nil {
			continue
		}
		shown++
		t.Errorf("%v\n%s\nreplay: %s", err, strings.Join(lastLines(seed, 25), "\n"), Replay(seed))
	}
	t.Errorf("%d of %d histories failed", len(b.failures), n)
}

// lastLines plays a seed again for the end of its log.
func lastLines(seed uint64, n int) []string {
	var lines []string
	_, err := Run(seed, Options{EndOnly: *endOnly, Log: func(l string) { lines = append(lines, l) }})
	if err == nil {
		err = errors.New("and a second run does not fail: the history depends on more than its seed")
		lines = append(lines, err.Error())
	}
	return lines[max(0, len(lines)-n):]
}

// everyBatch is what has to have happened in a batch of some size: each kind of
// fault has struck, and each way to recover was taken.
var everyBatch = []string{
	// Faults.
	"partition: halves", "partition: one node", "partition: one way",
	"crash and empty restart", "leave and empty restart", "pause", "clock step",
	"datagrams lost", "datagrams duplicated", "datagrams held back", "datagrams cut off",
	"streams stalled", "streams broken", "streams cut off",
	"discovery: fails", "discovery: hangs", "discovery: fails, and names some", "discovery: nobody, which is wrong",
	// What clients did.
	"ops: put", "ops: put with a TTL", "ops: put that keeps the TTL", "ops: delete", "ops: touch", "ops: persist",
	"ops: duels", "ops: not ready", "ops: nothing to touch",
	// Recoveries.
	"contacts met", "contacts silent", "clusters of one",
	"members suspected", "members recovered", "members failed", "members accused", "members left",
	"probes indirect_ack", "probes timeout",
	"pushes that gathered writes", "pushes that waited", "pushes that waited in vain", "pushes failed: stream ended", "pushes failed: peer down", "writes dropped from queues",
	"rounds: differs", "rounds: not_converged", "rounds: not_ready", "rounds: peer_up", "rounds: push_failed", "rounds: queue_dropped",
	"rounds equal at once", "rounds repaired", "rounds failed", "rounds that left a difference", "rounds that rekeyed",
	"entries brought by rounds", "dead entries brought by rounds", "rounds that agreed", "dead entries purged", "ends with nothing dead left", "instances retired", "instances forgotten", "ends with nobody named who is gone", "ends that wait for a failed member", "digest keys settled", "leaves with everything handed over",
	// And something was left to compare.
	"live keys at the end", "dead keys at the end",
}

// largeBatch is what needs more histories to happen.
var largeBatch = []string{
	"pushes failed: timed out", "rounds timed out", "rounds overtaken by another's digest key",
	"streams for a former instance refused", "starts corrected",
}

func (b *batch) requireThatItHappened(t *testing.T, whats []string) {
	t.Helper()
	for _, what := range whats {
		if b.counts[what] == 0 {
			t.Errorf("%s: never happened in the whole batch", what)
		}
	}
}

func TestTheSameSeedGivesTheSameHistoryTwice(t *testing.T) {
	hashes := make(map[uint64]uint64)
	for seed := uint64(1); seed <= 15; seed++ {
		first, err1 := Run(seed, Options{})
		lines := 0
		second, err2 := Run(seed, Options{EndOnly: true, Log: func(string) { lines++ }})
		require.Equal(t, err1, err2)
		require.Equal(t, fmt.Sprintf("%016x", first.TraceHash), fmt.Sprintf("%016x", second.TraceHash), "seed %d", seed)
		require.Equal(t, first, second)
		require.Positive(t, lines)
		require.NotContains(t, hashes, first.TraceHash, "seeds %d and %d", seed, hashes[first.TraceHash])
		hashes[first.TraceHash] = seed
	}
}

func TestHistoriesCoverWhatTheyPromise(t *testing.T) {
	sizes, faults, offsets := map[int]bool{}, map[faultKind]bool{}, 0
	for seed := range uint64(300) {
		h := draw(seed)
		sizes[len(h.hosts)] = true
		for _, p := range h.hosts {
			require.LessOrEqual(t, p.offset.Abs(), maxOffset)
			if p.offset != 0 {
				offsets++
			}
		}
		for _, f := range h.faults {
			faults[f.kind] = true
			require.NotEmpty(t, f.a)
			if f.kind <= faultOneWay {
				require.NotEmpty(t, f.b)
				require.NotSubset(t, f.a, f.b)
			}
		}
		require.Equal(t, h, draw(seed))
	}
	require.Equal(t, map[int]bool{2: true, 3: true, 4: true, 5: true}, sizes)
	require.Len(t, faults, int(faultKinds))
	require.Positive(t, offsets)
}
