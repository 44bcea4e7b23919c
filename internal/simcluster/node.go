package simcluster

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/internal/sim"
	"github.com/tochemey/gokv/membership"
	"github.com/tochemey/gokv/merkle"
)

// node is one process: the real engine, membership, replication and rounds,
// with the simulator as its network and clock. It is put together as the root
// package puts a Node together.
type node struct {
	c        *cluster
	host     *host
	proc     *sim.Proc
	rand     *rand.Rand
	instance uint64
	latest   int64 // the latest wall time that it has seen

	engine  *engine.Engine
	horizon *replica.Horizon
	offsets *replica.Offsets
	fenced  bool

	members     *membership.Machine
	memberTimer alarm
	started     int64 // as the membership has it; it moves when a name's former instance started later

	search *search // nil: it is configured without peers

	replica      *replica.Machine
	replicaTimer alarm
	peers        map[uint64]string // address by instance, of the live ones
	links        map[uint64]*link

	draining bool
	left     func() // what to do once it has left

	sweeps  int
	serving []func() (done bool)     // the streams of pushes that it serves: ends those of who is gone
	holds   map[*replica.Pushes]bool // streams on which pushes are held

	must map[string]engine.Version // see model
	own  []*engine.Entry           // what it acknowledged to clients

	scratch []byte
}

// alarm is a timer that is moved.
type alarm struct {
	at    time.Time
	timer *sim.Timer
}

func (n *node) set(a *alarm, at time.Time, f func()) {
	if at.Equal(a.at) {
		return
	}
	a.timer.Stop()
	*a = alarm{at: at}
	if !at.IsZero() {
		a.timer = n.proc.At(at, func() {
			*a = alarm{}
			f()
		})
	}
}

// unsettled is the age of a digest key that no cluster has settled on.
const unsettled = math.MaxUint64

// sweepEvery is the pause between sweeps, as in the root package.
const sweepEvery = 250 * time.Millisecond

// boot starts a process on a host where none runs. alone: it is configured
// without peers.
func (c *cluster) boot(h *host, alone bool) {
	if h.node != nil {
		return
	}
	n := &node{
		c: c, host: h, proc: c.world.Spawn(h.name), rand: c.world.Fork(),
		peers: make(map[uint64]string), links: make(map[uint64]*link), must: make(map[string]engine.Version), holds: make(map[*replica.Pushes]bool),
	}
	n.instance = n.rand.Uint64() | 1
	n.started = n.wall()
	h.node = n
	c.world.Trace("boot "+h.name, n.instance)
	c.world.Logf("%s: starts as %016x at wall time %d", h.name, n.instance, n.started)

	key := merkle.Key{Created: unsettled}
	for i := range key.Secret {
		key.Secret[i] = byte(n.rand.Uint32())
	}
	n.engine = engine.New(engine.Config{Instance: n.instance, Key: key})
	n.horizon = replica.NewHorizon(n.engine, replica.HorizonConfig{
		Grace: c.history.grace, GoneAfter: 5 * time.Second, StrangeAfter: 10 * time.Second, SeekPause: 2 * time.Second, // sooner than by default: histories are short
	})
	n.offsets = replica.NewOffsets(engine.DefaultMaxClockSkew, c.world.Now())

	var err error
	n.members, err = membership.New(membership.Config{
		Self:    membership.Member{Name: h.name, Instance: n.instance, Started: n.started, PeerAddr: h.addr},
		Rand:    n.rand,
		Payload: n.payload,
	})
	if err != nil {
		c.failf("%s: %v", h.name, err)
		return
	}
	n.replica, err = replica.New(replica.Config{
		Self: n.instance, Started: n.started, Alone: alone, Expect: c.history.expect(alone), Rand: n.rand,
		SyncInterval: c.history.syncInterval, QueueBytes: c.history.queueBytes, BatchBytes: c.history.batchBytes,
	})
	if err != nil {
		c.failf("%s: %v", h.name, err)
		return
	}
	c.net.Attach(h.addr, n.proc, n)
	if alone {
		n.becomeReady()
	} else {
		n.beginSearch()
	}
	c.serviceChanged()
	n.sweep()
}

