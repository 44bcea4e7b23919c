package bootstrap

import (
	"container/heap"
	"fmt"
	"hash"
	"hash/fnv"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// world is nodes, each with a machine, a discovery service and a network, in
// virtual time: one goroutine, one heap of events, one seed. Membership and
// readiness are toys, just enough to see what comes of the machines' doing.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	now    time.Time
	events events
	count  uint64
	trace  hash.Hash64
	nodes  []*node

	service  service
	apart    uint64    // nodes that the others do not reach, and the reverse
	loss     float64   // of dials
	quiet    time.Time // when the faults end
	founders int       // nodes that became ready by themselves
}

// service is what the nodes ask.
type service struct {
	static   bool          // names everybody from the start
	lag      time.Duration // until a record shows
	watched  bool          // it signals changes
	failing  float64       // how many of the questions fail
	partial  bool          // a failure comes with some addresses
	latency  time.Duration
	dead     []string // named, and nobody is there
	foreign  []string
	failures int
}

// set is a set of nodes, as bits.
type set uint64

func (s set) has(i int) bool { return s>>i&1 == 1 }

// node is a machine with its toy membership: who has been met, and what they
// said of themselves when they were last heard of.
type node struct {
	id      int
	addr    string
	alias   string // another name of it, which the service gives; or none
	age     int64  // smaller is older
	begins  time.Time
	m       *Machine
	wake    time.Time // the event that is pending
	met     set       // itself included, and whom others have met
	heard   set       // who was met in person
	ready   set       // of those
	done    set
	asked   int
	answers int // that were no failures
	readyAt time.Time
}

type event struct {
	at  time.Time
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (w *world) at(at time.Time, do func()) {
	w.count++
	heap.Push(&w.events, event{at, w.count, do})
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now.Add(d), do) }

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d) + 1)) }

func (w *world) note(format string, args ...any) {
	fmt.Fprintf(w.trace, "%d ", w.now.Sub(start))
	fmt.Fprintf(w.trace, format+"\n", args...)
}

// runUntil performs events until one that satisfies done, or past a time.
func (w *world) runUntil(end time.Time, done func() bool) bool {
	for len(w.events) > 0 {
		if done() {
			return true
		}
		e := heap.Pop(&w.events).(event)
		if e.at.After(end) {
			heap.Push(&w.events, e)
			break
		}
		w.now = e.at
		e.do()
	}
	w.now = end
	return done()
}

// begin starts a node.
func (w *world) begin(n *node) {
	m, err := New(w.now, Config{Addr: n.addr, Rand: rand.New(rand.NewPCG(w.rng.Uint64(), uint64(n.id)))})
	require.NoError(w.t, err)
	n.m, n.met, n.heard = m, 1<<n.id, 1<<n.id
	w.step(n, func(out *Effects) { m.Tick(w.now, out) })
	w.after(w.upTo(gossipPause), func() { w.gossip(n) })
	if w.service.watched && !w.service.static {
		w.after(w.service.lag, func() {
			for _, other := range w.nodes {
				if other.m != nil && other != n {
					w.step(other, func(out *Effects) { other.m.Changed(w.now, out) })
				}
			}
		})
	}
}

// step performs an input, and what the machine wants done.
func (w *world) step(n *node, input func(out *Effects)) {
	var out Effects
	input(&out)
	if out.Ask {
		w.ask(n)
	}
	for _, addr := range out.Dials {
		w.dial(n, addr)
	}
	w.judge(n)
	next := n.m.NextDeadline()
	if next.IsZero() || next.Equal(n.wake) {
		return
	}
	require.True(w.t, next.After(w.now), "a busy loop")
	n.wake = next
	w.at(next, func() {
		if n.wake.Equal(w.now) {
			w.step(n, func(out *Effects) { n.m.Tick(w.now, out) })
		}
	})
}

// judge is the toy rule of readiness.
func (w *world) judge(n *node) {
	self := set(1) << n.id
	if n.done &^= self; n.m.Done(w.now) {
		n.done |= self
	}
	if n.ready&self != 0 || n.ready == 0 && (n.done == 0 || !w.eldest(n)) {
		return
	}
	if n.ready == 0 {
		w.founders++
	}
	require.True(w.t, n.answers > 0 || n.met != self, "discovery has always failed, and nobody was met")
	n.ready |= self
	n.readyAt = w.now
	n.m.Ready()
	w.note("%d ready", n.id)
}

// eldest reports whether a node is older than all whom it knows, and has met
// each of them in person.
func (w *world) eldest(n *node) bool {
	if n.met&^n.heard != 0 {
		return false
	}
	for _, other := range w.nodes {
		if n.met.has(other.id) && other.age < n.age {
			return false
		}
	}
	return true
}

