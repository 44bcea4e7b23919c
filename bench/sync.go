package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/merkle"
)

type syncOptions struct {
	entries, valueBytes int
	differing           []int
	seeds               int // 0: as many as the number of differences allows
	breakdown           bool
	nodes               bool // see measureSyncAndNodes
	plot                string
}

var defaultSync = syncOptions{
	entries: 1_000_000, valueBytes: 100,
	differing: []int{0, 1, 100, 1_000, 10_000, 100_000, 1_000_000},
	nodes:     true,
}

// syncTargets are what the sessions that repair so many differences among a million
// entries may cost together, in bytes, the entries' own keys, values and versions
// apart.
var syncTargets = map[int]float64{
	1: 300, 100: 7_000, 1_000: 50_000, 10_000: 340_000, 100_000: 2_100_000, 1_000_000: 10_000_000,
}

const (
	syncTurns = 10 // of both sides in a session: five round trips
	syncCPU   = 5  // ms a side, at a thousand differences

	// syncWall is the wall time of both sides, a constant: the same seed sends the
	// same bytes at any time.
	syncWall = int64(1_767_225_600_000)
	hour     = int64(time.Hour / time.Millisecond)

	frameHead = 4 // the length that a node puts in front of each frame
)

// measureSyncAndNodes is measureSync, and what nodes on loopback show of the same: how
// long a repair takes, what rounds send for nothing while both sides are written to,
// and joins.
func measureSyncAndNodes(ctx context.Context, o syncOptions, join joinOptions) ([]figure, error) {
	figures, err := measureSync(ctx, o)
	if err != nil || !o.nodes {
		return figures, err
	}
	for _, more := range []func() ([]figure, error){
		func() ([]figure, error) { return measureRepair(ctx, o.entries, 1_000, o.valueBytes) },
		func() ([]figure, error) { return measureBusy(ctx, defaultBusy) },
		func() ([]figure, error) { return measureJoin(ctx, join) },
	} {
		runtime.GC() // the last ones' stores
		its, err := more()
		if err != nil {
			return nil, err
		}
		figures = append(figures, its...)
	}
	return figures, nil
}

// measureSync counts what two stores say to each other until their roots agree,
// frame by frame between two rounds in this process.
func measureSync(ctx context.Context, o syncOptions) ([]figure, error) {
	runtime.LockOSThread() // the CPU time is the thread's
	defer runtime.UnlockOSThread()
	var (
		figures []figure
		curve   []point
		stores  *twoStores
	)
	for _, d := range o.differing {
		if d < 0 || d > o.entries {
			return nil, fmt.Errorf("differing %d: 0 to %d, the number of entries", d, o.entries)
		}
		if d == 0 {
			figures = append(figures, figure{Workload: "sync", Name: "d=0: sessions, as the roots on the probes agree", Unit: ""})
			continue
		}
		var runs []syncRun
		for seed := range seedsFor(d, o.seeds) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if stores == nil || stores.crowded(d) {
				stores = nil
				runtime.GC() // the last ones, before the next ones
				stores = newTwoStores(o.entries, o.entries-missing(d, seed), o.valueBytes)
			}
			run, err := stores.repair(d, seed)
			if err != nil {
				return nil, fmt.Errorf("%d differences, seed %d: %w", d, seed, err)
			}
			runs = append(runs, run)
		}
		rows := syncFigures(d, o.entries, runs)
		curve = append(curve, point{x: float64(d), y: rows[0].Value})
		figures = append(figures, rows...)
		if o.breakdown {
			figures = append(figures, breakdown(d, runs)...)
		}
	}
	if o.plot != "" {
		if err := os.WriteFile(o.plot, syncPlot(o.entries, curve), 0o644); err != nil {
			return nil, err
		}
	}
	return figures, nil
}

func seedsFor(d, asked int) int {
	switch {
	case asked > 0:
		return asked
	case d <= 1_000:
		return 25
	case d <= 10_000:
		return 9
	default:
		return 3
	}
}

// syncRun is one repair: all sessions until the roots agree.
type syncRun struct {
	bytes    float64 // beyond the entries' own
	sessions int
	turns    int // of the longest session
	useless  uint64
	cpu      [2]time.Duration
	spent    map[spending]int
}

