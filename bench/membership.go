package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tochemey/gokv/membership"
)

// membershipOptions says what `bench membership` simulates.
type membershipOptions struct {
	members int // of the large cluster
	small   int // of the small one
	seed    uint64
	seeds   int // worlds for each median, from seed on
	crashes int // in each large world
	loss    []float64
	sizes   []int         // of the idle clusters
	calm    time.Duration // watched for false positives, each loss
	slowFor time.Duration // watched with slow members, each anomaly
	slowOf  int           // members of that cluster
	anomaly []anomaly
	split   time.Duration
	idle    time.Duration
	plots   string
	only    []string
}

var defaultMembership = membershipOptions{
	members: 1000, small: 5, seed: 1, seeds: 3, crashes: 5,
	loss: []float64{0, 0.01, 0.1}, sizes: []int{5, 20, 64, 65, 250, 1000},
	calm: 10 * time.Minute, slowFor: 3 * time.Minute, slowOf: 300, split: time.Hour, idle: 5 * time.Minute,
	anomaly: []anomaly{
		{2048 * time.Millisecond, 2048 * time.Millisecond, false},
		{8192 * time.Millisecond, 512 * time.Millisecond, false},
		{16384 * time.Millisecond, 4096 * time.Millisecond, false},
		{32768 * time.Millisecond, 64 * time.Millisecond, false},
		{8192 * time.Millisecond, 512 * time.Millisecond, true},
	},
}

// anomaly is how a slow member behaves, as in the interval experiment of
// Lifeguard (Dadgar, Phillips, Currey: arXiv 1707.00788): again and again its
// messages wait for one time, and pass for another; lengths and pauses are
// powers of two in milliseconds there, as here. Frozen, the whole process waits.
type anomaly struct {
	length, pause time.Duration
	frozen        bool
}

func (a anomaly) String() string {
	how := "slow"
	if a.frozen {
		how = "frozen"
	}
	return fmt.Sprintf("one in twenty %s, %s of every %s", how, a.length, a.length+a.pause)
}

// variant is a protocol under test.
type variant struct {
	name string
	tune func(*membership.Config)
	told bool // the driver tells how long its datagrams wait
}

var (
	lifeguard = variant{name: "gokv"}
	// plain is SWIM with the LAN parameters that memberlist publishes
	// (config.go, DefaultLANConfig), and none of what came after SWIM.
	plain = variant{name: "plain SWIM", tune: plainSWIM(4)}
	// hasty is plain SWIM as fast to declare a death as gokv is.
	hasty = variant{name: "hasty SWIM", tune: plainSWIM(1)}
)

func plainSWIM(suspicion int) func(*membership.Config) {
	return func(c *membership.Config) {
		c.Plain = true
		c.ProbeInterval, c.ProbeTimeout, c.IndirectProbes = time.Second, 500*time.Millisecond, 3
		c.GossipInterval, c.GossipFanout, c.RetransmitMult = 200*time.Millisecond, 3, 4
		c.PushPullInterval, c.SuspicionMult = 30*time.Second, suspicion
	}
}

func membershipFlags(c *cobra.Command, o *membershipOptions) {
	c.Flags().IntVar(&o.members, "members", o.members, "members of the large cluster; 10,000 need about 40 GB and hours")
	c.Flags().IntVar(&o.small, "small", o.small, "members of the small cluster")
	c.Flags().Uint64Var(&o.seed, "seed", o.seed, "first seed")
	c.Flags().IntVar(&o.seeds, "seeds", o.seeds, "seeds for each median")
	c.Flags().IntVar(&o.crashes, "crashes", o.crashes, "crashes in each large world")
	c.Flags().Float64SliceVar(&o.loss, "loss", o.loss, "shares of datagrams that are lost, 0 to 1; a thousand members at 0.3 take very long")
	c.Flags().IntSliceVar(&o.sizes, "sizes", o.sizes, "members of the idle clusters")
	c.Flags().DurationVar(&o.calm, "calm", o.calm, "virtual time to count false positives in, for each loss")
	c.Flags().DurationVar(&o.slowFor, "slow", o.slowFor, "virtual time to count false positives in, for each kind of slow member")
	c.Flags().IntVar(&o.slowOf, "slow-members", o.slowOf, "members of the cluster with slow ones")
	c.Flags().DurationVar(&o.split, "split", o.split, "how long the halves are apart")
	c.Flags().StringVar(&o.plots, "plots", o.plots, "directory to draw the results into, as SVG")
	c.Flags().StringSliceVar(&o.only, "only", o.only, "experiments to run: crash, calm, slow, idle, change, restart, split; none named: all")
}

