package sim

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// host keeps what it gets, and answers streams as accept says.
type host struct {
	got    []string
	accept func(from string, kind byte, s *Stream)
}

func (h *host) Datagram(from string, b []byte) { h.got = append(h.got, from+":"+string(b)) }

func (h *host) Accept(from string, kind byte, s *Stream) {
	if h.accept != nil {
		h.accept(from, kind, s)
		return
	}
	h.got = append(h.got, fmt.Sprintf("%s opens %d", from, kind))
	s.OnMessage = func(b []byte) { h.got = append(h.got, from+"="+string(b)) }
	s.OnClose = func(err error) { h.got = append(h.got, fmt.Sprintf("%s closes: %v", from, err)) }
}

type fixture struct {
	w     *World
	n     *Network
	procs map[string]*Proc
	hosts map[string]*host
}

func newFixture(seed uint64, l Link, addrs ...string) *fixture {
	f := &fixture{w: NewWorld(seed), procs: map[string]*Proc{}, hosts: map[string]*host{}}
	f.n = NewNetwork(f.w, l)
	for _, a := range addrs {
		f.start(a)
	}
	return f
}

func (f *fixture) start(addr string) {
	f.procs[addr], f.hosts[addr] = f.w.Spawn(addr), &host{}
	f.n.Attach(addr, f.procs[addr], f.hosts[addr])
}

func (f *fixture) crash(addr string) {
	f.procs[addr].Kill()
	f.n.Detach(addr)
}

func (f *fixture) run(d time.Duration) { f.w.RunFor(d) }

func TestADatagramArrivesAfterTheLinksDelay(t *testing.T) {
	f := newFixture(1, Link{Delay: 10 * time.Millisecond}, "a", "b")
	b := []byte("hi")
	f.n.Send("a", "b", b)
	b[0] = 'X' // the network keeps its own
	f.run(9 * time.Millisecond)
	require.Empty(t, f.hosts["b"].got)
	f.run(time.Millisecond)
	require.Equal(t, []string{"a:hi"}, f.hosts["b"].got)
}

func TestDatagramFaultsStrikeAboutAsOftenAsTold(t *testing.T) {
	f := newFixture(1, Link{
		Delay: time.Millisecond, Jitter: time.Millisecond, Loss: 0.2,
		Duplicate: 0.1, Reorder: 0.1, HoldBack: 50 * time.Millisecond,
	}, "a", "b")
	const sent = 10_000
	for i := range sent {
		f.w.After(time.Duration(i)*100*time.Microsecond, func() { f.n.Send("a", "b", fmt.Appendf(nil, "%05d", i)) })
	}
	f.run(time.Minute)
	c := f.n.Counts()
	require.EqualValues(t, sent, c.Datagrams)
	require.InDelta(t, 2000, c.Lost, 200)
	require.InDelta(t, 800, c.Duplicated, 150)
	require.InDelta(t, 880, c.HeldBack, 150)
	got := f.hosts["b"].got
	require.EqualValues(t, sent-c.Lost+c.Duplicated, len(got))
	overtaken := 0
	for i := 1; i < len(got); i++ {
		if got[i] < got[i-1] {
			overtaken++
		}
	}
	require.Positive(t, overtaken)
}

func TestALinkOfItsOwnChangesOneDirection(t *testing.T) {
	f := newFixture(1, Link{}, "a", "b")
	f.n.SetLink("a", "b", Link{Loss: 1})
	f.n.Send("a", "b", []byte("1"))
	f.n.Send("b", "a", []byte("2"))
	f.run(time.Second)
	require.Empty(t, f.hosts["b"].got)
	require.Equal(t, []string{"b:2"}, f.hosts["a"].got)

	f.n.SetLinks(Link{})
	f.n.Send("a", "b", []byte("3"))
	f.run(time.Second)
	require.Equal(t, []string{"a:3"}, f.hosts["b"].got)
}

