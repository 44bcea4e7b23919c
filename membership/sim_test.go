package membership

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// world is a cluster in one goroutine: machines, a network that loses,
// repeats and reorders, and a clock that jumps from event to event. All of it
// follows from the seed.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	now   time.Time
	queue eventQueue
	order uint64
	nodes []*node
	trace interface{ Write([]byte) (int, error) }
	sum   func() uint64
	line  []byte

	// The network.
	loss, dup          float64
	minDelay, maxDelay time.Duration
	blocked            map[[2]string]bool // from, to
	tune               func(*Config)

	datagrams, datagramBytes, calls int
	lost, duplicated, refused       int
	failures, suspicions, joins     int
	onEvent                         func(*node, Event)
	mayYield                        bool // two processes share a name
}

// node is a place where processes live, one after the other.
type node struct {
	w          *world
	name, addr string
	join       []string
	rng        *rand.Rand

	machine *Machine // nil: no process
	out     Effects
	tickGen uint64
	paused  bool
	inbox   []func()
	rows    map[string]Member // the table after the step before
	checked uint64            // its version
	steps   int
	skew    time.Duration // of the wall clock
	done    bool          // has said that its leave is told
}

type event struct {
	at    time.Time
	order uint64
	run   func()
}

type eventQueue []event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].order < q[j].order
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *eventQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*q = old[:len(old)-1]
	return last
}

// seeds is how many seeds a simulation runs of n. The race detector makes them
// ten times slower and finds nothing in one goroutine.
func seeds(n int) int {
	if raceEnabled {
		return max(1, n/10)
	}
	return n
}

var simStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, seed uint64, size int) *world {
	h := fnv.New64a()
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: simStart, trace: h, sum: h.Sum64,
		minDelay: 200 * time.Microsecond, maxDelay: 2 * time.Millisecond,
		blocked: make(map[[2]string]bool),
	}
	for i := range size {
		name := fmt.Sprintf("n%d", i)
		w.nodes = append(w.nodes, &node{w: w, name: name, addr: name + ":7946"})
	}
	for _, n := range w.nodes {
		for _, other := range w.nodes {
			n.join = append(n.join, other.addr)
		}
	}
	return w
}

func (w *world) at(d time.Duration, run func()) {
	w.order++
	heap.Push(&w.queue, event{at: w.now.Add(d), order: w.order, run: run})
}

// runFor lets virtual time pass.
func (w *world) runFor(d time.Duration) {
	until := w.now.Add(d)
	for len(w.queue) > 0 && !w.queue[0].at.After(until) {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.run()
	}
	w.now = until
}

// runUntil lets time pass until ok, and returns how much; the test fails when
// that is more than limit.
func (w *world) runUntil(limit time.Duration, what string, ok func() error) time.Duration {
	w.t.Helper()
	began := w.now
	for {
		err := ok()
		if err == nil {
			return w.now.Sub(began)
		}
		if w.now.Sub(began) >= limit {
			require.NoError(w.t, err, "%s: not within %s; trace %x\n%s", what, limit, w.sum(), w.dump())
		}
		w.runFor(50 * time.Millisecond)
	}
}

func (w *world) logf(format string, args ...any) {
	fmt.Fprintf(w.trace, "%d ", w.now.Sub(simStart))
	fmt.Fprintf(w.trace, format, args...)
}

// log is logf for what happens most.
func (w *world) log(from, to string, b []byte) {
	w.line = binary.BigEndian.AppendUint64(w.line[:0], uint64(w.now.Sub(simStart)))
	w.line = append(append(append(append(w.line, from...), '>'), to...), b...)
	_, err := w.trace.Write(w.line)
	require.NoError(w.t, err)
}

func (w *world) delay() time.Duration {
	return w.minDelay + time.Duration(w.rng.Int64N(int64(w.maxDelay-w.minDelay)+1))
}

func (w *world) nodeAt(addr string) *node {
	for _, n := range w.nodes {
		if n.addr == addr {
			return n
		}
	}
	return nil
}

// start runs a new process in n.
func (n *node) start() {
	w := n.w
	require.Nil(w.t, n.machine)
	n.rng = rand.New(rand.NewPCG(w.rng.Uint64(), 2))
	cfg := Config{
		Self: Member{
			Name: n.name, Instance: w.rng.Uint64() | 1, PeerAddr: n.addr, ClientAddr: n.name + ":7947",
			Started: w.now.Add(n.skew).UnixMilli(),
		},
		Rand: n.rng,
	}
	cfg.Payload = func() []byte { return binary.BigEndian.AppendUint64(make([]byte, 17), cfg.Self.Instance) }
	if w.tune != nil {
		w.tune(&cfg)
	}
	m, err := New(cfg)
	require.NoError(w.t, err)
	n.machine, n.done, n.paused, n.inbox = m, false, false, nil
	n.rows, n.checked = make(map[string]Member), 0
	w.logf("start %s %d\n", n.name, cfg.Self.Instance)
	n.step(func() { require.NoError(w.t, m.Join(w.now, n.join, &n.out)) })
}

