package simcluster

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tochemey/gokv/internal/sim"
)

// history is all that a seed decides before anything runs: sizes, links, what
// the clients do and which faults strike. What happens then follows from it.
type history struct {
	seed     uint64
	hosts    []hostPlan
	oneFirst bool // the first host is configured alone, the others join; else all join each other

	faultsFor time.Duration // how long clients write and faults strike
	links     linkPlan
	ops       []op
	faults    []fault
	service   servicePlan

	// Limits of the nodes, small so that they are reached.
	queueBytes, batchBytes, frameBytes int
	syncInterval                       time.Duration
	grace                              time.Duration // of members that are believed dead
	hasty                              bool          // dead entries go at the next sweep, whoever has seen them
}

type hostPlan struct {
	name, addr string
	boots      time.Duration // when it first starts
	offset     time.Duration // of its wall clock
}

// maxOffset is how far a wall clock may be off: two of them then differ by less than
// the 400 ms at which a node is fenced, also where payloads are 40 ms on their way.
const maxOffset = 180 * time.Millisecond

// linkPlan is the network while faults strike: one kind of link for all, and
// some directions that are worse.
type linkPlan struct {
	all   sim.Link
	worse map[[2]int]sim.Link
}

// calm is the network once the faults have stopped.
var calm = sim.Link{Delay: 500 * time.Microsecond, Jitter: time.Millisecond}

const year = 365 * 24 * time.Hour

type opKind uint8

const (
	opPut opKind = iota
	opPutTTL
	opPutKeepTTL
	opDelete
	opTouch
	opPersist
	opDuel  // every host puts or deletes the key in the same instant
	opBurst // many puts in a row
	opLoad  // many keys that nobody else writes, so that rounds have something to compare
	opKinds
)

type op struct {
	at    time.Duration
	host  int
	kind  opKind
	key   string
	bytes int
	ttl   time.Duration
	many  int
}

type faultKind uint8

const (
	faultHalves faultKind = iota
	faultIsolate
	faultOneWay
	faultCrash
	faultLeave
	faultPause
	faultClock
	faultJump
	faultKinds
)

var faultNames = [faultKinds]string{
	"partition: halves", "partition: one node", "partition: one way",
	"crash and empty restart", "leave and empty restart", "pause", "clock step", "clock far off",
}

type fault struct {
	at, lasts time.Duration
	kind      faultKind
	a, b      []int         // hosts; b is the other side of a partition
	step      time.Duration // of the wall clock; a crash may come with one
	jump      time.Duration // how wrong the wall clock is, until the fault's end
	again     int           // a crash that repeats itself soon after the restart
}

// draw makes the history of a seed.
func draw(seed uint64) *history {
	r := rand.New(rand.NewPCG(seed, 0x686973746f7279))
	h := &history{
		seed:         seed,
		oneFirst:     r.IntN(2) == 0,
		faultsFor:    span(r, 6*time.Second, 20*time.Second),
		queueBytes:   pick(r, 1<<10, 8<<10, 1<<20),
		batchBytes:   pick(r, 300, 2<<10, 64<<10),
		frameBytes:   pick(r, 512, 4<<10, 64<<10),
		syncInterval: pick(r, 500*time.Millisecond, time.Second),
		grace:        pick(r, 2*time.Second, 10*time.Minute),
		hasty:        r.IntN(8) == 0,
	}
	for i := range 2 + r.IntN(4) {
		name := fmt.Sprintf("n%d", i)
		p := hostPlan{name: name, addr: name + ":7946"}
		if i > 0 && r.IntN(3) == 0 {
			p.boots = span(r, 0, h.faultsFor/2)
		}
		if r.IntN(3) > 0 {
			p.offset = span(r, -maxOffset, maxOffset)
		}
		h.hosts = append(h.hosts, p)
	}
	h.drawLinks(r)
	h.drawOps(r)
	h.drawFaults(r)
	h.drawService(r)
	return h
}

func (h *history) drawLinks(r *rand.Rand) {
	h.links.all = drawLink(r, 1)
	h.links.worse = make(map[[2]int]sim.Link)
	for i := range h.hosts {
		for j := range h.hosts {
			if i != j && r.IntN(5) == 0 {
				h.links.worse[[2]int{i, j}] = drawLink(r, 3)
			}
		}
	}
}

