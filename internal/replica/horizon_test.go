package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A node of a large cluster may always be in some session. What it has seen before
// the oldest of those that go on is reported nevertheless.
func TestSessionsThatOverlapDoNotHoldReportsUpForEver(t *testing.T) {
	s := newStore(1)
	h := NewHorizon(s.Engine, HorizonConfig{Grace: time.Minute, SeekPause: time.Millisecond})
	s.put(t, "k", "v")
	before, _ := s.Progress()
	end, _ := h.SessionBegins(2)
	for range 5 {
		s.now++
		s.put(t, "k", "v")
		require.Equal(t, before, h.Report().Least, "a session goes on that began before")
		before, _ = s.Progress()
		next, _ := h.SessionBegins(2)
		end()
		end = next
	}
	s.now++
	s.put(t, "k", "v")
	end()
	now, _ := s.Progress()
	require.Equal(t, now, h.Report().Least)
}