// experiment fills in figures of a run; tasks of all experiments run side by
// side, each world on one goroutine.
type experiment struct {
	name string
	run  func(o membershipOptions, t *tasks) func() []figure
}

var experiments = []experiment{
	{"crash", crashExperiment},
	{"calm", calmExperiment},
	{"slow", slowExperiment},
	{"idle", idleExperiment},
	{"change", changeExperiment},
	{"restart", restartExperiment},
	{"split", splitExperiment},
}

// measureMembership simulates clusters and returns what they did.
func measureMembership(ctx context.Context, o membershipOptions) ([]figure, error) {
	for _, name := range o.only {
		if !slices.ContainsFunc(experiments, func(e experiment) bool { return e.name == name }) {
			return nil, fmt.Errorf("experiment %q: crash, calm, slow, idle, change, restart or split", name)
		}
	}
	// Tables of a thousand members a thousand times over are live for long:
	// memory is cheaper than looking at them again and again.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	fmt.Fprintf(os.Stderr, "membership: seeds %d to %d\n", o.seed, o.seed+uint64(o.seeds)-1)
	var t tasks
	var results []func() []figure
	for _, e := range experiments {
		if len(o.only) == 0 || slices.Contains(o.only, e.name) {
			results = append(results, e.run(o, &t))
		}
	}
	if err := t.run(ctx); err != nil {
		return nil, err
	}
	var figures []figure
	for _, r := range results {
		figures = append(figures, r()...)
	}
	if o.plots != "" {
		for name, svg := range membershipPlots(figures) {
			if err := os.WriteFile(filepath.Join(o.plots, name), svg, 0o644); err != nil {
				return nil, err
			}
		}
	}
	return figures, nil
}

// tasks are worlds to run.
type tasks struct{ todo []func() }

func (t *tasks) add(f func()) { t.todo = append(t.todo, f) }