// ask puts a node's question to the service, where it has registered.
func (w *world) ask(n *node) {
	n.asked++
	s := &w.service
	named := append(append([]string(nil), s.dead...), s.foreign...)
	for _, other := range w.nodes {
		if !s.static && (other.m == nil || w.now.Before(other.begins.Add(s.lag))) {
			continue
		}
		named = append(named, other.addr)
		if other.alias != "" {
			named = append(named, other.alias)
		}
	}
	failed := w.now.Before(w.quiet) && w.rng.Float64() < s.failing
	if failed {
		s.failures++
		if !s.partial {
			named = nil
		}
		named = named[:w.rng.IntN(len(named)+1)]
	}
	w.note("%d asks %t %d", n.id, failed, len(named))
	w.after(w.upTo(s.latency), func() {
		if !failed {
			n.answers++
		}
		w.step(n, func(out *Effects) { n.m.Answered(w.now, named, failed, out) })
	})
}

// dial tries an address: whoever is there is met, or nobody answers.
func (w *world) dial(n *node, addr string) {
	end := func(outcome Outcome, instance uint64) {
		w.note("%d dials %s %d", n.id, addr, outcome)
		w.step(n, func(out *Effects) { n.m.Dialled(w.now, addr, outcome, instance, out) })
	}
	for _, foreign := range w.service.foreign {
		if addr == foreign {
			w.after(w.upTo(20*time.Millisecond), func() { end(Foreign, 0) })
			return
		}
	}
	took := time.Millisecond // refused by the system there
	if w.rng.IntN(2) == 0 {
		took = 2 * time.Second
	}
	for _, other := range w.nodes {
		if addr != other.addr && addr != other.alias {
			continue
		}
		if other.m != nil && w.reaches(n, other) && (w.now.After(w.quiet) || w.rng.Float64() >= w.loss) {
			w.after(w.upTo(20*time.Millisecond), func() {
				if other == n {
					end(Own, uint64(n.id))
					return
				}
				w.exchange(n, other)
				end(Met, uint64(other.id))
			})
			return
		}
	}
	w.after(took, func() { end(Silent, 0) })
}

func (w *world) reaches(a, b *node) bool {
	return !w.now.Before(w.quiet) || set(w.apart).has(a.id) == set(w.apart).has(b.id)
}

// exchange makes two nodes know what either knows.
func (w *world) exchange(a, b *node) {
	a.heard |= 1 << b.id
	b.heard |= 1 << a.id
	met, ready, done := a.met|b.met, a.ready|b.ready, a.done|b.done
	for _, n := range []*node{a, b} {
		self := n.done & (1 << n.id)
		changed := n.met != met
		n.met, n.ready, n.done = met, ready, done&^(1<<n.id)|self
		if !changed {
			w.judge(n)
			continue
		}
		var live []Live
		for _, other := range w.nodes {
			if other != n && met.has(other.id) {
				live = append(live, Live{uint64(other.id), other.addr})
			}
		}
		w.step(n, func(out *Effects) { n.m.Members(w.now, live, len(live), out) })
	}
}

const gossipPause = 400 * time.Millisecond

// gossip exchanges with one at random of those met, first with those not met in
// person, and goes on.
func (w *world) gossip(n *node) {
	w.after(gossipPause/2+w.upTo(gossipPause), func() { w.gossip(n) })
	peers := n.met &^ (1 << n.id)
	if peers == 0 {
		return
	}
	if far := peers &^ n.heard; far != 0 {
		peers = far
	}
	for range w.rng.IntN(bits.OnesCount64(uint64(peers))) {
		peers &= peers - 1
	}
	if other := w.nodes[bits.TrailingZeros64(uint64(peers))]; w.reaches(n, other) {
		w.exchange(n, other)
	}
}

// united reports whether all are ready and know all.
func (w *world) united() bool {
	all := set(1)<<len(w.nodes) - 1
	for _, n := range w.nodes {
		if n.met != all || !n.ready.has(n.id) {
			return false
		}
	}
	return true
}

// newWorld returns a world of a size that does not run yet.
func newWorld(t *testing.T, seed uint64, size int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: start, quiet: start, trace: fnv.New64a()}
	w.service.latency = 20 * time.Millisecond
	for i := range size {
		w.nodes = append(w.nodes, &node{id: i, addr: fmt.Sprintf("n%d:1", i), begins: start})
	}
	for i, age := range w.rng.Perm(size) {
		w.nodes[i].age = int64(age)
	}
	return w
}

// startAll schedules the starts.
func (w *world) startAll() {
	for _, n := range w.nodes {
		w.at(n.begins, func() { w.begin(n) })
	}
}
