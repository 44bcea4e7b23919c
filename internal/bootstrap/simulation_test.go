package bootstrap

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/invariant"
)

var (
	simSeed      = flag.Uint64("seed", 0, "run the one simulated history of this seed")
	simHistories = flag.Int("histories", seeds(500), "how many simulated histories to run")
)

// seeds is how many seeds a simulation runs of n. The race detector makes them
// ten times slower and finds nothing in one goroutine.
func seeds(n int) int {
	if invariant.Enabled {
		return max(1, n/10)
	}
	return n
}

// within is how long after the last fault, the last start and the last record
// all must be one: a settled node asks after 45 s at the latest; then come the
// answer, the dials and the gossip.
const within = 60 * time.Second

// history runs one random start of some nodes, and returns it when they are one.
func history(t *testing.T, seed uint64) *world {
	sizes := newWorld(t, seed, 0).rng
	size := 1 + sizes.IntN(8)
	if sizes.IntN(5) == 0 {
		size = 1 + sizes.IntN(50)
	}
	w := newWorld(t, seed, size)
	chance := func(percent int) bool { return w.rng.IntN(100) < percent }
	s := &w.service

	last := time.Duration(0)
	if chance(50) { // else all at the same instant
		spread := w.upTo(15 * time.Second)
		for _, n := range w.nodes {
			delay := w.upTo(spread)
			n.begins, last = start.Add(delay), max(last, delay)
		}
	}
	if s.static = chance(40); !s.static && chance(50) {
		s.lag = w.upTo(20 * time.Second)
	}
	s.watched = chance(30)
	s.latency = w.upTo(1500 * time.Millisecond)
	for i := range w.rng.IntN(20) {
		if chance(50) {
			s.dead = append(s.dead, fmt.Sprintf("dead%d:1", i))
		}
	}
	if chance(20) {
		s.foreign = []string{"foreign:1"}
	}
	for _, n := range w.nodes {
		if chance(10) {
			n.alias = fmt.Sprintf("alias%d:1", n.id)
		}
	}
	if chance(50) {
		w.quiet = start.Add(w.upTo(40 * time.Second))
		if chance(60) {
			s.failing = min(1, 1.3*w.rng.Float64())
			s.partial = chance(40)
		}
		if chance(30) {
			w.apart = w.rng.Uint64()
		}
		if chance(30) {
			w.loss = 0.8 * w.rng.Float64()
		}
	}
	w.startAll()
	if dead := s.failing == 1 && !s.partial; dead {
		w.runUntil(w.quiet.Add(-time.Nanosecond), func() bool { return false })
		for _, n := range w.nodes {
			require.Zero(t, n.ready, "discovery is down, and nobody was met")
		}
	}
	end := start.Add(last + s.lag)
	if w.quiet.After(end) {
		end = w.quiet
	}
	if !w.runUntil(end.Add(within), w.united) {
		for _, n := range w.nodes {
			t.Logf("node %d: met %b ready %b done %b asked %d", n.id, n.met, n.ready, n.done, n.asked)
		}
		t.Fatalf("not one cluster after %s: %+v", within, *s)
	}
	require.NotZero(t, w.founders)
	if s.lag == 0 && w.apart == 0 && w.loss == 0 {
		require.Equal(t, 1, w.founders, "who could meet before they were ready did")
	}
	for _, n := range w.nodes {
		require.LessOrEqual(t, n.asked, 20+10*int(w.now.Sub(n.begins).Seconds()))
	}
	return w
}

func TestSimulationNodesThatStartEndInOneCluster(t *testing.T) {
	first, last := uint64(1), uint64(*simHistories)
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	var struck struct{ failures, split, down, apart, lossy, lagged, together int }
	slowest := time.Duration(0)
	for seed := first; seed <= last; seed++ {
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := history(t, seed)
			struck.failures += w.service.failures
			for _, s := range []struct {
				n  *int
				is bool
			}{
				{&struck.split, w.founders > 1},
				{&struck.down, w.service.failing == 1},
				{&struck.apart, w.apart != 0},
				{&struck.lossy, w.loss > 0},
				{&struck.lagged, w.service.lag > 0},
				{&struck.together, w.founders == 1 && len(w.nodes) > 20},
			} {
				if s.is {
					*s.n++
				}
			}
			slowest = max(slowest, w.now.Sub(start))
		})
		if !ok {
			t.Fatalf("replay: go test ./internal/bootstrap -run Simulation -seed %d", seed)
		}
	}
	t.Logf("seeds %d to %d; slowest %s; %+v", first, last, slowest, struck)
	if *simSeed == 0 && *simHistories >= 50 { // the faults did strike
		require.NotZero(t, struck.failures)
		require.NotZero(t, struck.split, "clusters of their own have merged")
		require.NotZero(t, struck.down)
		require.NotZero(t, struck.apart)
		require.NotZero(t, struck.lossy)
		require.NotZero(t, struck.lagged)
		require.NotZero(t, struck.together)
	}
}

func TestSimulationIsTheSameForTheSameSeed(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		a, b := history(t, seed), history(t, seed)
		require.Equal(t, a.trace.Sum64(), b.trace.Sum64(), "seed %d", seed)
		require.NotEqual(t, a.trace.Sum64(), history(t, seed+100).trace.Sum64())
	}
}

// Where nothing fails, how long it takes is known.
func TestNodesThatStartAtTheSameInstantAreSoonOneCluster(t *testing.T) {
	for _, size := range []int{2, 5, 50} {
		for _, static := range []bool{true, false} {
			slowest := time.Duration(0)
			for seed := range uint64(seeds(40)) {
				w := newWorld(t, seed, size)
				w.service.static = static
				w.startAll()
				require.True(t, w.runUntil(start.Add(10*time.Second), w.united), "size %d seed %d", size, seed)
				require.Equal(t, 1, w.founders)
				slowest = max(slowest, w.now.Sub(start))
			}
			t.Logf("size=%d/static=%t: %s", size, static, slowest)
		}
	}
}

func TestANodeWithoutPeersIsReadyInThreeSecondsWithDeadSeedsOrWithout(t *testing.T) {
	for seed := range uint64(seeds(100)) {
		for _, dead := range [][]string{nil, {"dead:1"}, addrs(15)} {
			w := newWorld(t, seed, 1)
			w.service.dead = dead
			w.startAll()
			require.True(t, w.runUntil(start.Add(time.Minute), w.united))
			require.GreaterOrEqual(t, w.now.Sub(start), Patience)
			require.LessOrEqual(t, w.now.Sub(start), Patience+100*time.Millisecond)
		}
	}
}

func TestNobodyIsReadyWhileDiscoveryIsDown(t *testing.T) {
	for seed := range uint64(seeds(100)) {
		w := newWorld(t, seed, 3)
		w.service.failing = 1
		w.quiet = start.Add(10 * time.Minute)
		w.startAll()
		w.runUntil(w.quiet.Add(-1), func() bool { return false })
		for _, n := range w.nodes {
			require.Zero(t, n.ready)
			require.Greater(t, n.asked, 60, "and they go on asking")
		}
		require.True(t, w.runUntil(w.quiet.Add(lastPause+2*time.Second), w.united))
		require.Equal(t, 1, w.founders)
	}
}
