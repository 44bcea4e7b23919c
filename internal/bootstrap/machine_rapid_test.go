package bootstrap

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// model is what a reader of the package comment would write down beside a
// machine: everything that it was told, and nothing of how it works.
type model struct {
	*rig
	last    []string // the last answer, without the own address
	failed  bool     // it came with a failure, or none has come
	nobody  []time.Time
	history map[string]*modelSeed
	live    []Live
}

// modelSeed is an address that has been named ever since.
type modelSeed struct {
	outcome  Outcome
	instance uint64
	silent   time.Time // when the first of the dials began that found none of ours
	began    time.Time // the dial under way
}

func (s *modelSeed) none() bool { return s.outcome == Silent || s.outcome == Foreign }

var modelAddrs = append(addrs(40), selfAddr, "", "alias:1")

func (m *model) answered(list []string, failed bool) {
	m.failed = failed
	named := map[string]bool{}
	for _, addr := range list {
		if addr != selfAddr && addr != "" {
			named[addr] = true
		}
	}
	if failed {
		for _, addr := range m.last {
			named[addr] = true // what was named stays so
		}
	}
	m.last = m.last[:0]
	for addr := range named {
		m.last = append(m.last, addr)
		if m.history[addr] == nil {
			m.history[addr] = new(modelSeed)
		}
	}
	slices.Sort(m.last)
	somebody := false
	for addr, s := range m.history {
		if !named[addr] && s.began.IsZero() {
			delete(m.history, addr)
		}
		somebody = somebody || named[addr] && s.outcome != Own
	}
	if failed || somebody {
		m.nobody = nil
	} else {
		m.nobody = append(m.nobody, m.now)
	}
}

func (m *model) isLive(addr string) bool {
	return slices.ContainsFunc(m.live, func(l Live) bool {
		s := m.history[addr]
		return l.Addr == addr || s != nil && s.outcome == Met && s.instance == l.Instance
	})
}

// ended is Done as the package comment has it.
func (m *model) ended() bool {
	if n := len(m.nobody); n >= 3 && m.nobody[n-1].Sub(m.nobody[0]) >= 3*time.Second {
		return true
	}
	others, met, refused := 0, len(m.live) > 0, 0
	for _, addr := range m.last {
		s := m.history[addr]
		if s.outcome != Own {
			others++
		}
		switch {
		case m.isLive(addr), s.outcome == Met:
			met = true
		case s.outcome == Refused:
			refused++
		case s.outcome == 0, s.none() && m.now.Sub(s.silent) < 3*time.Second:
			return false
		}
	}
	return !m.failed && others > 0 && (met || refused == 0)
}

