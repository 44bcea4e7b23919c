package gokv

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/internal/replica"
)

func TestADeadMemberIsBlamedBeforeALiveOneThatIsFurtherBehind(t *testing.T) {
	at := func(instance, least uint64, failed bool) replica.Holding {
		return replica.Holding{Instance: instance, Least: least, Failed: failed}
	}
	order := func(own replica.Holding, others ...replica.Holding) (ids []uint64) {
		for _, h := range culprits(own, others) {
			ids = append(ids, h.Instance)
		}
		return ids
	}
	require.Equal(t, []uint64{1}, order(at(1, 5, false)))
	require.Equal(t, []uint64{3, 4, 2, 1}, order(at(1, 9, false), at(2, 1, false), at(3, 2, true), at(4, 3, true)))
	require.Equal(t, []uint64{2, 1, 3}, order(at(1, 5, false), at(2, 5, false), at(3, 6, false)))
}

func TestTheNamesOfTheLatestInstancesAreKept(t *testing.T) {
	s := newNames()
	for i := range uint64(maxNames + 2) {
		s.note(i+1, "a")
	}
	s.note(3, "b")
	require.Empty(t, s.lookup(1))
	require.Empty(t, s.lookup(2))
	require.Equal(t, "a", s.lookup(3), "an instance has one name")
	require.Equal(t, "a", s.lookup(maxNames+2))
	require.Len(t, s.of, maxNames)
}
