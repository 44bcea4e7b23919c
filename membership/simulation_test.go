package membership

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	simSeed      = flag.Uint64("seed", 0, "run the one simulated history of this seed")
	simHistories = flag.Int("histories", seeds(200), "how many simulated histories to run")
)

// settle is how long after the last fault all must agree: the rejoin, and
// the turn of whoever crashed last to be probed and to be waited for.
const settle = 30 * time.Second

// history runs one random history of faults, and returns its trace.
func history(t *testing.T, seed uint64) *world {
	sizes := newWorld(t, seed, 0).rng
	w := newWorld(t, seed, 2+sizes.IntN(7))
	for _, n := range w.nodes {
		n.skew = time.Duration(w.rng.IntN(1000)-500) * time.Millisecond
		w.at(time.Duration(w.rng.IntN(5000))*time.Millisecond, func() {
			if n.machine == nil {
				n.start()
			}
		})
	}
	w.runFor(5 * time.Second)
	for range 5 + w.rng.IntN(30) {
		w.fault()
		w.runFor(time.Duration(w.rng.IntN(12000)) * time.Millisecond)
	}
	w.stopFaults()
	w.runUntil(settle, fmt.Sprintf("agreement (replay: go test ./membership -run Simulation -seed %d)", seed), w.agreed)
	w.runFor(20 * time.Second)
	require.NoError(t, w.agreed(), "and stay so")
	for _, n := range w.running() {
		for _, addr := range n.machine.Unanswered() {
			require.Nil(t, w.nodeAt(addr).machine, "%s has not tried %s", n.name, addr)
		}
	}
	return w
}

// fault does one thing that a network or an operator may do.
func (w *world) fault() {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	cut := 1 + w.rng.IntN(len(w.nodes)-1)
	shuffled := slices.Clone(w.nodes)
	w.rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	switch w.rng.IntN(13) {
	case 0, 1:
		w.partition(shuffled[:cut], shuffled[cut:], false)
	case 2, 3:
		w.partition(shuffled[:cut], shuffled[cut:], true)
	case 4:
		w.partition(shuffled[:1], shuffled[1:], w.rng.IntN(2) == 0)
	case 5, 6:
		w.heal()
	case 7:
		if n.machine != nil {
			n.crash()
		}
	case 8:
		if n.machine != nil { // so fast that nobody notices the crash
			n.crash()
			n.start()
		}
	case 9:
		if n.machine == nil {
			n.start()
		}
	case 10:
		if n.machine != nil && !n.paused {
			n.pause()
			w.at(time.Duration(w.rng.IntN(40000))*time.Millisecond, n.resume)
		}
	case 11:
		w.loss, w.dup = w.rng.Float64()*0.4, w.rng.Float64()*0.3
		w.minDelay = time.Duration(w.rng.IntN(5000)) * time.Microsecond
		w.maxDelay = w.minDelay + time.Duration(w.rng.IntN(400))*time.Millisecond
	case 12:
		if n.machine != nil && !n.paused && !n.machine.left {
			n.leave()
			w.at(time.Duration(w.rng.IntN(20000))*time.Millisecond, func() {
				if n.machine != nil && n.machine.left && !n.paused {
					n.crash()
				}
			})
		}
	}
}

func (w *world) stopFaults() {
	w.heal()
	w.loss, w.dup = 0, 0
	w.minDelay, w.maxDelay = 200*time.Microsecond, 2*time.Millisecond
	for _, n := range w.nodes {
		n.resume()
		switch {
		case n.machine != nil && n.machine.left:
			n.crash() // a process that left ends
		case n.machine == nil && w.rng.IntN(2) == 0:
			n.start()
		}
	}
}

func TestSimulationLiveMembersAgreeOnceFaultsStop(t *testing.T) {
	first, last := uint64(1), uint64(*simHistories)
	if *simSeed != 0 {
		first, last = *simSeed, *simSeed
	}
	var struck struct{ lost, duplicated, refused, failures, suspicions int }
	for seed := first; seed <= last; seed++ {
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := history(t, seed)
			struck.lost += w.lost
			struck.duplicated += w.duplicated
			struck.refused += w.refused
			struck.failures += w.failures
			struck.suspicions += w.suspicions
		})
		if !ok {
			t.Fatalf("replay: go test ./membership -run Simulation -seed %d", seed)
		}
	}
	t.Logf("seeds %d to %d; %+v", first, last, struck)
	if *simSeed == 0 && *simHistories >= 50 { // the faults did strike
		require.NotZero(t, struck.lost)
		require.NotZero(t, struck.duplicated)
		require.NotZero(t, struck.refused)
		require.NotZero(t, struck.failures)
		require.NotZero(t, struck.suspicions)
	}
}

func TestSimulationIsTheSameForTheSameSeed(t *testing.T) {
	for seed := range uint64(seeds(5)) {
		a, b := history(t, seed), history(t, seed)
		require.Equal(t, a.sum(), b.sum(), "seed %d", seed)
		require.NotEqual(t, a.sum(), history(t, seed+100).sum())
	}
}