func (t *tasks) run(ctx context.Context) error {
	work := make(chan func())
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for f := range work {
				f()
			}
		})
	}
	defer workers.Wait()
	defer close(work)
	for i, f := range t.todo {
		select {
		case work <- f:
			fmt.Fprintf(os.Stderr, "membership: world %d of %d\n", i+1, len(t.todo))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func newWorldOf(v variant, seed uint64, size int) *memberWorld {
	w := newMemberWorld(seed, size, v.tune)
	w.told = v.told
	return w
}

// median returns the middle of samples, of which some may be missing (0): they
// count as greatest, and limit stands for them.
func median(samples []time.Duration, limit time.Duration) time.Duration {
	s := slices.Clone(samples)
	for i := range s {
		if s[i] == 0 {
			s[i] = limit
		}
	}
	slices.Sort(s)
	return s[len(s)/2]
}

func percent(p float64) string { return fmt.Sprintf("%g %% loss", p*100) }

// crashExperiment crashes members and measures when the first and when all
// others know.
func crashExperiment(o membershipOptions, t *tasks) func() []figure {
	const limit = 90 * time.Second
	type run struct {
		v          variant
		size       int
		loss       float64
		first, all []time.Duration
	}
	var runs []*run
	var mu sync.Mutex
	for _, size := range []int{o.small, o.members} {
		for _, loss := range o.loss {
			for _, v := range []variant{lifeguard, plain, hasty} {
				r := &run{v: v, size: size, loss: loss}
				runs = append(runs, r)
				worlds, crashes := o.seeds, o.crashes
				if size == o.small {
					worlds, crashes = o.seeds*o.crashes*2, 1
				}
				for i := range worlds {
					t.add(func() {
						w := newWorldOf(v, o.seed+uint64(i), size)
						w.loss = loss
						w.settled()
						for range crashes {
							w.run(time.Duration(w.rng.Int64N(int64(20 * time.Second))))
							victim := w.nodes[w.rng.IntN(size)]
							if victim.machine == nil {
								continue
							}
							watch := w.observe(membership.EventFailed, victim, victim.instance)
							victim.crash()
							w.runUntil(limit, func() bool { return watch.all > 0 })
							mu.Lock()
							r.first, r.all = append(r.first, watch.first), append(r.all, watch.all)
							mu.Unlock()
						}
					})
				}
			}
		}
	}
	return func() []figure {
		var figures []figure
		for _, r := range runs {
			name := fmt.Sprintf("crash among %s, %s", thousands(r.size), percent(r.loss))
			f := figure{Workload: r.v.name, Name: name + ": known to the first", Value: median(r.first, limit).Seconds(), Unit: "s"}
			a := figure{Workload: r.v.name, Name: name + ": known to all", Value: median(r.all, limit).Seconds(), Unit: "s"}
			if r.v.name == lifeguard.name && r.loss == 0.01 {
				a.Target = 6
				if r.size <= 5 {
					a.Target = 3
				}
			}
			figures = append(figures, f, a)
		}
		return figures
	}
}

// victims counts the members that were declared dead while they lived, each
// incarnation once.
func victims(failures []falseDeath, want func(falseDeath) bool) int {
	type key struct {
		victim      int
		incarnation uint64
	}
	seen := make(map[key]bool)
	for _, f := range failures {
		if want(f) {
			seen[key{f.victim, f.incarnation}] = true
		}
	}
	return len(seen)
}

// calmExperiment counts who is declared dead while nobody is.
func calmExperiment(o membershipOptions, t *tasks) func() []figure {
	type run struct {
		v     variant
		size  int
		loss  float64
		false int
	}
	var runs []*run
	for _, size := range []int{o.small, o.members} {
		for _, loss := range o.loss {
			for _, v := range []variant{lifeguard, plain, hasty} {
				r := &run{v: v, size: size, loss: loss}
				runs = append(runs, r)
				t.add(func() {
					w := newWorldOf(v, o.seed, size)
					w.settled()
					w.loss = loss
					w.failures = nil
					w.run(o.calm)
					r.false = victims(w.failures, func(falseDeath) bool { return true })
				})
			}
		}
	}
	return func() []figure {
		var figures []figure
		for _, r := range runs {
			figures = append(figures, figure{
				Workload: r.v.name, Name: fmt.Sprintf("live members of %s declared dead, %s", thousands(r.size), percent(r.loss)),
				Value: float64(r.false) * float64(time.Hour) / float64(o.calm), Unit: "/h",
			})
		}
		return figures
	}
}

// slowly makes one member in twenty slow, from now on.
func (w *memberWorld) slowly(a anomaly) {
	for i, n := range w.nodes {
		if i%20 != 10 {
			continue
		}
		n.slow = true
		var begin func()
		begin = func() {
			if a.frozen {
				n.freeze()
			} else {
				n.block()
			}
			w.after(a.length, func() {
				n.resume()
				w.after(a.pause, begin)
			})
		}
		w.after(time.Duration(w.rng.Int64N(int64(a.length+a.pause))), begin)
	}
}

// slowExperiment has one slow member in twenty and counts which others are
// declared dead; healthy members that crash meanwhile show how long that takes.
func slowExperiment(o membershipOptions, t *tasks) func() []figure {
	const limit = 90 * time.Second
	type run struct {
		v                variant
		a                anomaly
		false, byHealthy int
		all              []time.Duration
	}
	told := lifeguard
	told.name, told.told = "gokv, told of held up sends", true
	variants := []variant{lifeguard, told, plain, hasty}
	var runs []*run
	for _, a := range o.anomaly {
		for _, v := range variants {
			r := &run{v: v, a: a}
			runs = append(runs, r)
			t.add(func() {
				w := newWorldOf(v, o.seed, o.slowOf)
				w.settled()
				w.slowly(a)
				w.run(time.Minute)
				w.failures = nil
				until := w.now + o.slowFor
				for i := 0; w.now < until; i++ {
					w.run(10 * time.Second)
					victim := w.nodes[w.rng.IntN(o.slowOf)]
					if victim.machine == nil || victim.slow {
						continue
					}
					watch := w.observe(membership.EventFailed, victim, victim.instance)
					for _, n := range w.nodes { // who is slow need not know
						if n.slow && n.member() && n != victim {
							watch.knownBefore[n.id] = true
							watch.missing--
						}
					}
					victim.crash()
					w.runUntil(limit, func() bool { return watch.all > 0 })
					r.all = append(r.all, watch.all)
				}
				r.false = victims(w.failures, func(f falseDeath) bool { return !f.ofSlow })
				r.byHealthy = victims(w.failures, func(f falseDeath) bool { return !f.ofSlow && !f.bySlow })
			})
		}
	}
	return func() []figure {
		var figures []figure
		hour := float64(time.Hour) / float64(o.slowFor)
		sum := make(map[string]int)
		var all []figure
		for _, r := range runs {
			name := r.a.String()
			figures = append(figures,
				figure{Workload: r.v.name, Name: name + ": healthy members declared dead", Value: float64(r.false) * hour, Unit: "/h"},
				figure{Workload: r.v.name, Name: name + ": … by healthy members", Value: float64(r.byHealthy) * hour, Unit: "/h"},
				figure{Workload: r.v.name, Name: name + ": crash known to all healthy", Value: median(r.all, limit).Seconds(), Unit: "s"})
			sum[r.v.name] += r.false
		}
		for _, v := range variants {
			all = append(all, figure{Workload: v.name, Name: "one in twenty slow, all of these: healthy members declared dead", Value: float64(sum[v.name]), Unit: ""})
		}
		return append(figures, all...)
	}
}

// idleExperiment counts bytes while nothing happens.
func idleExperiment(o membershipOptions, t *tasks) func() []figure {
	type run struct {
		v              variant
		size           int
		bytes, packets float64
	}
	var runs []*run
	for _, size := range o.sizes {
		for _, v := range []variant{lifeguard, plain} {
			r := &run{v: v, size: size}
			runs = append(runs, r)
			t.add(func() {
				w := newWorldOf(v, o.seed, size)
				w.settled()
				w.bytes, w.packets = 0, 0
				w.run(o.idle)
				r.bytes = w.bytes / float64(size) / o.idle.Seconds()
				r.packets = float64(w.packets) / float64(size) / o.idle.Seconds()
			})
		}
	}
	return func() []figure {
		var figures []figure
		for _, r := range runs {
			f := figure{Workload: r.v.name, Name: fmt.Sprintf("idle, %s members: sent by each", thousands(r.size)), Value: r.bytes, Unit: "B/s"}
			if r.v.name == lifeguard.name {
				f.Target = 500
			}
			figures = append(figures, f)
		}
		return figures
	}
}

// changeExperiment measures when a newcomer and a leave are known to all.
func changeExperiment(o membershipOptions, t *tasks) func() []figure {
	const limit = 60 * time.Second
	type run struct {
		v           variant
		loss        float64
		join, leave []time.Duration
	}
	var runs []*run
	var mu sync.Mutex
	for _, loss := range []float64{0.01, 0.1} {
		for _, v := range []variant{lifeguard, plain} {
			r := &run{v: v, loss: loss}
			runs = append(runs, r)
			for i := range o.seeds {
				t.add(func() {
					w := newWorldOf(v, o.seed+uint64(i), o.members)
					w.settled()
					w.loss = loss
					n := w.place()
					n.boot()
					joined := w.observe(membership.EventJoined, n, n.instance)
					n.join([]string{w.nodes[w.rng.IntN(o.members)].addr})
					w.runUntil(limit, func() bool { return joined.all > 0 })
					w.run(10 * time.Second)
					goer := w.nodes[w.rng.IntN(o.members)]
					left := w.observe(membership.EventLeft, goer, goer.instance)
					goer.leave()
					w.after(time.Second, func() { goer.machine = nil })
					w.runUntil(limit, func() bool { return left.all > 0 })
					mu.Lock()
					r.join, r.leave = append(r.join, joined.all), append(r.leave, left.all)
					mu.Unlock()
				})
			}
		}
	}
	return func() []figure {
		var figures []figure
		for _, r := range runs {
			for what, samples := range map[string][]time.Duration{"a newcomer": r.join, "a leave": r.leave} {
				f := figure{Workload: r.v.name, Name: fmt.Sprintf("%s, known to all of %s, %s", what, thousands(o.members), percent(r.loss)), Value: median(samples, limit).Seconds(), Unit: "s"}
				if r.v.name == lifeguard.name && r.loss == 0.01 {
					f.Target = 2
				}
				figures = append(figures, f)
			}
		}
		slices.SortStableFunc(figures, func(a, b figure) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) })
		return figures
	}
}