func TestACutIsOneWayAndStrikesWhatIsUnderWay(t *testing.T) {
	f := newFixture(1, Link{Delay: time.Second}, "a", "b")
	f.n.Send("a", "b", []byte("under way"))
	f.n.Send("b", "a", []byte("back"))
	f.n.Cut("a", "b")
	f.n.Cut("a", "b")
	f.n.Send("a", "b", []byte("later"))
	require.True(t, f.n.IsCut("a", "b"))
	require.False(t, f.n.IsCut("b", "a"))
	f.run(2 * time.Second)
	require.Empty(t, f.hosts["b"].got)
	require.Equal(t, []string{"b:back"}, f.hosts["a"].got)
	require.EqualValues(t, 2, f.n.Counts().CutDatagrams)

	f.n.Mend("a", "b")
	f.n.Send("a", "b", []byte("mended"))
	f.run(2 * time.Second)
	require.Equal(t, []string{"a:mended"}, f.hosts["b"].got)
}

func TestAPartitionSeparatesGroupsAndAHealJoinsThem(t *testing.T) {
	f := newFixture(1, Link{}, "a", "b", "c")
	f.n.Partition([]string{"a"}, []string{"b", "c"})
	for _, from := range []string{"a", "b", "c"} {
		for _, to := range []string{"a", "b", "c"} {
			if from != to {
				f.n.Send(from, to, []byte("x"))
			}
		}
	}
	f.run(time.Second)
	require.Empty(t, f.hosts["a"].got)
	require.Equal(t, []string{"c:x"}, f.hosts["b"].got)
	require.Equal(t, []string{"b:x"}, f.hosts["c"].got)

	f.n.Heal()
	f.n.Send("a", "b", []byte("y"))
	f.run(time.Second)
	require.Equal(t, []string{"c:x", "a:y"}, f.hosts["b"].got)
}

func TestADatagramIsForTheProcessThatWasThereWhenItWasSent(t *testing.T) {
	f := newFixture(1, Link{Delay: time.Second}, "a", "b")
	f.n.Send("a", "b", []byte("old"))
	f.n.Send("a", "nowhere", []byte("x"))
	f.crash("b")
	f.start("b")
	f.n.Send("a", "b", []byte("new"))
	f.run(2 * time.Second)
	require.Equal(t, []string{"a:new"}, f.hosts["b"].got)
}

func TestAPausedHostGetsItsDatagramsWhenItResumes(t *testing.T) {
	f := newFixture(1, Link{}, "a", "b")
	f.procs["b"].Pause()
	f.n.Send("a", "b", []byte("1"))
	f.run(time.Second)
	require.Empty(t, f.hosts["b"].got)
	f.procs["b"].Resume()
	f.run(time.Second)
	require.Equal(t, []string{"a:1"}, f.hosts["b"].got)
}

func TestAStreamKeepsItsOrderWhateverTheLinkDoes(t *testing.T) {
	for seed := range uint64(20) {
		f := newFixture(seed, Link{
			Delay: time.Millisecond, Jitter: 30 * time.Millisecond,
			Loss: 0.3, Stall: 0.1, StallFor: time.Second,
		}, "a", "b")
		s := f.n.Dial("a", "b", 7)
		want := []string{"a opens 7"}
		for i := range 100 {
			s.Send(fmt.Appendf(nil, "%d", i))
			want = append(want, fmt.Sprintf("a=%d", i))
			if i == 50 {
				f.run(5 * time.Millisecond)
				f.n.Partition([]string{"a"}, []string{"b"})
				f.run(3 * time.Second)
				f.n.Heal()
			}
		}
		s.Close()
		s.Close()
		s.Send([]byte("after the close"))
		f.run(time.Minute)
		require.Equal(t, append(want, "a closes: <nil>"), f.hosts["b"].got)
	}
}

