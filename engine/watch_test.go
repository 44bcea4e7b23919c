package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/internal/causal"
)

func TestAStatementIsRefusedIfSomethingThatItCoversHasComeSince(t *testing.T) {
	e := New(Config{Instance: 1})
	now := int64(1_700_000_000_000)
	came := &Entry{Key: "k", Value: []byte("v"), Kind: KindPut, Checksum: Checksum([]byte("v")), Version: Version{Reading(now, 1), 2}}
	theirs := &causal.Knowledge{}
	theirs.Seen.Base.Raise(causal.Dot{Time: Reading(now, 5), Instance: 2})

	_, since := e.Watch()
	_, err := e.Put(now, "own", nil, PutOptions{})
	require.NoError(t, err)
	e.Apply(now, came)
	require.False(t, e.Accept(theirs, since))
	require.False(t, e.Seen(Version{Reading(now, 5), 2}))

	_, since = e.Watch()
	_, err = e.Put(now, "own", nil, PutOptions{})
	require.NoError(t, err)
	require.True(t, e.Accept(theirs, since), "it has not seen that")
	require.True(t, e.Seen(Version{Reading(now, 5), 2}))
	require.False(t, e.Accept(theirs, since), "it has ended")
}

func TestAWatchThatNobodyEndsEndsByItself(t *testing.T) {
	e := New(Config{Instance: 1})
	_, since := e.Watch()
	for i := range mostWatched + 1 {
		require.True(t, e.watched.Load())
		_, err := e.Put(1_700_000_000_000, fmt.Sprint(i), nil, PutOptions{})
		require.NoError(t, err)
	}
	require.False(t, e.watched.Load())
	require.Empty(t, e.know.watches)
	e.Unwatch(since)
	require.False(t, e.Accept(&causal.Knowledge{}, since))
}