// restartExperiment ends all processes and starts them again within a second;
// each is given three addresses, as discovery would.
func restartExperiment(o membershipOptions, t *tasks) func() []figure {
	const limit = 2 * time.Minute
	type run struct {
		v    variant
		took []time.Duration
		sent float64
		dead int
	}
	var runs []*run
	var mu sync.Mutex
	for _, v := range []variant{lifeguard, plain} {
		r := &run{v: v}
		runs = append(runs, r)
		for i := range max(1, o.seeds/2) {
			t.add(func() {
				w := newWorldOf(v, o.seed+uint64(i), o.members)
				w.loss = 0.01
				w.settled()
				for _, n := range w.nodes {
					n.crash()
				}
				w.run(time.Second)
				w.bytes, w.failures = 0, nil
				began, up := w.now, 0
				for _, n := range w.nodes {
					w.after(time.Duration(w.rng.Int64N(int64(time.Second))), func() {
						n.boot()
						up++
						n.join([]string{w.nodes[0].addr, w.nodes[o.members/2].addr, w.nodes[o.members-1].addr})
					})
				}
				ok := w.runUntil(limit, func() bool { return up == o.members && w.wrong == 0 })
				took := w.now - began
				if !ok {
					took = 0
				}
				mu.Lock()
				r.took = append(r.took, took)
				r.sent += w.bytes / float64(o.members) / float64(max(1, o.seeds/2))
				mu.Unlock()
				w.run(30 * time.Second)
				mu.Lock()
				r.dead += victims(w.failures, func(falseDeath) bool { return true })
				mu.Unlock()
			})
		}
	}
	return func() []figure {
		var figures []figure
		for _, r := range runs {
			f := figure{Workload: r.v.name, Name: fmt.Sprintf("all %s restart: one view after", thousands(o.members)), Value: median(r.took, limit).Seconds(), Unit: "s"}
			if r.v.name == lifeguard.name {
				f.Target = 30
			}
			figures = append(figures, f,
				figure{Workload: r.v.name, Name: fmt.Sprintf("all %s restart: sent by each until then", thousands(o.members)), Value: r.sent / 1e6, Unit: "MB"},
				figure{Workload: r.v.name, Name: fmt.Sprintf("all %s restart: live members declared dead", thousands(o.members)), Value: float64(r.dead)})
		}
		return figures
	}
}

