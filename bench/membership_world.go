package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/tochemey/gokv/membership"
)

// memberWorld runs many membership machines in virtual time on one goroutine:
// one heap of events, one source of randomness, one seed. Messages are handed
// over as values, their bytes are only counted; the package's own tests put
// them through the codec.
type memberWorld struct {
	rng    *rand.Rand
	start  time.Time
	now    time.Duration
	heap   []memberEvent
	order  uint64
	nodes  []*memberNode
	byAddr map[string]*memberNode
	tune   func(*membership.Config)
	// told makes the driver tell the machine how long its datagrams wait.
	told bool

	loss               float64
	minDelay, maxDelay time.Duration
	side               []int // of each node; nil: no partition

	bytes   float64 // of IP packets, all members together
	packets int

	wrong int // pairs of a running observer and a member that it is wrong about

	failures []falseDeath
	watch    *watched
	trace    uint64
	scratch  []byte
}

// memberNode is a place where processes live, one after the other.
type memberNode struct {
	w          *memberWorld
	id         int
	name, addr string
	machine    *membership.Machine // nil: no process
	gen        uint32              // of the process
	instance   uint64              // of the process, while it is a member
	tickAt     time.Duration
	out        membership.Effects
	believed   []uint64 // by node: the instance that is believed live, or 0

	slow    bool // is in for anomalies
	blocked bool // neither sends nor receives; its clock goes on
	frozen  bool // does nothing at all
	since   time.Duration
	held    []memberEvent // received meanwhile
	unsent  []memberEvent
	links   map[int]bool // with whom it has a connection
}

// falseDeath is a live member that somebody declared dead.
type falseDeath struct {
	at               time.Duration
	observer, victim int
	instance         uint64
	incarnation      uint64
	bySlow           bool
	ofSlow           bool
}

// watched is a change whose way through the cluster is measured.
type watched struct {
	kind        membership.EventKind
	victim      int
	instance    uint64
	at          time.Duration
	first, all  time.Duration // since at; zero: not yet
	missing     int
	knownBefore []bool
}

type memberEventKind uint8

const (
	evTick memberEventKind = iota
	evDatagram
	evRequest
	evAnswer
	evFail
	evFunc
)

type memberEvent struct {
	at       time.Duration
	order    uint64
	kind     memberEventKind
	to, from int32
	gen      uint32
	id       uint64
	msg      membership.Message
	fn       func()
}

// maxHeld is how many datagrams wait for a process that does not read: a
// kernel's default receive buffer holds about so many small ones.
const maxHeld = 256

func newMemberWorld(seed uint64, size int, tune func(*membership.Config)) *memberWorld {
	w := &memberWorld{
		rng: rand.New(rand.NewPCG(seed, 7)), start: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		byAddr: make(map[string]*memberNode), tune: tune,
		minDelay: 200 * time.Microsecond, maxDelay: 2 * time.Millisecond,
	}
	for range size {
		w.place()
	}
	return w
}

// place adds a place without a process.
func (w *memberWorld) place() *memberNode {
	id := len(w.nodes)
	n := &memberNode{
		w: w, id: id, name: fmt.Sprintf("node-%05d", id),
		addr: fmt.Sprintf("10.0.%d.%d:7946", id/250, id%250+1), links: make(map[int]bool),
	}
	w.nodes = append(w.nodes, n)
	w.byAddr[n.addr] = n
	for _, other := range w.nodes {
		for len(other.believed) < len(w.nodes) {
			other.believed = append(other.believed, 0)
		}
	}
	return n
}

