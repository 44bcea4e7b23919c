package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/merkle"
)

// stream is a node's end of a stream of pushes, and what became of them.
type stream struct {
	*Pushes
	to       *store
	now      time.Time
	joining  bool
	outcomes map[string]merkle.Outcome
}

func newStream(to *store) *stream {
	s := &stream{to: to, now: time.UnixMilli(0), outcomes: map[string]merkle.Outcome{}}
	s.Pushes = NewPushes(to.Engine, func(e *engine.Entry, outcome merkle.Outcome, _ int64) {
		s.outcomes[string(e.Value)] = outcome
	})
	return s
}

func (s *stream) wall() int64 { return s.to.now }

func (s *stream) take(entries ...engine.Entry) {
	f := &PushFrame{}
	for i := range entries {
		f.Entries = append(f.Entries, &entries[i])
	}
	s.Take(s.now, s.wall, f, s.joining)
}

// three are writes of one node: the second replaces the first, the third is of
// another key.
func three(t *testing.T) (first, second, third engine.Entry) {
	a := newStore(1)
	put := func(key, value string) engine.Entry {
		ent, err := a.Put(a.now, key, []byte(value), engine.PutOptions{})
		require.NoError(t, err)
		return ent
	}
	return put("k", "1"), put("k", "2"), put("l", "3")
}

func TestAPushThatIsHeldDoesNotHoldUpWhatComesAfterIt(t *testing.T) {
	first, second, third := three(t)
	s := newStream(newStore(2))
	s.take(second, third)
	require.Equal(t, map[string]merkle.Outcome{"3": merkle.Applied}, s.outcomes)
	require.True(t, s.Holds())
	require.Equal(t, 2, s.Bytes())

	s.now = s.now.Add(HoldCheck)
	s.take(first)
	require.Equal(t, map[string]merkle.Outcome{"1": merkle.Applied, "2": merkle.Applied, "3": merkle.Applied}, s.outcomes)
	require.False(t, s.Holds())
	require.Zero(t, s.Bytes())
	require.Zero(t, s.Unseen())
	require.True(t, s.to.Seen(second.Version))
	require.True(t, s.to.Seen(third.Version))
}

func TestANodeThatJoinsHoldsNoPush(t *testing.T) {
	_, second, third := three(t)
	s := newStream(newStore(2))
	s.joining = true
	s.take(second, third)
	require.Equal(t, map[string]merkle.Outcome{"2": merkle.Unseen, "3": merkle.Applied}, s.outcomes)
	require.False(t, s.Holds())
	require.Equal(t, uint32(1), s.Unseen())
	require.False(t, s.to.Seen(second.Version))
}

func TestAPushIsHeldNoLongerThanTheHoldTime(t *testing.T) {
	_, second, _ := three(t)
	s := newStream(newStore(2))
	s.take(second)
	for s.now.Sub(time.UnixMilli(0)) < HoldTime-HoldCheck {
		s.now = s.now.Add(HoldCheck)
		s.Look(s.now, s.wall)
		require.Empty(t, s.outcomes)
	}
	s.now = s.now.Add(HoldCheck)
	s.Look(s.now, s.wall)
	require.Equal(t, map[string]merkle.Outcome{"2": merkle.Unseen}, s.outcomes)
	require.Equal(t, uint32(1), s.Unseen())
	require.Zero(t, s.Unseen(), "once")
	require.False(t, s.to.Seen(second.Version))
}

func TestTheEndOfAStreamLosesNothing(t *testing.T) {
	_, second, _ := three(t)
	s := newStream(newStore(2))
	s.take(second)
	s.End(s.now, s.wall)
	require.Equal(t, map[string]merkle.Outcome{"2": merkle.Unseen}, s.outcomes)
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	a, s := newStore(1), newStream(newStore(2))
	_, err := a.Put(a.now, "k", nil, engine.PutOptions{}) // is lost
	require.NoError(t, err)
	for range maxHeld + 10 {
		ent, err := a.Put(a.now, "k", []byte("v"), engine.PutOptions{})
		require.NoError(t, err)
		s.take(ent)
	}
	require.Len(t, s.held, maxHeld)
	require.Equal(t, uint32(10), s.Unseen(), "those beyond are merged at once")
}