func TestPartitionsOfAnyLengthHealWithinTenSeconds(t *testing.T) {
	lengths := []time.Duration{time.Second, 7 * time.Second, time.Minute, 20 * time.Minute, 5 * time.Hour}
	for _, size := range []int{2, 3, 5, 9} {
		for _, oneWay := range []bool{false, true} {
			for _, length := range lengths {
				for seed := range uint64(seeds(6)) {
					if length > time.Hour && (seed > 0 || size > 3) {
						continue
					}
					t.Run(fmt.Sprintf("size=%d/oneway=%v/length=%s/seed=%d", size, oneWay, length, seed), func(t *testing.T) {
						w := newWorld(t, seed, size)
						w.startAll()
						cut := 1 + w.rng.IntN(size-1)
						w.partition(w.nodes[:cut], w.nodes[cut:], oneWay)
						w.runFor(length)
						if length >= 20*time.Second {
							require.NotZero(t, w.failures, "the partition struck")
						}
						w.heal()
						took := w.runUntil(10*time.Second, "heal", w.agreed)
						require.LessOrEqual(t, took, 10*time.Second)
						before := w.failures
						w.runFor(time.Minute)
						require.NoError(t, w.agreed())
						require.Equal(t, before, w.failures, "nobody fails after the heal")
					})
				}
			}
		}
	}
}

func TestAPartitionHealsAmongManyDeadNames(t *testing.T) {
	for seed := range uint64(seeds(3)) {
		w := newWorld(t, seed, 32)
		w.startAll()
		for _, n := range w.nodes[4:] { // crashed for good
			n.crash()
		}
		w.runFor(time.Minute)
		require.NoError(t, w.agreed())
		w.partition(w.nodes[:2], w.nodes[2:4], false)
		w.runFor(3 * time.Minute)
		require.Error(t, w.agreed())
		w.heal()
		w.runUntil(10*time.Second, "heal", w.agreed)
	}
}

func TestALargeClusterHeals(t *testing.T) {
	size := 100
	if raceEnabled {
		size = 30
	}
	for seed, cut := range []int{1, size / 2} {
		w := newWorld(t, uint64(seed), size)
		for _, n := range w.nodes {
			n.join = []string{w.nodes[0].addr, w.nodes[size-1].addr}
		}
		w.startAll()
		w.partition(w.nodes[:cut], w.nodes[cut:], false)
		w.runFor(time.Minute)
		require.Error(t, w.agreed())
		w.heal()
		t.Logf("seed %d, cut %d: healed in %s", seed, cut, w.runUntil(10*time.Second, "heal", w.agreed))
	}
}

func TestWithoutFaultsNobodyIsSuspected(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 30} {
		w := newWorld(t, 1, size)
		w.maxDelay = 100 * time.Millisecond
		w.startAll()
		w.runFor(10 * time.Minute)
		require.NoError(t, w.agreed())
		require.Zero(t, w.suspicions)
		require.Zero(t, w.failures)
	}
}

func TestModestLossKillsNobody(t *testing.T) {
	w := newWorld(t, 3, 5)
	w.startAll()
	w.loss = 0.05
	w.runFor(time.Hour)
	require.Zero(t, w.failures)
	require.NotZero(t, w.lost)
}

func TestACrashIsNoticedByAllInAboutFiveSeconds(t *testing.T) {
	var total time.Duration
	runs := seeds(50)
	for seed := range uint64(runs) {
		w := newWorld(t, seed, 3)
		w.startAll()
		w.runFor(time.Duration(w.rng.IntN(5000)) * time.Millisecond)
		w.nodes[seed%3].crash()
		total += w.runUntil(9*time.Second, "crash", w.agreed)
	}
	mean := total / time.Duration(runs)
	t.Logf("mean %s over %d seeds", mean, runs)
	require.InDelta(t, 5, mean.Seconds(), 1)
}

func TestARestartUnderTheSameNameSupersedes(t *testing.T) {
	skews := map[string]time.Duration{"clock ahead": time.Hour, "clock right": 0, "clock behind": -48 * time.Hour}
	for name, skew := range skews {
		for _, noticed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/noticed=%v", name, noticed), func(t *testing.T) {
				w := newWorld(t, 5, 4)
				w.startAll()
				n := w.nodes[2]
				n.crash()
				if noticed {
					w.runFor(time.Minute)
					require.NoError(t, w.agreed())
				}
				n.skew = skew
				if skew > 0 {
					n.addr = "elsewhere:7946"
				}
				n.start()
				took := w.runUntil(5*time.Second, "restart", w.agreed)
				t.Logf("after %s", took)
				require.Equal(t, 3, w.failures, "each of the three others saw the old instance fail, once")
			})
		}
	}
}

func TestAnIdleClusterSendsOnlyProbesAndAcks(t *testing.T) {
	w := newWorld(t, 1, 3)
	w.startAll()
	w.runFor(time.Minute)
	w.datagrams, w.datagramBytes, w.calls = 0, 0, 0
	const seconds = 600
	w.runFor(seconds * time.Second)
	require.InDelta(t, 3*2*seconds, w.datagrams, 12, "a probe and an ack a member a second")
	require.Less(t, w.datagramBytes/w.datagrams, 64)
	require.InDelta(t, 3*seconds/30, w.calls, 15, "and a table every half minute")
}

func TestTheCheckerNoticesAClusterThatDoesNotHeal(t *testing.T) {
	w := newWorld(t, 1, 4)
	w.tune = func(c *Config) { c.RejoinInterval = time.Minute }
	w.startAll()
	w.partition(w.nodes[:2], w.nodes[2:], false)
	w.runFor(5 * time.Minute)
	w.heal()
	w.runFor(10 * time.Second)
	require.Error(t, w.agreed())
}
