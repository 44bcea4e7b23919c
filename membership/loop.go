package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sender carries messages to other members.
type Sender interface {
	// SendDatagram sends b, or loses it. It does not block, and b is its own.
	SendDatagram(addr string, b []byte)
	// PushPull sends a request over a stream and returns the reply, of at
	// most MaxPushPullBytes. An error that wraps ErrSelf says that the
	// address is this node's own.
	PushPull(ctx context.Context, addr string, req []byte) ([]byte, error)
	// Ping returns nil if the instance has just answered at the address.
	Ping(ctx context.Context, addr string, instance uint64) error
}

// Delegate is told what the loop's machine hands out, and asked for what goes
// with its messages. It is called from the loop's goroutine: it must not
// block, nor call the Loop's methods that take a context, nor Close.
type Delegate interface {
	Payload() []byte
	OnPayload(m Member, payload []byte)
	OnEvent(e Event)
}

var (
	// ErrSelf is wrapped by a Sender's error when an address is our own.
	ErrSelf = errors.New("the address is this node's own")
	// ErrClosed is returned once a loop has ended.
	ErrClosed = errors.New("membership loop is closed")
	// ErrYielded is returned to a peer when this node has given its name up.
	ErrYielded = errors.New("this node is no member any more")
)

// jobsQueued is how many messages and commands may wait for the loop. Past
// it datagrams are dropped, which the protocol expects of a network, and
// everything else waits.
const jobsQueued = 512

// LoopConfig is the machine's configuration and what the loop drives it over.
// Config.Payload is taken from the Delegate.
type LoopConfig struct {
	Config
	Sender   Sender
	Delegate Delegate
}

// Loop drives a Machine in a goroutine of its own.
type Loop struct {
	sender   Sender
	delegate Delegate
	timeout  time.Duration
	jobs     chan job
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	done     sync.WaitGroup // the loop and its push-pulls
	leftDone chan struct{}  // closed when a leave has been told

	// Owned by the loop's goroutine.
	machine *Machine
	out     Effects
	told    bool

	view    atomic.Pointer[view]
	dropped atomic.Uint64
}

// job runs in the loop's goroutine.
type job func(now time.Time)

// view is what readers see of the machine.
type view struct {
	version    uint64
	self       Member
	members    []Member
	unanswered []string
}

// Start returns a running loop, to be ended with Close.
func Start(cfg LoopConfig) (*Loop, error) {
	if cfg.Sender == nil || cfg.Delegate == nil {
		return nil, errors.New("membership loop: sender and delegate are required")
	}
	cfg.Payload = cfg.Delegate.Payload
	machine, err := New(cfg.Config)
	if err != nil {
		return nil, err
	}
	l := &Loop{
		sender: cfg.Sender, delegate: cfg.Delegate, timeout: machine.cfg.PushPullTimeout,
		jobs: make(chan job, jobsQueued), leftDone: make(chan struct{}), machine: machine,
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.publish()
	l.done.Go(l.run)
	return l, nil
}

// run is the loop: one goroutine, one timer, no decision.
func (l *Loop) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if next := l.machine.NextDeadline(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-l.ctx.Done():
			return
		case j := <-l.jobs:
			j(time.Now())
		case <-timer.C:
			l.machine.Tick(time.Now(), &l.out)
		}
		l.carryOut()
	}
}

// carryOut does what the last step asked for.
func (l *Loop) carryOut() {
	l.publish() // first, so that whoever is told of an event finds it
	for _, e := range l.out.Events {
		if e.Kind == EventLeaveDone && !l.told {
			l.told = true
			close(l.leftDone)
		}
		l.delegate.OnEvent(e)
	}
	for _, p := range l.out.Payloads {
		l.delegate.OnPayload(p.Member, p.Payload)
	}
	for _, p := range l.out.Packets {
		l.sender.SendDatagram(p.To, p.Msg.AppendTo(nil))
	}
	for _, c := range l.out.PushPulls {
		l.done.Go(func() { l.call(c) })
	}
	l.out.Reset()
}

func (l *Loop) publish() {
	if v := l.view.Load(); v != nil && v.version == l.machine.Version() {
		return
	}
	l.view.Store(&view{
		version: l.machine.Version(), self: l.machine.Self(),
		members: l.machine.Members(), unanswered: l.machine.Unanswered(),
	})
}

