package bootstrap

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rig is a machine with a clock and a shell that does as it is told, for tests
// that tell a story.
type rig struct {
	t       require.TestingT
	m       *Machine
	now     time.Time
	asking  bool
	asked   []time.Time // when each question was put
	dialing []string    // outstanding, in the order in which they were begun
	dialled []string    // all that were ever begun
}

const selfAddr = "self:1"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newRig(t require.TestingT, seed uint64) *rig {
	m, err := New(start, Config{Addr: selfAddr, Rand: rand.New(rand.NewPCG(seed, 1))})
	require.NoError(t, err)
	return &rig{t: t, m: m, now: start}
}

// begun returns a rig whose first question has been put.
func begun(t require.TestingT, seed uint64) *rig {
	r := newRig(t, seed)
	r.tick()
	require.True(t, r.asking)
	return r
}

// step performs one input and takes in what the machine wants done.
func (r *rig) step(input func(out *Effects)) {
	var out Effects
	input(&out)
	if out.Ask {
		require.False(r.t, r.asking, "two questions at once")
		r.asking = true
		r.asked = append(r.asked, r.now)
	}
	for _, addr := range out.Dials {
		require.NotContains(r.t, r.dialing, addr, "dialled twice at once")
		require.NotEqual(r.t, selfAddr, addr)
		r.dialing = append(r.dialing, addr)
		r.dialled = append(r.dialled, addr)
	}
	require.LessOrEqual(r.t, len(r.dialing), MaxDials)
}

func (r *rig) tick() { r.step(func(out *Effects) { r.m.Tick(r.now, out) }) }

func (r *rig) changed() { r.step(func(out *Effects) { r.m.Changed(r.now, out) }) }

func (r *rig) end(addrs []string, failed bool) {
	require.True(r.t, r.asking, "nothing was asked")
	r.asking = false
	r.step(func(out *Effects) { r.m.Answered(r.now, addrs, failed, out) })
}

func (r *rig) answer(addrs ...string) { r.end(addrs, false) }
func (r *rig) fail(addrs ...string)   { r.end(addrs, true) }

func (r *rig) ends(addr string, outcome Outcome, instance uint64) {
	i := slices.Index(r.dialing, addr)
	require.GreaterOrEqual(r.t, i, 0, "%s is not being dialled", addr)
	r.dialing = slices.Delete(r.dialing, i, i+1)
	r.step(func(out *Effects) { r.m.Dialled(r.now, addr, outcome, instance, out) })
}

// all ends each dial that is under way, and those that follow.
func (r *rig) all(outcome Outcome) {
	for len(r.dialing) > 0 {
		r.ends(r.dialing[0], outcome, 0)
	}
}

func (r *rig) members(known int, live ...Live) {
	r.step(func(out *Effects) { r.m.Members(r.now, live, known, out) })
}

func (r *rig) done() bool { return r.m.Done(r.now) }

// pass lets time go by, and wakes the machine whenever it wants to be.
func (r *rig) pass(d time.Duration) {
	until := r.now.Add(d)
	for {
		next := r.m.NextDeadline()
		if next.IsZero() || next.After(until) {
			break
		}
		require.True(r.t, next.After(r.now), "a busy loop")
		r.now = next
		r.tick()
	}
	r.now = until
}

// untilAsked lets time go by until the next question, and says how much.
func (r *rig) untilAsked() time.Duration {
	from := r.now
	for !r.asking {
		next := r.m.NextDeadline()
		if len(r.asked) > 0 { // the first is due at the start
			require.True(r.t, next.After(r.now), "a busy loop, or nothing is due")
		}
		r.now = next
		r.tick()
	}
	return r.now.Sub(from)
}

// settled returns a rig whose node serves and has met one member, of two.
func settled(t require.TestingT, seed uint64) *rig {
	r := begun(t, seed)
	r.answer("b:1")
	r.members(1, Live{2, "b:1"})
	r.ends("b:1", Met, 2)
	require.True(t, r.done())
	r.m.Ready()
	return r
}

// alone returns a rig whose provider has said often enough that nobody is there.
func alone(t require.TestingT, seed uint64) *rig {
	r := newRig(t, seed)
	for !r.done() {
		r.untilAsked()
		r.answer()
	}
	return r
}

func addrs(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("n%05d:1", i)
	}
	return list
}

// everySeed runs a test's story with many draws.
func everySeed(t *testing.T, story func(t require.TestingT, seed uint64)) {
	t.Helper()
	for seed := range uint64(300) {
		if !t.Run("", func(t *testing.T) { story(t, seed) }) {
			t.Fatalf("seed %d", seed)
		}
	}
}
