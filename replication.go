package gokv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/membership"
)

// replication drives the replica machine: it gives it the time, what the
// membership, the peers and the clients say, and carries out what it asks
// for. It takes no decision.
//
// The machine is stepped under mu by whoever has news, so that a write is on
// its way to an idle peer before its client is answered. Nothing under mu
// waits: a push goes into its peer's slot, which is free because the machine
// has at most one in flight a peer, and a round runs on a goroutine.
type replication struct {
	node   *Node
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // pushers, rounds, the timer
	wake   chan struct{}  // the next deadline may have changed

	sweeps      int         // tendGone's alone
	hasSearched atomic.Bool // for the payload, which is asked for under any lock
	horizon     *replica.Horizon

	mu       sync.Mutex
	machine  *replica.Machine
	out      replica.Effects
	peers    map[uint64]*pusher
	deadline time.Time
	waiting  int           // how many wait for the machine to be drained
	stepped  chan struct{} // closed and made anew after each step, while any waits
	asked    map[uint64][]chan roundReport
	stopped  bool

	full, seen []uint64 // the peers that are full; room for the next look
}

func newReplication(n *Node, started int64, r *rand.Rand) (*replication, error) {
	machine, err := replica.New(replica.Config{
		Self: n.self, Started: started, SyncInterval: n.cfg.SyncInterval, Rand: r,
		Alone: n.provider == nil && n.cfg.BootstrapExpect <= 1, Expect: n.cfg.BootstrapExpect,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &replication{
		node: n, ctx: ctx, cancel: cancel, machine: machine, horizon: replica.NewHorizon(n.engine, replica.HorizonConfig{Grace: n.cfg.TombstoneGrace}),
		wake: make(chan struct{}, 1), peers: make(map[uint64]*pusher),
		stepped: make(chan struct{}), asked: make(map[uint64][]chan roundReport),
	}, nil
}

// start begins to serve deadlines. A node that is alone is ready from here on.
func (r *replication) start() {
	r.wg.Go(r.timer)
	r.mu.Lock()
	alone := r.machine.Ready()
	r.mu.Unlock()
	if alone {
		r.node.becomeReady("no peer is configured")
	}
}

// stop ends pushes and rounds; wait returns when they have ended.
func (r *replication) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.cancel() // every pusher's context is below it
}

func (r *replication) wait() { r.wg.Wait() }

// timer gives the machine the time when something is due.
func (r *replication) timer() {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		r.mu.Lock()
		due := r.deadline
		r.mu.Unlock()
		wait := time.Hour
		if !due.IsZero() {
			wait = max(0, time.Until(due))
		}
		t.Reset(wait)
		select {
		case <-r.ctx.Done():
			return
		case <-r.wake:
		case <-t.C:
			r.step(func(now time.Time) { r.machine.Tick(now, &r.out) })
		}
	}
}