// drawLink makes a link that has some of all troubles, or of one alone, or none.
func drawLink(r *rand.Rand, badness float64) sim.Link {
	l := sim.Link{Delay: span(r, 100*time.Microsecond, 5*time.Millisecond), Jitter: span(r, 0, 5*time.Millisecond)}
	kind := r.IntN(6)
	has := func(k int) bool { return kind == k || kind == 5 }
	if has(1) {
		l.Loss = badness * 0.1 * r.Float64()
	}
	if has(2) {
		l.Delay += time.Duration(badness * float64(span(r, 0, 50*time.Millisecond)))
		l.Jitter += time.Duration(badness * float64(span(r, 0, 50*time.Millisecond)))
	}
	if has(3) {
		l.Duplicate = badness * 0.1 * r.Float64()
		l.Reorder, l.HoldBack = badness*0.1*r.Float64(), span(r, 10*time.Millisecond, 2*time.Second)
	}
	if has(4) {
		l.Stall, l.StallFor = badness*0.02*r.Float64(), span(r, 100*time.Millisecond, 4*time.Second)
		l.Break = badness * 0.01 * r.Float64()
	}
	return l
}

func (h *history) drawOps(r *rand.Rand) {
	keys := 1 + r.IntN(12)
	load := op{kind: opLoad, at: span(r, 0, h.faultsFor/2), host: r.IntN(len(h.hosts)), bytes: 20}
	switch x := r.IntN(100); {
	case x == 0: // enough to split the tree's ranges
		load.many = 15_000 + r.IntN(10_000)
		h.frameBytes, h.batchBytes = 64<<10, 64<<10
	case x < 25:
		load.many = 1 + r.IntN(700)
	}
	if load.many > 0 {
		h.ops = append(h.ops, load)
	}
	for range 30 + r.IntN(120) {
		o := op{
			at:    span(r, 0, h.faultsFor),
			host:  r.IntN(len(h.hosts)),
			key:   fmt.Sprintf("k%d", r.IntN(keys)),
			bytes: r.IntN(60),
		}
		switch x := r.IntN(100); {
		case x < 35:
			o.kind = opPut
		case x < 50:
			o.kind, o.ttl = opPutTTL, span(r, time.Millisecond, 8*time.Second)
			if r.IntN(4) == 0 {
				o.ttl = span(r, 10*time.Minute, 2*time.Hour)
			}
		case x < 55:
			o.kind = opPutKeepTTL
		case x < 72:
			o.kind = opDelete
		case x < 80:
			o.kind, o.ttl = opTouch, span(r, time.Millisecond, 8*time.Second)
		case x < 85:
			o.kind = opPersist
		case x < 97:
			o.kind = opDuel
		default:
			o.kind, o.many, o.bytes = opBurst, 5+r.IntN(60), r.IntN(200)
		}
		h.ops = append(h.ops, o)
	}
}

func (h *history) drawFaults(r *rand.Rand) {
	if r.IntN(6) == 0 { // two clusters that meet later
		f := h.partition(r, faultHalves)
		f.at, f.lasts = 0, span(r, h.faultsFor/4, h.faultsFor)
		h.faults = append(h.faults, f)
	}
	for range 1 + r.IntN(7) {
		f := fault{kind: faultKind(r.IntN(int(faultKinds)))}
		if f.kind <= faultOneWay {
			f = h.partition(r, f.kind)
		} else {
			f.a = []int{r.IntN(len(h.hosts))}
		}
		f.at = span(r, 0, h.faultsFor)
		f.lasts = span(r, 20*time.Millisecond, 10*time.Second)
		if f.kind == faultJump {
			f.jump = pick(r, -year, -time.Hour, -30*time.Second, -2*time.Second, -700*time.Millisecond,
				700*time.Millisecond, 2*time.Second, 30*time.Second, time.Hour, 10*year)
		}
		if r.IntN(3) == 0 {
			f.lasts = span(r, 0, 200*time.Millisecond)
		}
		if f.kind == faultClock || r.IntN(2) == 0 {
			f.step = span(r, -maxOffset/2, maxOffset/2)
		}
		if f.kind == faultCrash && r.IntN(3) == 0 {
			f.again, f.lasts = 1+r.IntN(3), span(r, 0, 50*time.Millisecond)
		}
		h.faults = append(h.faults, f)
	}
}

func (h *history) partition(r *rand.Rand, kind faultKind) fault {
	order := r.Perm(len(h.hosts))
	cut := 1
	if kind == faultHalves {
		cut = len(order) / 2
	}
	f := fault{kind: kind, a: order[:cut], b: order[cut:]}
	if kind == faultOneWay {
		f.b = order[1 : 2+r.IntN(len(order)-1)]
		if r.IntN(2) == 0 {
			f.a, f.b = f.b, f.a
		}
	}
	return f
}

// span draws a duration from [low, high].
func span(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)+1))
}

func pick[T any](r *rand.Rand, among ...T) T { return among[r.IntN(len(among))] }
