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
		if e.Kind == EventBadMessage || e.Kind == EventTableFull || e.Fatal {
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

// datagram carries one packet, as bytes.
func (w *world) datagram(n *node, p Packet) {
	b := p.Msg.AppendTo(nil)
	if len(b) > 1100 || p.To == n.addr {
		require.Fail(w.t, "no such packet may be sent", "%d bytes from %s to %s", len(b), n.addr, p.To)
	}
	w.datagrams++
	w.datagramBytes += len(b)
	w.log(n.name, p.To, b)
	if w.blocked[[2]string{n.addr, p.To}] || w.rng.Float64() < w.loss {
		w.lost++
		return
	}
	copies := 1
	if w.rng.Float64() < w.dup {
		w.duplicated++
		copies = 2
	}
	for range copies {
		w.at(w.delay(), func() {
			to := w.nodeAt(p.To)
			if to == nil {
				return
			}
			to.step(func() {
				msg, err := ParseDatagram(b)
				require.NoError(w.t, err)
				to.machine.Step(w.now, n.addr, msg, &to.out)
			})
		})
	}
}

// call carries a push-pull there and back. Without an answer it fails, at
// once when nobody listens, else by its time-out.
func (w *world) call(n *node, c PushPullCall) {
	w.calls++
	machine, ended := n.machine, false
	end := func(f func(m *Machine)) {
		if ended || n.machine != machine {
			return
		}
		ended = true
		n.step(func() { f(n.machine) })
	}
	fail := func() { end(func(m *Machine) { m.Failed(w.now, c.ID, false, &n.out) }) }
	w.at(machine.cfg.PushPullTimeout, fail)

	req := c.Req.AppendTo(nil)
	w.log(n.name, c.To, req)
	if w.blocked[[2]string{n.addr, c.To}] {
		return
	}
	w.at(w.delay(), func() {
		to := w.nodeAt(c.To)
		if to == nil || to.machine == nil {
			w.refused++
			fail()
			return
		}
		to.step(func() {
			msg, err := ParsePushPull(req)
			require.NoError(w.t, err)
			to.machine.Step(w.now, n.addr, msg, &to.out)
			require.Len(w.t, to.out.Replies, 1)
			reply := to.out.Replies[0].Msg.AppendTo(nil)
			if w.blocked[[2]string{to.addr, n.addr}] {
				return
			}
			w.at(w.delay(), func() {
				end(func(m *Machine) {
					msg, err := ParsePushPull(reply)
					require.NoError(w.t, err)
					m.Answered(w.now, c.ID, msg, &n.out)
				})
			})
		})
	})
}

// check holds after every step. It allocates next to nothing, as it runs
// millions of times.
func (n *node) check() {
	t, m := n.w.t, n.machine
	if n.steps++; n.steps%(len(m.table.all)/8+1) == 0 { // its cost grows with the table
		require.NoError(t, checkTable(m))
	}
	if !m.left && m.self.State != Alive {
		require.Equal(t, Alive, m.self.State, "a member is alive to itself")
	}
	if n.checked == m.Version() {
		return
	}
	n.checked = m.Version()
	// Claims only ever grow. A name may be forgotten once it is dead or left.
	for name, old := range n.rows {
		r, ok := m.table.byName[name]
		if !ok {
			require.False(t, old.State.live(), "%s forgot %s, which was %s", n.name, name, old.State)
			delete(n.rows, name)
			continue
		}
		if r.Compare(old) < 0 {
			require.Fail(t, "a claim was taken back", "%s went from %+v to %+v", n.name, old, r.Member)
		}
	}
	for _, r := range m.table.all {
		n.rows[r.Name] = r.Member
	}
}

// checkTable verifies every index against the rows.
func checkTable(m *Machine) error {
	live, dead, left, queued := 0, 0, 0, 0
	for i, r := range m.table.all {
		if r.allAt != i || m.table.byName[r.Name] != r || m.table.byInstance[r.Instance] != r {
			return fmt.Errorf("%s: indexes", r.Name)
		}
		if r.size != memberSize(&r.Member) {
			return fmt.Errorf("%s: size", r.Name)
		}
		if r.queued != nil {
			queued++
		}
		if r == m.self {
			if i != 0 || r.liveAt != -1 || r.gone != nil {
				return fmt.Errorf("the own row is filed")
			}
			continue
		}
		if suspect := r.State == Suspect; suspect == r.suspectUntil.IsZero() || suspect != containsRow(m.suspect.rows, r) {
			return fmt.Errorf("%s is %s, its suspicion ends %s", r.Name, r.State, r.suspectUntil)
		}
		switch r.State {
		case Alive, Suspect:
			live++
			if m.table.live[r.liveAt] != r || r.gone != nil {
				return fmt.Errorf("%s: not filed as live", r.Name)
			}
		case Dead:
			dead++
		case Left:
			left++
		}
		if !r.State.live() && (r.liveAt != -1 || r.gone == nil) {
			return fmt.Errorf("%s: filed as live", r.Name)
		}
	}
	rows := len(m.table.all)
	switch {
	case len(m.table.byName) != rows || len(m.table.byInstance) != rows:
		return fmt.Errorf("%d rows, %d names, %d instances", rows, len(m.table.byName), len(m.table.byInstance))
	case len(m.table.live) != live || m.table.dead.Len() != dead || m.table.left.Len() != left:
		return fmt.Errorf("live, dead or left are miscounted")
	case m.gossip.pending != queued:
		return fmt.Errorf("%d queued, %d counted", queued, m.gossip.pending)
	case queued > 0 && m.gossip.nextRound.IsZero():
		return fmt.Errorf("%d queued, and no round of gossip", queued)
	case rows > MaxMembers || dead > MaxDead || left > MaxLeft || len(m.tables.calls) > maxCalls || len(m.relays.open) > maxRelays:
		return fmt.Errorf("past a limit: %d rows, %d dead, %d left, %d calls, %d relays", rows, dead, left, len(m.tables.calls), len(m.relays.open))
	case m.left || m.yielded:
		return nil
	case live > 0 && m.prober.target == nil && m.prober.nextProbe.IsZero():
		return fmt.Errorf("%d live, and no probe", live)
	case live > 0 && m.tables.nextExchange.IsZero():
		return fmt.Errorf("%d live, and no exchange", live)
	case dead+len(m.tables.join) > 0 && m.tables.nextRejoin.IsZero():
		return fmt.Errorf("%d dead, %d to join, and no rejoin", dead, len(m.tables.join))
	case left > 0 && m.nextReap.IsZero():
		return fmt.Errorf("%d left, and no reaping", left)
	}
	return nil
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

// partition cuts the links between the groups, both ways or only from the
// first to the second.
func (w *world) partition(a, b []*node, oneWay bool) {
	for _, x := range a {
		for _, y := range b {
			w.blocked[[2]string{x.addr, y.addr}] = true
			if !oneWay {
				w.blocked[[2]string{y.addr, x.addr}] = true
			}
		}
	}
}

func (w *world) heal() { clear(w.blocked) }

// startAll starts every node and waits until all see all.
func (w *world) startAll() {
	for _, n := range w.nodes {
		n.start()
	}
	w.runUntil(10*time.Second, "start", w.agreed)
}