// step runs one input of the machine and carries out what it asks for.
func (r *replication) step(input func(now time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stepLocked(input)
}

func (r *replication) stepLocked(input func(now time.Time)) {
	if r.stopped {
		return
	}
	input(time.Now())
	for _, p := range r.out.Pushes {
		r.peers[p.To].next <- p
	}
	for _, start := range r.out.Rounds {
		peer := r.peers[start.Peer]
		r.wg.Go(func() { r.initiate(peer, start) })
	}
	if r.out.Dropped > 0 {
		r.node.metrics.pushDropped.Add(float64(r.out.Dropped))
	}
	if r.out.Ready {
		r.node.becomeReady("the first round is done, or this is the oldest member")
	}
	r.out.Reset()
	r.node.memory.queued.Store(int64(r.machine.Queued()))
	if r.waiting > 0 {
		close(r.stepped)
		r.stepped = make(chan struct{})
	}
	if next := r.machine.NextDeadline(); !next.Equal(r.deadline) {
		r.deadline = next
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// write hands a local write to the peers. It never waits for them. The entry's
// value is the caller's.
func (r *replication) write(e engine.Entry) {
	r.step(func(now time.Time) {
		if len(r.peers) > 0 { // queues may keep it
			e.Value = bytes.Clone(e.Value)
		}
		r.machine.Write(now, &e, &r.out)
	})
}

// writeBatch is write for what was written together.
func (r *replication) writeBatch(results []engine.BatchResult) {
	r.step(func(now time.Time) {
		together := make([]*engine.Entry, len(results))
		for i := range results {
			e := results[i].Entry
			if len(r.peers) > 0 {
				e.Value = bytes.Clone(e.Value)
			}
			together[i] = &e
		}
		r.machine.WriteBatch(now, together, &r.out)
	})
}

// peerUp and peerDown follow the membership.
func (r *replication) peerUp(m membership.Member) {
	r.node.names.note(m.Instance, m.Name)
	r.horizon.Alive(m.Instance, m.Name)
	r.step(func(now time.Time) {
		if p := r.peers[m.Instance]; p == nil {
			p = &pusher{r: r, instance: m.Instance, name: m.Name, addr: m.PeerAddr, next: make(chan replica.Push, 1)}
			p.ctx, p.cancel = context.WithCancel(r.ctx)
			r.peers[m.Instance] = p
			r.wg.Go(p.run)
		} else if p.addr != m.PeerAddr {
			p.addr = m.PeerAddr
		}
		r.machine.PeerUp(now, replica.Peer{Instance: m.Instance, Started: m.Started}, &r.out)
	})
}

func (r *replication) peerDown(m membership.Member, left bool) {
	if left {
		r.horizon.Left(m.Instance)
	} else {
		r.horizon.Failed(time.Now(), m.Instance)
	}
	r.node.offsets.Gone(time.Now(), m.Instance)
	r.step(func(now time.Time) {
		r.machine.PeerDown(now, m.Instance, &r.out)
		if p := r.peers[m.Instance]; p != nil {
			delete(r.peers, m.Instance)
			p.cancel()
		}
		r.noteFullLocked()
		for _, ch := range r.asked[m.Instance] {
			ch <- roundReport{peer: m.Name, err: fmt.Errorf("%s is gone", m.Name)}
		}
		delete(r.asked, m.Instance)
	})
}

// alone reports whether no peer is known to be alive.
func (r *replication) alone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.peers) == 0
}

// payload is what rides on this node's probes and their answers.
func (r *replication) payload(dst []byte) []byte {
	pl := replica.PayloadOf(r.node.engine, r.horizon, r.node.nowMS())
	pl.Ready, pl.Searched, pl.Full = r.node.Ready(), r.hasSearched.Load(), r.node.engine.Full()
	return pl.AppendTo(dst)
}

// peerPayload takes in what rode on a peer's.
func (r *replication) peerPayload(m membership.Member, b []byte) {
	pl, err := replica.ParsePayload(b)
	if err != nil {
		r.node.badMessage("membership", m.Name, err)
		return
	}
	r.node.observe(pl.Clock)
	r.horizon.Heard(m.Instance, pl.Report)
	r.horizon.HeardGone(m.Instance, &pl.Gone)
	if pl.Wall != 0 {
		r.node.offsets.Heard(time.Now(), m.Instance, pl.Wall)
	}
	r.step(func(now time.Time) {
		r.machine.PeerPayload(now, m.Instance, &pl, pl.Compare(r.node.engine, m.Instance), &r.out)
		r.noteFullLocked()
	})
}

// knownEvery is how many sweeps pass between two looks at who is dead or has left.
const knownEvery = 40

// tendGone does what is due about instances that are gone for good. It is called once a
// sweep.
func (r *replication) tendGone() {
	if r.sweeps++; r.sweeps%knownEvery == 0 {
		for _, m := range r.node.memberList() {
			if m.State == membership.Dead || m.State == membership.Left {
				r.horizon.Known(m.Instance, m.Name, m.State == membership.Left)
			}
		}
	}
	if tended := r.horizon.Tend(time.Now(), r.node.nowMS()); len(tended.Unlike) > 0 {
		r.step(func(now time.Time) { r.machine.Unlike(now, tended.Unlike, &r.out) })
	}
}

func (r *replication) pushDone(instance, seq uint64, failed bool) {
	r.step(func(now time.Time) {
		r.machine.PushDone(now, instance, seq, failed, &r.out)
	})
}

// searched takes in whether the search for peers has come to an end.
func (r *replication) searched(done bool) {
	r.hasSearched.Store(done)
	r.step(func(now time.Time) { r.machine.Searched(now, done, &r.out) })
}

// diverged is for how long a live member has held something else than this one.
func (r *replication) diverged() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machine.Diverged(time.Now())
}

// blank reports whether the node holds nothing and knows of nothing that it, or
// somebody, has deleted.
func (n *Node) blank() bool {
	_, last := n.engine.Progress()
	st := n.engine.Stats()
	return st.Entries+st.Tombstones+st.Parked+last == 0 && len(n.engine.Hidden()) == 0
}

// drain waits until every live peer has every write of this node.
func (r *replication) drain(ctx context.Context) error {
	if r.node.blank() {
		return nil // there is nothing that anybody could lack
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting++
	defer func() { r.waiting-- }()
	r.stepLocked(func(now time.Time) { r.machine.Leaving(now, &r.out) })
	for !r.machine.Drained() {
		behind, stepped := len(r.machine.Behind()), r.stepped
		r.mu.Unlock()
		var err error
		select {
		case <-stepped:
		case <-ctx.Done():
			err = fmt.Errorf("%d members may lack some: %w", behind, ctx.Err())
		}
		r.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// syncAll runs a round with every live peer and returns their reports, in the
// order of the peers' instances.
func (r *replication) syncAll(ctx context.Context) ([]roundReport, error) {
	var waits []chan roundReport
	r.step(func(now time.Time) {
		ids := r.machine.SyncAll(now, &r.out)
		for _, id := range ids {
			// A round that runs already may have passed what the caller wants
			// compared; the one that is owed now reports.
			ch := make(chan roundReport, 1)
			r.asked[id] = append(r.asked[id], ch)
			waits = append(waits, ch)
		}
	})
	reports := make([]roundReport, 0, len(waits))
	for _, ch := range waits {
		select {
		case rep := <-ch:
			reports = append(reports, rep)
		case <-ctx.Done():
			return nil, fmt.Errorf("sync: %d of %d rounds done: %w", len(reports), len(waits), ctx.Err())
		case <-r.ctx.Done():
			return nil, errors.New("sync: the node is stopping")
		}
	}
	return reports, nil
}