// boot starts a process that knows itself alone.
func (n *memberNode) boot() {
	w := n.w
	n.gen++
	instance := w.rng.Uint64() | 1
	payload := make([]byte, 40) // a probe of 64 bytes
	cfg := membership.Config{
		Self: membership.Member{
			Name: n.name, Instance: instance, Started: w.clock().UnixMilli(),
			PeerAddr: n.addr, ClientAddr: n.addr[:len(n.addr)-1] + "7",
		},
		Rand:    rand.New(rand.NewPCG(w.rng.Uint64(), w.rng.Uint64())),
		Payload: func() []byte { return payload },
	}
	if w.told {
		cfg.SendDelay = func() time.Duration {
			if !n.blocked || len(n.unsent) == 0 {
				return 0
			}
			return w.now - max(n.since, n.unsent[0].at)
		}
	}
	if w.tune != nil {
		w.tune(&cfg)
	}
	m, err := membership.New(cfg)
	if err != nil {
		panic(err) // our own configuration
	}
	n.becomes(func() {
		n.machine, n.instance, n.tickAt = m, instance, -1
		clear(n.believed)
	})
	clear(n.links)
}

// wrongWith counts the wrong beliefs that a member holds, or others of it.
func (w *memberWorld) wrongWith(n *memberNode) (wrong int) {
	for _, other := range w.nodes {
		if other == n {
			continue
		}
		if other.member() && other.believed[n.id] != n.instance {
			wrong++
		}
		if n.member() && n.believed[other.id] != other.instance {
			wrong++
		}
	}
	return wrong
}

// becomes changes the truth about a member, and what is wrong with it.
func (n *memberNode) becomes(change func()) {
	n.w.wrong -= n.w.wrongWith(n)
	change()
	n.w.wrong += n.w.wrongWith(n)
}

// member tells whether a process runs there that has not left.
func (n *memberNode) member() bool { return n.machine != nil && n.instance != 0 }

func (w *memberWorld) clock() time.Time { return w.start.Add(w.now) }

// settled starts all members at once, each with everybody's table: a cluster
// that has been up for a while.
func (w *memberWorld) settled() {
	table := make([]membership.Member, len(w.nodes))
	for i, n := range w.nodes {
		n.boot()
		table[i] = n.machine.Self()
	}
	for i, n := range w.nodes {
		from := w.nodes[(i+1)%len(w.nodes)]
		if from == n {
			continue
		}
		n.step(func() {
			n.machine.Contacted(w.clock(), from.addr, &membership.PushPull{Reply: true, From: from.instance, Members: table}, &n.out)
		})
	}
	w.run(40 * time.Second) // past the exchanges that follow a join
}

// crash ends the process, which tells nobody.
func (n *memberNode) crash() {
	n.becomes(func() { n.machine, n.instance = nil, 0 })
	n.gen++
	n.held, n.unsent, n.blocked, n.frozen = nil, nil, false, false
}

// leave says goodbye.
func (n *memberNode) leave() {
	n.becomes(func() { n.instance = 0 })
	n.step(func() { n.machine.Leave(n.w.clock(), &n.out) })
}

// join contacts some members as discovery would name them.
func (n *memberNode) join(addrs []string) {
	n.step(func() {
		if err := n.machine.Join(n.w.clock(), addrs, &n.out); err != nil {
			panic(err)
		}
	})
}

// observe begins to measure who has learned of a change. All running members
// but the one concerned must.
func (w *memberWorld) observe(kind membership.EventKind, victim *memberNode, instance uint64) *watched {
	w.watch = &watched{kind: kind, victim: victim.id, instance: instance, at: w.now, knownBefore: make([]bool, len(w.nodes))}
	for _, n := range w.nodes {
		if n != victim && n.member() {
			w.watch.missing++
		}
	}
	return w.watch
}

// step runs f in the process and carries out what its machine asks for.
func (n *memberNode) step(f func()) {
	f()
	n.carryOut()
	if n.machine == nil {
		return
	}
	next := n.machine.NextDeadline()
	if next.IsZero() {
		n.tickAt = -1
		return
	}
	at := max(next.Sub(n.w.start), n.w.now)
	if at != n.tickAt {
		n.tickAt = at
		n.w.push(memberEvent{at: at, kind: evTick, to: int32(n.id), gen: n.gen})
	}
}

func (n *memberNode) carryOut() {
	for i := range n.out.Events {
		n.happened(&n.out.Events[i])
	}
	for _, p := range n.out.Packets {
		n.datagram(p)
	}
	for _, c := range n.out.PushPulls {
		n.call(c)
	}
	n.out.Reset()
}