// spending is what a kind of frame costs in a turn of the first session; turn 0 is
// all of the later ones.
type spending struct {
	turn  int
	frame string
}

func syncFigures(d, entries int, runs []syncRun) []figure {
	row := func(what, unit string, target float64, of func(syncRun) float64) []figure {
		values := make([]float64, len(runs))
		for i, r := range runs {
			values[i] = of(r)
		}
		slices.Sort(values)
		name := fmt.Sprintf("d=%d: %s", d, what)
		return []figure{
			{Workload: "sync", Name: name + ", median", Value: values[len(values)/2], Unit: unit, Target: target},
			{Workload: "sync", Name: name + ", worst", Value: values[len(values)-1], Unit: unit},
		}
	}
	target, cpu, most := 0.0, 0.0, 5.0
	if entries == defaultSync.entries {
		target = syncTargets[d]
		if d == 1_000 {
			cpu = syncCPU
		}
	}
	if d <= 1_000 {
		most = 3
	}
	out := row("bytes beyond the entries, both ways", "B", target, func(r syncRun) float64 { return r.bytes })
	out = append(out, row("a difference", "B", 0, func(r syncRun) float64 { return r.bytes / float64(d) })[:1]...)
	sessions := row("sessions", "", 2, func(r syncRun) float64 { return float64(r.sessions) })
	sessions[1].Target = most
	trips := row("round trips of the longest session", "", 0, func(r syncRun) float64 { return float64(r.turns) / 2 })
	trips[1].Target = syncTurns / 2
	out = append(append(out, sessions...), trips...)
	out = append(out, row("entries sent for nothing", "", 0, func(r syncRun) float64 { return float64(r.useless) })...)
	return append(out, row("CPU time of the busier side", "ms", cpu, func(r syncRun) float64 {
		return float64(max(r.cpu[0], r.cpu[1]).Microseconds()) / 1000
	})...)
}

// breakdown says in which turn the bytes go, and in what kind of frame: the mean of
// all runs.
func breakdown(d int, runs []syncRun) []figure {
	total := map[spending]int{}
	for _, r := range runs {
		for at, n := range r.spent {
			total[at] += n
		}
	}
	var keys []spending
	for at := range total {
		keys = append(keys, at)
	}
	slices.SortFunc(keys, func(a, b spending) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.frame, b.frame))
	})
	var out []figure
	for _, at := range keys {
		when := fmt.Sprintf("turn %d", at.turn)
		if at.turn == 0 {
			when = "later sessions"
		}
		name := fmt.Sprintf("d=%d: of that %s, %s, mean", d, when, at.frame)
		out = append(out, figure{Workload: "sync", Name: name, Value: float64(total[at]) / float64(len(runs)), Unit: "B"})
	}
	return out
}

// twoStores are two sides that hold the same, until they are made to differ.
type twoStores struct {
	sides      [2]*engine.Engine
	sources    [2]*engine.Source
	limit      int // entries past which they are too full to stand for as many as asked
	keys       int
	valueBytes int
	repairs    int
}

func newTwoStores(entries, common, valueBytes int) *twoStores {
	s := &twoStores{limit: entries + entries/50, valueBytes: valueBytes}
	for i := range s.sides {
		s.sides[i] = engine.New(engine.Config{Instance: uint64(i + 1), Key: merkle.Key{Created: 1, Secret: [16]byte{0x5e, 0xc2}}})
		s.sources[i] = s.sides[i].Source(func() int64 { return syncWall })
	}
	rng := rand.New(rand.NewPCG(1, uint64(common)))
	for ; s.keys < common; s.keys++ {
		// Written in the course of a month, by one of three.
		ago := hour + rng.Int64N(30*24*hour)
		s.write(s.keys, 0, engine.Version{Time: engine.Reading(syncWall-ago, uint16(rng.Uint32())), Instance: 3 + rng.Uint64N(3)}, s.sides[:]...)
	}
	return s
}

// missing is how many of d differences are entries that one side lacks.
func missing(d, seed int) int { return (d + 1 - seed%2) / 2 }

func (s *twoStores) crowded(d int) bool { return s.keys+(d+1)/2 > s.limit }

