package gokv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tochemey/gokv/discovery"
	"github.com/tochemey/gokv/internal/auth"
	"github.com/tochemey/gokv/internal/bootstrap"
	"github.com/tochemey/gokv/membership"
)

const (
	// The provider's calls are bounded by these. Initialize may make several
	// attempts within its time.
	initializeTimeout = 2 * time.Minute
	askTimeout        = 10 * time.Second
	deregisterTimeout = 2 * time.Second
)

// finder drives the bootstrap machine: it asks the discovery provider, dials
// whom that names, and tells replication when the search has come to an end.
// It takes no decision.
//
// One goroutine steps the machine; the provider's calls, one at a time, and the
// dials each have one of their own, which report to it.
type finder struct {
	node     *Node
	provider discovery.Provider
	changes  <-chan struct{} // nil: the provider does not watch
	ctx      context.Context // ends with stop
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	members chan struct{} // something about them has changed
	answers chan answer
	dials   chan dialEnd

	// Owned by the loop.
	machine *bootstrap.Machine
	out     bootstrap.Effects
	done    bool
	log     changeLog

	// Owned by the one call to the provider that runs, and by stop after that.
	initialized, registered bool
}

// answer is how a question to the provider ended.
type answer struct {
	addrs []string
	err   error
}

// dialEnd is how a dial ended.
type dialEnd struct {
	addr     string
	outcome  bootstrap.Outcome
	instance uint64
}

// newFinder returns a finder that does not run yet; nil where there is nobody
// to find.
func newFinder(n *Node) (*finder, error) {
	if n.provider == nil {
		return nil, nil
	}
	machine, err := bootstrap.New(time.Now(), bootstrap.Config{Addr: n.advertise, Rand: n.random(3)})
	if err != nil {
		return nil, err
	}
	f := &finder{
		node: n, provider: n.provider, machine: machine,
		members: make(chan struct{}, 1), answers: make(chan answer, 1), dials: make(chan dialEnd, bootstrap.MaxDials),
		log: changeLog{limit: rate.NewLimiter(rate.Every(30*time.Second), 2)},
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	if a, ok := f.provider.(discovery.Announcer); ok {
		a.Announce(discovery.Self{Cluster: n.cfg.Cluster, Name: n.name, Instance: n.self, Addr: n.advertise})
	}
	if w, ok := f.provider.(discovery.Watcher); ok {
		f.changes = w.Changes()
	}
	return f, nil
}

func (f *finder) start() { f.wg.Go(f.run) }

// run is the loop: one goroutine, one timer.
func (f *finder) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-timer.C:
			f.machine.Tick(time.Now(), &f.out)
		case <-f.changes:
			f.machine.Changed(time.Now(), &f.out)
		case <-f.members:
			live, known := f.node.others()
			f.machine.Members(time.Now(), live, known, &f.out)
		case a := <-f.answers:
			f.report(a.err)
			f.machine.Answered(time.Now(), a.addrs, a.err != nil, &f.out)
		case d := <-f.dials:
			// Who was met is a member by now; the machine must know it first.
			live, known := f.node.others()
			f.machine.Members(time.Now(), live, known, &f.out)
			f.machine.Dialled(time.Now(), d.addr, d.outcome, d.instance, &f.out)
		}
		f.carryOut()
		if next := f.machine.NextDeadline(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, time.Until(next)))
		}
	}
}

// carryOut does what the last step asked for.
func (f *finder) carryOut() {
	if f.out.Ask {
		f.wg.Go(func() {
			addrs, err := f.ask()
			f.answers <- answer{addrs, err} // one at a time: there is room
		})
	}
	for _, addr := range f.out.Dials {
		f.wg.Go(func() { f.dials <- f.dial(addr) })
	}
	f.out.Reset()
	if f.node.Ready() {
		f.machine.Ready()
	}
	if done := f.machine.Done(time.Now()); done != f.done {
		f.done = done
		f.node.replication.searched(done)
	}
}

// membersChanged is told by the membership's loop; it does not block.
func (f *finder) membersChanged() {
	if f == nil {
		return
	}
	select {
	case f.members <- struct{}{}:
	default:
	}
}