// happened keeps the books on what a member believes.
func (n *memberNode) happened(e *membership.Event) {
	w := n.w
	if e.Kind == membership.EventConflict && e.Fatal {
		panic(n.name + " gave its name up")
	}
	if e.Kind == membership.EventProbe || e.Kind == membership.EventBadMessage {
		return
	}
	id, err := strconv.Atoi(e.Member.Name[len("node-"):])
	if err != nil {
		panic(err)
	}
	victim := w.nodes[id]
	believe := func(instance uint64) {
		if !n.member() || victim == n {
			return
		}
		if n.believed[id] != victim.instance {
			w.wrong--
		}
		n.believed[id] = instance
		if instance != victim.instance {
			w.wrong++
		}
	}
	switch e.Kind {
	case membership.EventJoined:
		believe(e.Member.Instance)
	case membership.EventLeft:
		believe(0)
	case membership.EventFailed:
		believe(0)
		if victim.instance == e.Member.Instance {
			w.failures = append(w.failures, falseDeath{
				at: w.now, observer: n.id, victim: id, instance: e.Member.Instance, incarnation: e.Member.Incarnation,
				bySlow: n.slow, ofSlow: victim.slow,
			})
		}
	default:
		return
	}
	w.trace = w.trace*1099511628211 + uint64(w.now) ^ uint64(n.id)<<32 ^ uint64(id)<<8 ^ uint64(e.Kind)
	if t := w.watch; t != nil && t.all == 0 && e.Kind == t.kind && id == t.victim && e.Member.Instance == t.instance && n.member() && !t.knownBefore[n.id] {
		t.knownBefore[n.id] = true
		if t.first == 0 {
			t.first = w.now - t.at
		}
		if t.missing--; t.missing == 0 {
			t.all = w.now - t.at
		}
	}
}

func (w *memberWorld) delay() time.Duration {
	return w.minDelay + time.Duration(w.rng.Int64N(int64(w.maxDelay-w.minDelay)+1))
}

func (w *memberWorld) apart(a, b int) bool { return w.side != nil && w.side[a] != w.side[b] }

// datagram sends one packet, now or when the process is no longer blocked.
func (n *memberNode) datagram(p membership.Packet) {
	w := n.w
	to := w.byAddr[p.To]
	if to == nil {
		return
	}
	w.charge(n, to, p.Msg)
	e := memberEvent{at: w.now, kind: evDatagram, to: int32(to.id), from: int32(n.id), msg: p.Msg}
	if n.blocked {
		n.unsent = append(n.unsent, e)
		return
	}
	w.transmit(e)
}

func (w *memberWorld) transmit(e memberEvent) {
	if w.apart(int(e.from), int(e.to)) || w.loss > 0 && w.rng.Float64() < w.loss {
		return
	}
	e.at = w.now + w.delay()
	w.push(e)
}

// call carries a push-pull out, over a stream: what is lost is sent again.
func (n *memberNode) call(c membership.PushPullCall) {
	w := n.w
	w.push(memberEvent{at: w.now + callTimeout, kind: evFail, to: int32(n.id), gen: n.gen, id: c.ID})
	to := w.byAddr[c.To]
	if to == nil {
		return
	}
	e := memberEvent{at: w.now, kind: evRequest, to: int32(to.id), from: int32(n.id), gen: n.gen, id: c.ID, msg: c.Req}
	if to.machine == nil || w.apart(n.id, to.id) {
		w.chargeDial(n)
		return
	}
	w.chargeStream(n, to, c.Req)
	if n.blocked {
		n.unsent = append(n.unsent, e)
		return
	}
	w.stream(e)
}

const callTimeout = 3 * time.Second

func (w *memberWorld) stream(e memberEvent) {
	if w.apart(int(e.from), int(e.to)) {
		return
	}
	e.at = w.now + w.delay()
	for w.loss > 0 && w.rng.Float64() < w.loss {
		e.at += 100 * time.Millisecond
	}
	w.push(e)
}