// splitExperiment cuts the cluster in halves and heals it.
func splitExperiment(o membershipOptions, t *tasks) func() []figure {
	const limit = 5 * time.Minute
	type run struct {
		v       variant
		size    int
		took    time.Duration
		wrong   int
		deadEnd int
	}
	var runs []*run
	for _, size := range []int{o.small, o.members} {
		for _, v := range []variant{lifeguard, plain} {
			r := &run{v: v, size: size}
			runs = append(runs, r)
			t.add(func() {
				w := newWorldOf(v, o.seed, size)
				w.loss = 0.01
				w.settled()
				w.side = make([]int, size)
				for i := range size / 2 {
					w.side[i] = 1
				}
				w.run(o.split)
				r.wrong = w.wrong
				w.side = nil
				healed := w.now
				if w.runUntil(limit, func() bool { return w.wrong == 0 }) {
					r.took = w.now - healed
				}
				w.run(30 * time.Second)
				r.deadEnd = w.wrong
			})
		}
	}
	return func() []figure {
		var figures []figure
		for _, r := range runs {
			took := r.took
			if took == 0 {
				took = limit
			}
			name := fmt.Sprintf("halves of %s meet after %s", thousands(r.size), o.split)
			figures = append(figures,
				figure{Workload: r.v.name, Name: name + ": one view after", Value: took.Seconds(), Unit: "s"},
				figure{Workload: r.v.name, Name: name + ": wrong beliefs half a minute later", Value: float64(r.deadEnd)})
		}
		return figures
	}
}