// act performs one drawn input.
func (m *model) act(t *rapid.T) {
	began := len(m.dialled)
	ops := []string{"pass", "pass", "answer", "answer", "answer", "fail", "end", "end", "end", "end all", "members", "changed", "tick", "stray"}
	switch op := rapid.SampledFrom(ops).Draw(t, "op"); op {
	case "pass":
		m.pass(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
	case "answer", "fail":
		if !m.asking {
			if rapid.Bool().Draw(t, "wait") {
				m.untilAsked()
			} else {
				return
			}
		}
		var list []string
		if rapid.IntRange(0, 2).Draw(t, "somebody") > 0 {
			list = rapid.SliceOfN(rapid.SampledFrom(modelAddrs), 0, 60).Draw(t, "addrs")
		}
		m.answered(list, op == "fail")
		m.end(list, op == "fail")
	case "end":
		m.endOne(t)
	case "end all":
		for len(m.dialing) > 0 {
			m.endOne(t)
			m.mark(began)
			began = len(m.dialled)
		}
	case "members":
		m.live = nil
		for i := range rapid.IntRange(0, 4).Draw(t, "live") {
			addr := rapid.SampledFrom(modelAddrs[:10]).Draw(t, "addr")
			m.live = append(m.live, Live{uint64(10 + i), addr})
		}
		m.members(len(m.live)+rapid.IntRange(0, 6).Draw(t, "dead"), m.live...)
	case "changed":
		m.changed()
	case "tick":
		m.tick()
	case "stray":
		var out Effects
		m.m.Dialled(m.now, "nobody:1", Met, 3, &out)
		require.Equal(t, Effects{}, out, "the rig has done what was due")
	}
	m.mark(began)
}

// mark takes note of the dials that have begun.
func (m *model) mark(before int) {
	for _, addr := range m.dialled[before:] {
		m.history[addr].began = m.now
		require.Contains(m.t, m.last, addr, "nobody named it")
		require.False(m.t, m.isLive(addr), "a member is there")
		require.NotEqual(m.t, Own, m.history[addr].outcome, "the machine itself is there")
	}
}

func (m *model) endOne(t *rapid.T) {
	if len(m.dialing) == 0 {
		return
	}
	addr := m.dialing[rapid.IntRange(0, len(m.dialing)-1).Draw(t, "which")]
	outcome := rapid.SampledFrom([]Outcome{Silent, Silent, Met, Own, Foreign, Refused}).Draw(t, "outcome")
	s := m.history[addr]
	before := s.none()
	s.outcome = outcome
	if !s.none() {
		s.silent = time.Time{}
	} else if !before {
		s.silent = s.began
	}
	s.instance, s.began = rapid.Uint64Range(10, 13).Draw(t, "instance"), time.Time{}
	if !slices.Contains(m.last, addr) {
		delete(m.history, addr)
	}
	m.ends(addr, outcome, s.instance)
}

// check states what must hold between any two inputs.
func (m *model) check(t *rapid.T) {
	require.Equal(t, m.ended(), m.done())
	require.Equal(t, len(m.dialing), m.m.dialing)
	require.Len(t, m.m.seeds, len(m.history))
	queued := map[string]bool{}
	for _, addr := range m.m.queue {
		require.False(t, queued[addr], "queued twice")
		queued[addr] = true
		require.True(t, m.m.seeds[addr].queued)
	}
	for addr, s := range m.m.seeds {
		require.Equal(t, s.queued, queued[addr])
		require.Equal(t, s.dialing, slices.Contains(m.dialing, addr))
		require.Equal(t, s.named, slices.Contains(m.last, addr))
	}
	if len(m.dialing) < MaxDials {
		require.Empty(t, queued, "there is room to dial")
	}
	next := m.m.NextDeadline()
	switch {
	case !next.IsZero():
		require.True(t, next.After(m.now), "what is due was not done")
	case !m.asking:
		t.Fatal("it never asks again")
	}
	if !m.asking {
		require.LessOrEqual(t, next.Sub(m.now), 45*time.Second)
	}
	if next.IsZero() || next.After(m.now.Add(time.Hour)) {
		next = m.now.Add(time.Hour)
	}
	if was := m.ended(); !m.m.ready { // Done changes at a deadline or an input, never in between
		now := m.now
		m.now = next.Add(-1)
		require.Equal(t, was, m.done())
		require.Equal(t, was, m.ended())
		m.now = now
	}
}

// settle lets the provider answer from here on, and demands that the search
// goes on and ends.
func (m *model) settle(t *rapid.T) {
	list := []string{"n00001:1", "n00002:1", selfAddr}
	for range 100 {
		for len(m.dialing) > 0 {
			addr := m.dialing[0]
			m.ends(addr, Silent, 0)
		}
		m.untilAsked()
		m.end(list, false)
	}
	for len(m.dialing) > 0 {
		m.ends(m.dialing[0], Silent, 0)
	}
	require.True(t, m.done())
	for range 20 {
		m.untilAsked()
		m.end(nil, false)
	}
	require.True(t, m.done())
	require.Empty(t, m.m.seeds)
}

func TestTheSearchAgreesWithItsDescription(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{rig: newRig(t, rapid.Uint64().Draw(t, "seed")), failed: true, history: map[string]*modelSeed{}}
		m.tick()
		readyAt := rapid.IntRange(0, 200).Draw(t, "ready")
		for i := range rapid.IntRange(1, 100).Draw(t, "steps") {
			if i == readyAt {
				m.m.Ready()
			}
			m.act(t)
			m.check(t)
		}
		m.settle(t)
	})
}

func TestTheSameInputsGiveTheSameEffects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		steps := rapid.SliceOfN(rapid.Uint64(), 1, 100).Draw(t, "inputs")
		run := func() string {
			r := begun(t, seed)
			for _, s := range steps {
				switch s % 5 {
				case 0:
					r.pass(time.Duration(s/5%2000) * time.Millisecond)
				case 1, 2:
					if r.asking {
						first := int(s / 5 % 40)
						r.end(addrs(60)[first:first+20], s/200%3 == 0)
					}
				case 3:
					if len(r.dialing) > 0 {
						r.ends(r.dialing[s/5%uint64(len(r.dialing))], Outcome(1+s/100%5), s/500%3)
					}
				case 4:
					r.members(int(s/5%5), Live{s / 25 % 3, addrs(60)[s/100%60]})
				}
			}
			return fmt.Sprint(r.asked, r.dialled, r.done())
		}
		require.Equal(t, run(), run())
	})
}