// wall is the host's wall clock, in ms.
func (n *node) wall() int64 {
	now := n.c.world.Now().Add(n.host.offset + n.host.jump).UnixMilli()
	n.latest = max(n.latest, now)
	return now
}

func (n *node) sweep() {
	n.engine.Unpark(n.wall(), func(e *engine.Entry, outcome merkle.Outcome, _ int64) { n.applied(e, outcome) })
	n.fence()
	if is := n.offsets.Tick(n.c.world.Now(), n.wall()); n.serves() && (is.Peers > 0 || len(n.peers) == 0) {
		n.engine.Sweep(is.Sweep(n.wall()), 4096)
	}
	if n.c.history.hasty {
		n.c.counts["dead entries purged early"] += n.engine.PurgeBeyond(0)
	}
	n.c.counts["dead entries purged"] += n.horizon.Purge(n.c.world.Now())
	n.serving = slices.DeleteFunc(n.serving, func(done func() bool) bool { return done() })
	if n.sweeps++; n.sweeps%8 == 0 {
		for _, m := range n.members.Members() {
			if m.State == membership.Dead || m.State == membership.Left {
				n.horizon.Known(m.Instance, m.Name, m.State == membership.Left)
			}
		}
	}
	tended := n.horizon.Tend(n.c.world.Now(), n.wall())
	for _, id := range tended.Retired {
		n.c.count("instances retired")
		n.c.checkNobodyHolds(n.horizon, id)
	}
	n.c.counts["instances forgotten"] += tended.Forgotten
	n.replicate(func(now time.Time, out *replica.Effects) { n.replica.Unlike(now, tended.Unlike, out) })
	n.proc.After(sweepEvery, n.sweep)
}

// judge compares the node's clock with its peers'.
func (n *node) judge() replica.Offset { return n.offsets.Judge(n.c.world.Now(), n.wall()) }

// fence notes when the fence goes up.
func (n *node) fence() {
	is := n.judge().Fenced
	if is && !n.fenced {
		n.c.count("nodes fenced")
		n.c.world.Logf("%s: fenced", n.host.name)
		if !n.c.jumped {
			n.c.failf("%s: fenced, though offsets are within the limit", n.host.name)
		}
	}
	n.fenced = is
}

// observe takes in a peer's clock reading.
func (n *node) observe(reading uint64) {
	if err := n.engine.Clock().Observe(n.wall(), reading); err != nil && !n.c.jumped {
		n.c.failf("%s: %v", n.host.name, err)
	}
}

func (n *node) serves() bool  { return n.replica.Ready() && !n.draining }
func (n *node) joining() bool { return !n.replica.Ready() }

// payload is what rides on the node's probes.
func (n *node) payload() []byte {
	pl := replica.PayloadOf(n.engine, n.horizon, n.wall())
	pl.Ready, pl.Searched = n.serves(), n.replica.HasSearched()
	return pl.AppendTo(nil)
}

// becomeReady settles the digest key's age, if the cluster has none yet.
func (n *node) becomeReady() {
	n.c.world.Trace("ready " + n.host.name)
	n.c.world.Logf("%s: ready", n.host.name)
	if key := n.engine.Key(); key.Created == unsettled {
		n.checkBeginning()
		key.Created = uint64(n.wall())
		n.engine.Rekey(key)
		n.c.count("digest keys settled")
	}
}

// replicate steps the replication machine and does what it asks for.
func (n *node) replicate(input func(now time.Time, out *replica.Effects)) {
	var out replica.Effects
	input(n.c.world.Now(), &out)
	for _, p := range out.Pushes {
		n.push(p)
	}
	for _, r := range out.Rounds {
		n.initiate(r)
	}
	if out.Ready {
		n.engine.IndexNow()
		n.becomeReady()
	}
	n.c.counts["writes dropped from queues"] += out.Dropped
	n.set(&n.replicaTimer, n.replica.NextDeadline(), func() {
		n.replicate(func(now time.Time, out *replica.Effects) { n.replica.Tick(now, out) })
	})
}
