package membership

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lone returns a machine named a, and the effects of its steps.
func lone(t *testing.T, change func(*Config)) (*Machine, *Effects) {
	cfg := Config{Self: plain("a", 1), Rand: rand.New(rand.NewPCG(1, 1))}
	if change != nil {
		change(&cfg)
	}
	m, err := New(cfg)
	require.NoError(t, err)
	return m, &Effects{}
}

// others returns n members named m0000 and so on, with instances from 1000.
func others(n int) []Member {
	members := make([]Member, n)
	for i := range members {
		members[i] = plain(fmt.Sprintf("m%04d", i), uint64(1000+i))
	}
	return members
}

// among returns a machine that knows n others, with nothing left to tell.
func among(t *testing.T, n int, change func(*Config)) (*Machine, *Effects) {
	m, out := lone(t, change)
	m.Step(simStart, "m0000:1", &PushPull{From: 1000, Members: others(n)}, out)
	require.Len(t, m.table.live, n)
	for _, r := range m.table.all {
		m.gossip.remove(r)
	}
	m.gossip.nextRound = time.Time{}
	out.Reset()
	return m, out
}

// hears steps one claim in by gossip.
func hears(m *Machine, now time.Time, c Member, out *Effects) {
	m.Step(now, "m0000:1", &Gossip{From: 1000, Updates: []Member{c}}, out)
}

// kinds counts the events.
func kinds(out *Effects) map[EventKind]int {
	n := make(map[EventKind]int)
	for _, e := range out.Events {
		n[e.Kind]++
	}
	return n
}

// told counts in how many packets a claim went out.
func told(out *Effects, c Member) int {
	n := 0
	for _, p := range out.Packets {
		for _, u := range updatesOf(p.Msg) {
			if u.Name == c.Name && u.Compare(c) == 0 {
				n++
			}
		}
	}
	return n
}

func updatesOf(msg Message) []Member {
	switch msg := msg.(type) {
	case *Probe:
		return msg.Updates
	case *Ack:
		return msg.Updates
	case *PingReq:
		return msg.Updates
	case *Gossip:
		return msg.Updates
	}
	return nil
}

// tickUntil ticks at each deadline up to a time.
func tickUntil(m *Machine, until time.Time, out *Effects) {
	for {
		next := m.NextDeadline()
		if next.IsZero() || next.After(until) {
			return
		}
		m.Tick(next, out)
	}
}

func with(c Member, change func(*Member)) Member {
	change(&c)
	return c
}
