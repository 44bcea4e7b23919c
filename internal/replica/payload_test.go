package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/causal"
)

// The clock of a cluster stands still while nobody writes. What is known of many
// departed instances is told all the same, writes ahead of the vector included.
func TestAllThatWasSeenOfDepartedInstancesIsToldWhileIdle(t *testing.T) {
	s := newStore(1)
	s.put(t, "k", "v")
	know := causal.Knowledge{}
	for i := range uint64(100) {
		know.Seen.Base.Raise(causal.Dot{Time: 10, Instance: 100 + i})
	}
	for i := range uint64(20) {
		know.Seen.Take(causal.Dot{Time: 20 + 2*i, Instance: 150}, 19+2*i)
	}
	_, since := s.Watch()
	require.True(t, s.Accept(&know, since))
	h := NewHorizon(s.Engine, HorizonConfig{Grace: time.Minute, SeekPause: time.Millisecond})
	var told causal.Seen
	for range 300 {
		p := PayloadOf(s.Engine, h, 1)
		got, err := ParsePayload(p.AppendTo(nil))
		require.NoError(t, err)
		told.Merge(&got.Report.Departed)
	}
	require.Equal(t, know.Seen, told)
}