func TestAStreamGoesBothWays(t *testing.T) {
	f := newFixture(1, Link{Delay: time.Millisecond}, "a", "b")
	f.hosts["b"].accept = func(_ string, _ byte, s *Stream) {
		s.OnMessage = func(b []byte) { s.Send(append([]byte("re: "), b...)) }
		s.OnClose = func(error) { s.Close() }
	}
	var got []string
	s := f.n.Dial("a", "b", 1)
	s.OnMessage = func(b []byte) { got = append(got, string(b)) }
	s.Send([]byte("1"))
	s.Send([]byte("2"))
	f.run(time.Second)
	require.Equal(t, []string{"re: 1", "re: 2"}, got)
}

func TestACutHoldsAStreamUpUntilItIsMended(t *testing.T) {
	f := newFixture(1, Link{Delay: time.Millisecond}, "a", "b", "c")
	s := f.n.Dial("a", "b", 1)
	f.run(time.Second)
	f.n.Cut("a", "b")
	s.Send([]byte("1"))
	s.Close() // what was sent before the close is not forgotten
	f.run(time.Minute)
	require.Equal(t, []string{"a opens 1"}, f.hosts["b"].got)
	require.EqualValues(t, 1, f.n.Counts().CutStreams)

	f.n.Mend("b", "a") // it was not
	f.n.Cut("a", "c")
	f.n.Mend("a", "c") // another one
	f.run(time.Minute)
	require.Len(t, f.hosts["b"].got, 1)

	f.n.Mend("a", "b")
	f.run(2 * time.Second)
	require.Equal(t, []string{"a opens 1", "a=1", "a closes: <nil>"}, f.hosts["b"].got)
}

func TestABrokenStreamEndsForBothSides(t *testing.T) {
	f := newFixture(1, Link{Delay: time.Millisecond}, "a", "b")
	var ended error
	s := f.n.Dial("a", "b", 1)
	s.OnClose = func(err error) { ended = err }
	s.Send([]byte("1"))
	f.run(time.Second)
	f.n.SetLinks(Link{Delay: time.Millisecond, Break: 1})
	s.Send([]byte("2"))
	f.run(time.Second)
	require.ErrorIs(t, ended, ErrBroken)
	require.Equal(t, []string{"a opens 1", "a=1", "a closes: stream broken"}, f.hosts["b"].got)
	require.EqualValues(t, 1, f.n.Counts().Broken)
}

func TestAStreamThatBreaksBeforeItIsAcceptedEndsForItsDialler(t *testing.T) {
	f := newFixture(1, Link{Delay: time.Millisecond, Break: 1}, "a", "b")
	var ended error
	s := f.n.Dial("a", "b", 1)
	s.OnClose = func(err error) { ended = err }
	s.Send([]byte("1"))
	f.run(time.Second)
	require.ErrorIs(t, ended, ErrBroken)
	require.Empty(t, f.hosts["b"].got)
}

func TestAResetDropsWhatIsUnderWay(t *testing.T) {
	f := newFixture(1, Link{Delay: 10 * time.Millisecond}, "a", "b")
	s := f.n.Dial("a", "b", 1)
	s.Send([]byte("1"))
	f.run(time.Second)
	s.Send([]byte("2"))
	s.OnClose = func(error) { t.Error("who resets hears nothing more") }
	s.Reset()
	s.Reset()
	f.run(time.Second)
	require.Equal(t, []string{"a opens 1", "a=1", "a closes: stream reset by the peer"}, f.hosts["b"].got)

	early := f.n.Dial("a", "b", 2)
	early.Reset()
	f.run(time.Second)
	require.Len(t, f.hosts["b"].got, 3)
}