func (s *twoStores) write(k, generation int, v engine.Version, to ...*engine.Engine) {
	content := value(k, generation, s.valueBytes)
	for _, e := range to {
		ent := engine.Entry{Key: key(k), Value: content, Version: v, Kind: engine.KindPut, Checksum: engine.Checksum(content)}
		if outcome, _ := e.Apply(syncWall, &ent); outcome != merkle.Applied {
			panic(fmt.Sprintf("bench: a write of %s: %s", ent.Key, outcome))
		}
	}
}

// differ makes d differences within the last hour: in turn an entry that one side
// lacks and one that it has an older version of, as many in each direction.
func (s *twoStores) differ(d int, rng *rand.Rand, first int) {
	overwritten := rng.Perm(s.keys)[:d-missing(d, first)]
	from := syncWall - hour + int64(s.repairs)*20_000
	for i := range d {
		at := first + i
		to := s.sides[at/2%2]
		v := engine.Version{Time: engine.Reading(from+rng.Int64N(20_000), uint16(rng.Uint32())), Instance: to.Instance()}
		if at%2 == 0 {
			s.write(s.keys, 0, v, to)
			s.keys++
		} else {
			s.write(overwritten[i/2], s.repairs+1, v, to)
		}
	}
	s.repairs++
}

var errRoots = errors.New("the roots do not agree after ten sessions")

func (s *twoStores) repair(d, seed int) (syncRun, error) {
	rng := rand.New(rand.NewPCG(uint64(seed), uint64(d)))
	s.differ(d, rng, seed)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // not in the middle of what is measured
	run := syncRun{spent: map[spending]int{}}
	applied, sent := uint64(0), uint64(0)
	for {
		one, _ := s.sides[0].Root()
		other, _ := s.sides[1].Root()
		if one == other {
			break
		}
		if run.sessions++; run.sessions > 10 {
			return run, errRoots
		}
		stats, err := s.session(rng.Uint64(), &run)
		if err != nil {
			return run, err
		}
		run.turns = max(run.turns, stats[0].Turns)
		for _, st := range stats {
			run.bytes += float64(st.DigestSent + st.EntryBytesSent)
			applied += st.Applied
			sent += st.EntriesSent
		}
	}
	run.useless = sent - applied
	run.bytes -= float64(applied) * float64(len(key(0))+engine.VersionSize+s.valueBytes)
	return run, nil
}

// session is one round. Frames pass one at a time, each with its length in front as
// on a stream.
func (s *twoStores) session(salt uint64, run *syncRun) (stats [2]merkle.RoundStats, err error) {
	rounds := [2]*merkle.Round{
		merkle.NewRound(merkle.RoundConfig{Initiator: true, Source: s.sources[0], Salt: salt}),
		merkle.NewRound(merkle.RoundConfig{Source: s.sources[1]}),
	}
	var frame []byte
	for turn, silent := 1, 0; silent < 2; turn++ {
		from, to := (turn+1)%2, turn%2
		silent++
		for {
			began, ok := cpuTime(), false
			frame, ok = rounds[from].Next(frame[:0])
			said := cpuTime()
			run.cpu[from] += said - began
			if !ok {
				break
			}
			silent = 0
			before := rounds[to].Stats().DigestReceived
			if err := rounds[to].Receive(frame); err != nil {
				return stats, err
			}
			run.cpu[to] += cpuTime() - said
			run.bytes += frameHead
			cost := int(rounds[to].Stats().DigestReceived-before) + frameHead
			at := spending{frame: frameName(frame[0])}
			if run.sessions == 1 {
				at.turn = turn
			}
			run.spent[at] += cost
		}
	}
	for i, r := range rounds {
		if !r.Done() {
			return stats, errors.New("the round stands still")
		}
		stats[i] = r.Stats()
	}
	return stats, nil
}

// frameName says what kind of frame begins with that byte. Of an entries frame only
// the framing counts; what an entry holds beside key, value and version is not in it.
func frameName(first byte) string {
	names := [...]string{"", "open", "equal", "accept", "key offer", "key request", "ranges", "framing of entries", "end of turn", "finish"}
	return names[first&0x3f]
}
