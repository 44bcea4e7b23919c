package membership

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// wire is a network in memory: addresses and who listens there.
type wire struct {
	mu    sync.Mutex
	loops map[string]*Loop
	hang  map[string]bool // push-pulls to these get no answer
}

func (w *wire) at(addr string) *Loop {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.loops[addr]
}

// port is one loop's way into the wire, and its delegate.
type port struct {
	w    *wire
	addr string

	mu       sync.Mutex
	events   []Event
	payloads map[string]string
	block    chan struct{} // OnEvent waits for it when set
}

func (p *port) SendDatagram(addr string, b []byte) {
	if l := p.w.at(addr); l != nil {
		l.HandleDatagram(p.addr, b)
	}
}

func (p *port) PushPull(ctx context.Context, addr string, req []byte) ([]byte, error) {
	if addr == "alias-of-"+p.addr {
		return nil, fmt.Errorf("dial %s: %w", addr, ErrSelf)
	}
	p.w.mu.Lock()
	hang := p.w.hang[addr]
	p.w.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	l := p.w.at(addr)
	switch {
	case addr == "garbage":
		return []byte("not a reply"), nil
	case l == nil:
		return nil, errors.New("connection refused")
	}
	return l.HandlePushPull(ctx, p.addr, req)
}

func (p *port) Ping(ctx context.Context, addr string, instance uint64) error {
	p.w.mu.Lock()
	hang := p.w.hang[addr]
	p.w.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if l := p.w.at(addr); l == nil || l.Self().Instance != instance {
		return errors.New("no answer")
	}
	return nil
}

func (p *port) Payload() []byte { return []byte("from " + p.addr) }

func (p *port) OnPayload(m Member, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.payloads[m.Name] = string(payload)
}

func (p *port) OnEvent(e Event) {
	p.mu.Lock()
	p.events = append(p.events, e)
	block := p.block
	p.mu.Unlock()
	if block != nil {
		<-block
	}
}

// saw counts the events of a kind about a name.
func (p *port) saw(kind EventKind, name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, e := range p.events {
		if e.Kind == kind && e.Member.Name == name {
			n++
		}
	}
	return n
}

func newWire() *wire { return &wire{loops: make(map[string]*Loop), hang: make(map[string]bool)} }

func (w *wire) start(t *testing.T, name string, instance uint64) (*Loop, *port) {
	p := &port{w: w, addr: name + ":1", payloads: make(map[string]string)}
	return w.startAt(t, p, name, instance), p
}

func (w *wire) startAt(t *testing.T, p *port, name string, instance uint64) *Loop {
	l, err := Start(LoopConfig{
		Config: Config{
			Self: Member{Name: name, Instance: instance, Started: time.Now().UnixMilli(), PeerAddr: p.addr, Tags: map[string]string{"k": "v"}},
			Rand: rand.New(rand.NewPCG(instance, 1)),
		},
		Sender: p, Delegate: p,
	})
	require.NoError(t, err)
	w.mu.Lock()
	w.loops[p.addr] = l
	w.mu.Unlock()
	return l
}

// stop crashes a loop.
func (w *wire) stop(l *Loop) {
	w.mu.Lock()
	delete(w.loops, l.Self().PeerAddr)
	w.mu.Unlock()
	l.Close()
}

func states(l *Loop) map[string]State {
	got := make(map[string]State)
	for _, m := range l.Members() {
		got[m.Name] = m.State
	}
	return got
}

// pass lets the bubble's time pass, and all come to rest.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// loopTest runs in a bubble whose clock jumps when all wait.
func loopTest(t *testing.T, f func(t *testing.T)) {
	defer goleak.VerifyNone(t)
	synctest.Test(t, f)
}

func TestLoopsFormAClusterLoseOneAndTakeItBack(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		ctx, w := t.Context(), newWire()
		a, pa := w.start(t, "a", 1)
		defer a.Close()
		pass(time.Millisecond) // so that a is the oldest
		b, _ := w.start(t, "b", 2)
		c, pc := w.start(t, "c", 3)
		defer c.Close()
		require.NoError(t, b.Join(ctx, []string{"a:1"}))
		require.NoError(t, c.Join(ctx, []string{"a:1", "alias-of-c:1"}))
		pass(3 * time.Second)
		all := map[string]State{"a": Alive, "b": Alive, "c": Alive}
		for _, l := range []*Loop{a, b, c} {
			require.Equal(t, all, states(l))
			require.Empty(t, l.Unanswered())
			leader, ok := l.Leader()
			require.True(t, ok)
			require.Equal(t, "a", leader.Name)
		}
		pa.mu.Lock()
		require.Equal(t, map[string]string{"b": "from b:1", "c": "from c:1"}, pa.payloads)
		pa.mu.Unlock()
		require.Equal(t, 1, pc.saw(EventJoined, "b"))

		w.stop(b)
		pass(12 * time.Second)
		require.Equal(t, map[string]State{"a": Alive, "b": Dead, "c": Alive}, states(a))
		require.Equal(t, 1, pa.saw(EventFailed, "b"))

		b, pb := w.start(t, "b", 4)
		defer b.Close()
		require.NoError(t, b.Join(ctx, []string{"c:1"}))
		pass(3 * time.Second)
		require.Equal(t, all, states(a))
		require.Equal(t, 2, pa.saw(EventJoined, "b"))

		require.NoError(t, c.Leave(ctx))
		synctest.Wait()
		require.Equal(t, Left, states(a)["c"])
		require.Equal(t, 1, pb.saw(EventLeft, "c"))
		require.Equal(t, 1, pc.saw(EventLeaveDone, "c"))
		require.NoError(t, c.Leave(ctx), "leaving twice is leaving")
		require.Zero(t, pa.saw(EventFailed, "c"))
	})
}