func TestDiallingNobodyIsRefused(t *testing.T) {
	f := newFixture(1, Link{Delay: time.Millisecond}, "a")
	var ended error
	s := f.n.Dial("a", "b", 1)
	s.OnClose = func(err error) { ended = err }
	f.run(time.Second)
	require.ErrorIs(t, ended, ErrRefused)

	s = f.n.Dial("b", "a", 1) // nobody dials
	s.OnClose = func(error) { t.Error("called") }
	s.Send([]byte("x"))
	s.Close()
	f.run(time.Second)
	require.Empty(t, f.hosts["a"].got)
}

func TestACrashIsSeenAtTheFarEndsWithinSeconds(t *testing.T) {
	for seed := range uint64(20) {
		f := newFixture(seed, Link{Delay: time.Millisecond}, "a", "b")
		var ended error
		calls := 0
		s := f.n.Dial("b", "a", 1)
		s.OnClose = func(err error) { ended, calls = err, calls+1 }
		back := f.n.Dial("a", "b", 2)
		back.Send([]byte("1"))
		f.run(time.Second)
		back.Send([]byte("2"))
		back.Send([]byte("3"))
		pending := f.n.Dial("a", "b", 3) // its opening is lost with its dialler
		f.crash("a")
		f.start("a")
		pending.Send([]byte("x"))
		f.run(4 * time.Second)
		require.ErrorIs(t, ended, ErrGone)
		require.Equal(t, 1, calls)
		require.Empty(t, f.hosts["a"].got)
		got := f.hosts["b"].got
		require.Equal(t, "a closes: peer gone", got[len(got)-1])
		require.Subset(t, []string{"a opens 2", "a=1", "a=2", "a=3", "a closes: peer gone"}, got)
	}
}

func TestAPausedEndReadsItsStreamWhenItResumes(t *testing.T) {
	f := newFixture(1, Link{Delay: time.Millisecond}, "a", "b")
	f.procs["b"].Pause()
	s := f.n.Dial("a", "b", 1)
	s.Send([]byte("1"))
	s.Close()
	f.run(time.Second)
	require.Empty(t, f.hosts["b"].got)
	f.procs["b"].Resume()
	f.run(time.Second)
	require.Equal(t, []string{"a opens 1", "a=1", "a closes: <nil>"}, f.hosts["b"].got)
}

func TestASeedGivesTheSameNetworkTwice(t *testing.T) {
	run := func(seed uint64) (uint64, []string) {
		f := newFixture(seed, Link{
			Jitter: 20 * time.Millisecond, Loss: 0.1, Duplicate: 0.1, Reorder: 0.1,
			HoldBack: time.Second, Stall: 0.1, StallFor: time.Second, Break: 0.01,
		}, "a", "b", "c")
		for i := range 200 {
			f.w.After(time.Duration(f.w.Rand().IntN(5000))*time.Millisecond, func() {
				from, to := string("abc"[i%3]), string("abc"[(i+1)%3])
				f.n.Send(from, to, fmt.Appendf(nil, "%d", i))
				s := f.n.Dial(from, to, byte(i))
				s.Send([]byte("1"))
				s.Close()
			})
		}
		f.w.After(time.Second, func() { f.n.Partition([]string{"a"}, []string{"b", "c"}) })
		f.w.After(2*time.Second, func() { f.crash("b"); f.start("b") })
		f.w.After(3*time.Second, f.n.Heal)
		f.run(time.Minute)
		var got []string
		for _, a := range []string{"a", "b", "c"} {
			got = append(got, f.hosts[a].got...)
		}
		return f.w.TraceHash(), got
	}
	for seed := range uint64(10) {
		h1, got1 := run(seed)
		h2, got2 := run(seed)
		require.Equal(t, h1, h2)
		require.Equal(t, got1, got2)
		h3, _ := run(seed + 100)
		require.NotEqual(t, h1, h3)
	}
}

func TestErrorsOfStreamsAreToldApart(t *testing.T) {
	all := []error{ErrBroken, ErrReset, ErrRefused, ErrGone}
	for i, a := range all {
		for j, b := range all {
			require.Equal(t, i == j, errors.Is(a, b))
		}
	}
}