// ask makes the provider's next calls: those that have not succeeded yet, then
// the question itself.
func (f *finder) ask() ([]string, error) {
	if !f.initialized {
		ctx, cancel := context.WithTimeout(f.ctx, initializeTimeout)
		defer cancel()
		if err := f.provider.Initialize(ctx); err != nil {
			f.giveUp(err)
			return nil, fmt.Errorf("initialize: %w", err)
		}
		f.initialized = true
	}
	ctx, cancel := context.WithTimeout(f.ctx, askTimeout)
	defer cancel()
	var unregistered error
	if !f.registered {
		if err := f.provider.Register(ctx); err != nil {
			// The others may not find us: that we find nobody proves nothing.
			unregistered = fmt.Errorf("register: %w", err)
		} else {
			f.registered = true
		}
	}
	addrs, err := f.provider.DiscoverPeers(ctx)
	if err != nil {
		err = fmt.Errorf("discover peers: %w", err)
	}
	return addrs, errors.Join(unregistered, err)
}

// giveUp ends a node that has never been ready for an error that nothing mends.
func (f *finder) giveUp(err error) {
	if errors.Is(err, discovery.ErrPermanent) && !f.node.Ready() {
		f.node.fail(fmt.Errorf("discovery %s: %w", f.provider.ID(), err))
	}
}

// report counts a failure, and logs it when it is news.
func (f *finder) report(err error) {
	if f.ctx.Err() != nil {
		return
	}
	id := f.provider.ID()
	if err != nil {
		f.node.metrics.discovery.WithLabelValues(id).Inc()
	}
	switch f.log.judge(err) {
	case newsFailed:
		f.node.log.Warn("discovery fails; it is tried again", "provider", id, "error", err, "ready", f.node.Ready())
	case newsMended:
		f.node.log.Info("discovery works again", "provider", id)
	}
}

// dial meets whoever is at an address.
func (f *finder) dial(addr string) dialEnd {
	instance, err := f.node.members.Contact(f.ctx, addr)
	end := dialEnd{addr: addr, outcome: bootstrap.Met, instance: instance}
	if err == nil {
		return end
	}
	switch reason := auth.ReasonOf(err); {
	case errors.Is(err, membership.ErrSelf), reason == auth.Self:
		end.outcome = bootstrap.Own
		return end
	case errors.Is(err, membership.ErrYielded):
		end.outcome = bootstrap.Refused
	case reason == auth.WrongCluster:
		end.outcome = bootstrap.Foreign
	case reason == auth.ReasonNone, reason == auth.Timeout, reason == auth.Limit, reason == auth.Malformed:
		end.outcome = bootstrap.Silent
	default:
		end.outcome = bootstrap.Refused
	}
	if f.ctx.Err() == nil && !errors.Is(err, membership.ErrYielded) {
		f.node.unreached(f.provider.ID(), addr, err)
	}
	return end
}

// unreached counts, and tells now and then, that an address that discovery gave
// did not answer.
func (n *Node) unreached(provider, addr string, err error) {
	n.metrics.discovery.WithLabelValues(provider).Inc()
	if n.joins.Allow() {
		n.log.Warn("a peer to join does not answer; it is asked again", "addr", addr, "error", err, "ready", n.Ready())
	}
}

// stop ends the search, and takes the node out of the service's sight. ctx
// bounds the latter.
func (f *finder) stop(ctx context.Context) error {
	if f == nil {
		return nil
	}
	f.cancel()
	f.wg.Wait()
	if !f.registered {
		return nil
	}
	f.registered = false
	ctx, cancel := context.WithTimeout(ctx, deregisterTimeout)
	defer cancel()
	return f.provider.Deregister(ctx)
}

// others returns the other members that are alive, and how many others there
// are that have not left.
func (n *Node) others() (live []bootstrap.Live, known int) {
	for _, m := range n.memberList() {
		if m.Instance == n.self || m.State == membership.Left {
			continue
		}
		known++
		if m.State != membership.Dead {
			live = append(live, bootstrap.Live{Instance: m.Instance, Addr: m.PeerAddr})
		}
	}
	return live, known
}

// news is what a changeLog makes of an attempt's end.
type news uint8

const (
	newsNone news = iota
	newsFailed
	newsMended
)

// changeLog finds what is worth a line in an endless series of attempts: the
// first failure, one of another kind, now and then, and the first success after
// it.
type changeLog struct {
	limit   *rate.Limiter
	failing bool
	text    string // of the failure that was told last
}

func (l *changeLog) judge(err error) news {
	if err == nil {
		was := l.failing
		l.failing = false
		if was {
			return newsMended
		}
		return newsNone
	}
	was, text := l.failing, err.Error()
	l.failing = true
	if was && (text == l.text || !l.limit.Allow()) {
		return newsNone
	}
	l.text = text
	return newsFailed
}