// deliver hands an event to its process.
func (n *memberNode) deliver(e memberEvent) {
	w := n.w
	if n.machine == nil {
		return
	}
	from := w.nodes[e.from]
	switch e.kind {
	case evTick:
		if e.gen == n.gen && e.at == n.tickAt {
			n.tickAt = -1
			n.step(func() { n.machine.Tick(w.clock(), &n.out) })
		}
	case evDatagram:
		n.step(func() { n.machine.Step(w.clock(), from.addr, e.msg, &n.out) })
	case evRequest:
		var reply membership.Message
		n.step(func() {
			n.machine.Step(w.clock(), from.addr, e.msg, &n.out)
			if len(n.out.Replies) > 0 {
				reply = n.out.Replies[0].Msg
			}
		})
		if reply != nil {
			w.chargeStream(n, from, reply)
			w.stream(memberEvent{kind: evAnswer, to: e.from, from: int32(n.id), gen: e.gen, id: e.id, msg: reply})
		}
	case evAnswer:
		if e.gen == n.gen {
			n.step(func() { n.machine.Answered(w.clock(), e.id, e.msg, &n.out) })
		}
	case evFail:
		if e.gen == n.gen {
			n.step(func() { n.machine.Failed(w.clock(), e.id, false, &n.out) })
		}
	}
}

// block begins an anomaly as in Lifeguard's experiments: messages wait before
// they are sent and after they were received, and timers run.
func (n *memberNode) block() {
	if n.machine != nil {
		n.blocked, n.since = true, n.w.now
	}
}

// freeze stops the whole process, as SIGSTOP does.
func (n *memberNode) freeze() {
	if n.machine != nil {
		n.frozen, n.since = true, n.w.now
	}
}

// resume ends either.
func (n *memberNode) resume() {
	if n.machine == nil || !n.blocked && !n.frozen {
		return
	}
	froze := n.frozen
	n.blocked, n.frozen = false, false
	held, unsent := n.held, n.unsent
	n.held, n.unsent = nil, nil
	for _, e := range unsent {
		if e.kind == evDatagram {
			n.w.transmit(e)
		} else {
			n.w.stream(e)
		}
	}
	if froze { // the worst case: its timers run before it reads
		n.step(func() { n.machine.Tick(n.w.clock(), &n.out) })
	}
	for _, e := range held {
		n.deliver(e)
	}
}

// run lets virtual time pass.
func (w *memberWorld) run(d time.Duration) { w.runUntil(d, nil) }

// runUntil lets time pass until ok or for limit, and says which.
func (w *memberWorld) runUntil(limit time.Duration, ok func() bool) bool {
	until := w.now + limit
	for len(w.heap) > 0 && w.heap[0].at <= until {
		e := w.pop()
		w.now = e.at
		if e.kind == evFunc {
			e.fn()
		} else {
			w.dispatch(e)
		}
		if ok != nil && ok() {
			return true
		}
	}
	w.now = until
	return false
}

func (w *memberWorld) dispatch(e memberEvent) {
	n := w.nodes[e.to]
	switch {
	case n.frozen || n.blocked && e.kind != evTick && e.kind != evFail:
		if e.kind == evTick {
			return // it looks at the time when it wakes up
		}
		if e.kind != evDatagram || len(n.held) < maxHeld {
			n.held = append(n.held, e)
		}
	default:
		n.deliver(e)
	}
}

// after runs fn later.
func (w *memberWorld) after(d time.Duration, fn func()) {
	w.push(memberEvent{at: w.now + d, kind: evFunc, fn: fn})
}

// The heap, by time and then by order of entry.

func (e *memberEvent) before(o *memberEvent) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

func (w *memberWorld) push(e memberEvent) {
	w.order++
	e.order = w.order
	h := append(w.heap, e)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
	w.heap = h
}

func (w *memberWorld) pop() memberEvent {
	h := w.heap
	top, last := h[0], h[len(h)-1]
	h[len(h)-1] = memberEvent{}
	h = h[:len(h)-1]
	w.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		least := -1
		for c := 4*i + 1; c <= 4*i+4 && c < len(h); c++ {
			if least < 0 || h[c].before(&h[least]) {
				least = c
			}
		}
		if least < 0 || !h[least].before(&last) {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = last
	return top
}