// crash ends the process in n, which tells nobody.
func (n *node) crash() {
	n.w.logf("crash %s\n", n.name)
	n.machine, n.paused, n.inbox = nil, false, nil
	n.tickGen++
}

func (n *node) leave() {
	n.w.logf("leave %s\n", n.name)
	n.step(func() { n.machine.Leave(n.w.now, &n.out) })
}

func (n *node) pause() { n.paused = true; n.w.logf("pause %s\n", n.name) }

// resume lets a paused process go on: what waited for it comes in any order.
func (n *node) resume() {
	if !n.paused {
		return
	}
	n.w.logf("resume %s\n", n.name)
	n.paused = false
	inbox := n.inbox
	n.inbox = nil
	n.w.rng.Shuffle(len(inbox), func(i, j int) { inbox[i], inbox[j] = inbox[j], inbox[i] })
	for _, f := range inbox {
		f()
	}
}

// step runs f in n's process now, or when it is resumed, and carries out what
// the machine asks for.
func (n *node) step(f func()) {
	if n.machine == nil {
		return
	}
	if n.paused {
		if len(n.inbox) < 500 {
			machine := n.machine
			n.inbox = append(n.inbox, func() {
				if n.machine == machine {
					n.step(f)
				}
			})
		}
		return
	}
	f()
	n.carryOut()
	n.check()
	n.schedule()
}

func (n *node) schedule() {
	n.tickGen++
	gen, next := n.tickGen, n.machine.NextDeadline()
	if next.IsZero() {
		return
	}
	n.w.at(max(0, next.Sub(n.w.now)), func() {
		if gen == n.tickGen {
			n.step(func() { n.machine.Tick(n.w.now, &n.out) })
		}
	})
}

func (n *node) carryOut() {
	w := n.w
	for _, e := range n.out.Events {
		w.logf("%s %s %s %s %v\n", n.name, e.Kind, e.Member.Name, e.Probe, e.Err)
		if e.Kind == EventBadMessage || e.Kind == EventTableFull || e.Fatal && !w.mayYield {
			require.Fail(w.t, "no such event may be", "%s: %+v", n.name, e)
		}
		switch e.Kind {
		case EventFailed:
			w.failures++
		case EventSuspected:
			w.suspicions++
		case EventJoined:
			w.joins++
		case EventLeaveDone:
			n.done = true
		}
		if w.onEvent != nil {
			w.onEvent(n, e)
		}
	}
	for _, p := range n.out.Payloads {
		if len(p.Payload) != 25 || p.Member.Instance != binary.BigEndian.Uint64(p.Payload[17:]) {
			require.Fail(w.t, "a payload is its member's", "%x of %+v", p.Payload, p.Member)
		}
	}
	for _, p := range n.out.Packets {
		w.datagram(n, p)
	}
	for _, c := range n.out.PushPulls {
		w.call(n, c)
	}
	n.out.Reset()
}

// running returns the nodes with a process that has not left.
func (w *world) running() []*node {
	return slices.DeleteFunc(slices.Clone(w.nodes), func(n *node) bool { return n.machine == nil || n.machine.left })
}

// agreed returns nil when every running member believes exactly the running
// members live, and all of them alive.
func (w *world) agreed() error {
	var want []string
	for _, n := range w.running() {
		want = append(want, fmt.Sprintf("%s/%x alive", n.name, n.machine.self.Instance))
	}
	slices.Sort(want)
	for _, n := range w.running() {
		var got []string
		for _, m := range n.machine.Alive() {
			got = append(got, fmt.Sprintf("%s/%x %s", m.Name, m.Instance, m.State))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s sees %v, running are %v", n.name, got, want)
		}
	}
	return nil
}

func (w *world) dump() string {
	var b strings.Builder
	if len(w.nodes) > 10 {
		return ""
	}
	for _, n := range w.nodes {
		if n.machine == nil {
			fmt.Fprintf(&b, "%s: no process\n", n.name)
			continue
		}
		fmt.Fprintf(&b, "%s: paused %v, left %v, join %v, calls %d\n", n.name, n.paused, n.machine.left, n.machine.tables.join, len(n.machine.tables.calls))
		for _, m := range n.machine.Members() {
			fmt.Fprintf(&b, "  %s/%x +%d %s\n", m.Name, m.Instance, m.Incarnation-uint64(m.Started), m.State)
		}
	}
	return b.String()
}

// startAll starts every node and waits until all see all.
func (w *world) startAll() {
	for _, n := range w.nodes {
		n.start()
	}
	w.runUntil(10*time.Second, "start", w.agreed)
}