// call carries one push-pull out and reports how it ended.
func (l *Loop) call(c PushPullCall) {
	ctx, cancel := context.WithTimeout(l.ctx, l.timeout)
	defer cancel()
	b, err := l.sender.PushPull(ctx, c.To, c.Req.AppendTo(nil))
	var answer Message
	if err == nil {
		if answer, err = ParseAnswer(b); err != nil {
			l.badMessage(c.To, fmt.Errorf("reply: %w", err))
		}
	}
	result := func(now time.Time) {
		if err != nil {
			l.machine.Failed(now, c.ID, errors.Is(err, ErrSelf), &l.out)
			return
		}
		l.machine.Answered(now, c.ID, answer, &l.out)
	}
	select {
	case l.jobs <- result:
	case <-l.ctx.Done():
	}
}

// HandleDatagram takes a datagram from a peer address. It does not block and
// does not keep b.
func (l *Loop) HandleDatagram(from string, b []byte) {
	msg, err := ParseDatagram(b)
	if err != nil {
		l.badMessage(from, err)
		return
	}
	l.offer(func(now time.Time) { l.machine.Step(now, from, msg, &l.out) })
}

// HandlePushPull takes a push-pull request from a peer address and returns
// the reply's bytes. It does not keep req.
func (l *Loop) HandlePushPull(ctx context.Context, from string, req []byte) ([]byte, error) {
	msg, err := ParsePushPull(req)
	if err != nil {
		l.badMessage(from, err)
		return nil, fmt.Errorf("push-pull from %s: %w", from, err)
	}
	if taken := l.taken(ctx, msg); taken != nil {
		return taken.AppendTo(nil), nil
	}
	var reply *PushPull
	err = l.do(ctx, func(now time.Time) {
		l.machine.Step(now, from, msg, &l.out)
		if n := len(l.out.Replies); n > 0 {
			reply = l.out.Replies[n-1].Msg
		}
	})
	switch {
	case err != nil:
		return nil, err
	case reply == nil:
		return nil, fmt.Errorf("push-pull from %s: %w", from, ErrYielded)
	}
	return reply.AppendTo(nil), nil
}

// Join contacts peers at addresses, and again until each has answered. It
// returns as soon as the addresses are taken.
func (l *Loop) Join(ctx context.Context, addrs []string) error {
	addrs = slices.Clone(addrs)
	var wrong error
	if err := l.do(ctx, func(now time.Time) { wrong = l.machine.Join(now, addrs, &l.out) }); err != nil {
		return err
	}
	return wrong
}

// Leave tells the others that this member leaves, and returns when that is
// done: about a second at the default intervals, whoever listens. The
// loop goes on answering until Close.
func (l *Loop) Leave(ctx context.Context) error {
	if err := l.do(ctx, func(now time.Time) { l.machine.Leave(now, &l.out) }); err != nil {
		return err
	}
	select {
	case <-l.leftDone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("leave: %w", context.Cause(ctx))
	case <-l.ctx.Done():
		return ErrClosed
	}
}

// Close ends the loop and waits for it and its push-pulls. It does not leave:
// the others will find this member failed.
func (l *Loop) Close() {
	l.cancel()
	l.done.Wait()
}

// Members returns what is believed of each name, in the names' order.
func (l *Loop) Members() []Member {
	members := slices.Clone(l.view.Load().members)
	for i := range members {
		members[i] = members[i].clone()
	}
	return members
}

// Self returns the own member as the cluster is told it.
func (l *Loop) Self() Member { return l.view.Load().self.clone() }

// Leader returns the longest-lived live member; ok is false when there is
// none, as after Leave in a cluster of one.
func (l *Loop) Leader() (leader Member, ok bool) {
	leader, ok = LeaderOf(l.view.Load().members)
	return leader.clone(), ok
}

// Unanswered returns the join addresses that nobody has answered yet.
func (l *Loop) Unanswered() []string { return slices.Clone(l.view.Load().unanswered) }

// Dropped returns how many datagrams were dropped because the loop was behind.
func (l *Loop) Dropped() uint64 { return l.dropped.Load() }

// do runs a job in the loop and waits for it.
func (l *Loop) do(ctx context.Context, j job) error {
	ran := make(chan struct{})
	select {
	case l.jobs <- func(now time.Time) { j(now); close(ran) }:
	case <-ctx.Done():
		return fmt.Errorf("membership loop is busy: %w", context.Cause(ctx))
	case <-l.ctx.Done():
		return ErrClosed
	}
	// Once taken it runs at once, unless the loop ends; what it writes must
	// not be read before.
	select {
	case <-ran:
		return nil
	case <-l.ctx.Done():
		return ErrClosed
	}
}

// offer runs a job in the loop unless that is behind.
func (l *Loop) offer(j job) {
	select {
	case l.jobs <- j:
	default:
		l.dropped.Add(1)
	}
}

func (l *Loop) badMessage(from string, err error) {
	l.offer(func(time.Time) { l.out.event(Event{Kind: EventBadMessage, From: from, Err: err}) })
}