func TestWhatALoopHandsOutIsACopy(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		l, _ := newWire().start(t, "a", 1)
		defer l.Close()
		l.Members()[0].Tags["k"] = "changed"
		l.Self().Tags["k"] = "changed"
		leader, _ := l.Leader()
		leader.Tags["k"] = "changed"
		require.Equal(t, "v", l.Self().Tags["k"])
	})
}

func TestALoopReportsWhatItCannotRead(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		l, p := newWire().start(t, "a", 1)
		defer l.Close()
		l.HandleDatagram("x:1", []byte("nonsense"))
		_, err := l.HandlePushPull(t.Context(), "x:1", []byte("nonsense"))
		require.ErrorIs(t, err, ErrMalformed)
		require.NoError(t, l.Join(t.Context(), []string{"garbage"}))
		require.ErrorContains(t, l.Join(t.Context(), []string{"a b"}), "no address has")
		synctest.Wait()
		require.Equal(t, 3, p.saw(EventBadMessage, ""))
		require.Equal(t, []string{"garbage"}, l.Unanswered())
	})
}

func TestALoopThatIsClosedLetsNobodyWait(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		w := newWire()
		w.hang["b:1"] = true
		l, _ := w.start(t, "a", 1)
		require.NoError(t, l.Join(t.Context(), []string{"b:1"}))
		synctest.Wait() // the call hangs
		l.Close()
		l.Close()
		require.ErrorIs(t, l.Join(t.Context(), nil), ErrClosed)
		require.ErrorIs(t, l.Leave(t.Context()), ErrClosed)
		_, err := l.HandlePushPull(t.Context(), "b:1", (&PushPull{From: 2}).AppendTo(nil))
		require.ErrorIs(t, err, ErrClosed)
		l.HandleDatagram("b:1", (&Nack{From: 2}).AppendTo(nil))
	})
}

func TestAPushPullThatHangsEndsAndIsTriedAgain(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		w := newWire()
		w.hang["b:1"] = true
		a, _ := w.start(t, "a", 1)
		defer a.Close()
		b, _ := w.start(t, "b", 2)
		defer b.Close()
		require.NoError(t, a.Join(t.Context(), []string{"b:1"}))
		pass(time.Minute)
		require.Len(t, a.Members(), 1)
		w.mu.Lock()
		w.hang["b:1"] = false
		w.mu.Unlock()
		pass(6 * time.Second)
		require.Len(t, a.Members(), 2)
	})
}

func TestALoopThatIsBehindDropsDatagramsAndNothingElse(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		l, p := newWire().start(t, "a", 1)
		defer l.Close()
		p.block = make(chan struct{})
		l.HandleDatagram("x:1", []byte("nonsense")) // its event blocks the loop
		synctest.Wait()
		ack := (&Ack{Seq: 1, From: 9}).AppendTo(nil)
		for range jobsQueued + 100 {
			l.HandleDatagram("x:1", ack)
		}
		require.EqualValues(t, 100, l.Dropped())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := l.Join(ctx, []string{"b:1"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		close(p.block)
		p.mu.Lock()
		p.block = nil
		p.mu.Unlock()
		require.NoError(t, l.Join(t.Context(), []string{"b:1"}))
	})
}

func TestALoopWhoseNameIsTakenAnswersNobody(t *testing.T) {
	loopTest(t, func(t *testing.T) {
		l, p := newWire().start(t, "a", 1)
		defer l.Close()
		rival := plain("a", 9)
		rival.Started, rival.Incarnation = maxStarted-1, uint64(maxStarted-1)
		_, err := l.HandlePushPull(t.Context(), "b:1", (&PushPull{From: 2, Members: []Member{rival}}).AppendTo(nil))
		require.ErrorIs(t, err, ErrYielded)
		synctest.Wait()
		require.Equal(t, 1, p.saw(EventConflict, "a"))
		require.NoError(t, l.Leave(t.Context()))
	})
}

func TestStartRefusesAWrongConfiguration(t *testing.T) {
	_, err := Start(LoopConfig{})
	require.ErrorContains(t, err, "sender and delegate are required")
	p := &port{w: newWire()}
	_, err = Start(LoopConfig{Sender: p, Delegate: p})
	require.ErrorContains(t, err, "rand: required")
}
