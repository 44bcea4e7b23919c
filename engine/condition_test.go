package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireFails expects that a condition failed, and what it said the key holds.
func requireFails(t *testing.T, err error, current *Entry) {
	t.Helper()
	require.ErrorIs(t, err, ErrConditionFailed)
	var c *ConditionError
	require.ErrorAs(t, err, &c)
	if current == nil {
		require.Nil(t, c.Current)
		return
	}
	require.NotNil(t, c.Current)
	require.Equal(t, current.Key, c.Current.Key)
	require.Equal(t, current.Value, c.Current.Value)
	require.Equal(t, current.Version, c.Current.Version)
	require.Equal(t, current.ExpiresAt, c.Current.ExpiresAt)
}

func TestAPutIfAbsentIsDoneOnce(t *testing.T) {
	e := newEngine(t, Config{})
	ifAbsent := PutOptions{If: Condition{Absent: true}, TTL: time.Hour}
	first := mustPut(t, e, wall, "k", "1", ifAbsent)
	_, err := e.Put(wall, "k", []byte("2"), ifAbsent)
	requireFails(t, err, first)
	require.EqualError(t, err, fmt.Sprintf(`put "k": the key is there at version %v: condition failed`, first.Version))
	requireValue(t, e, wall, "k", "1")
	_, _, err = e.DeleteIf(wall, "k", Condition{Absent: true})
	requireFails(t, err, first)
	require.ErrorContains(t, err, `delete "k": `)
}

func TestADeletedOrExpiredKeyIsAbsent(t *testing.T) {
	for name, gone := range map[string]func(e *Engine) (Version, int64){
		"deleted": func(e *Engine) (Version, int64) {
			v := mustPut(t, e, wall, "k", "1", PutOptions{}).Version
			_, _, err := e.Delete(wall, "k")
			require.NoError(t, err)
			return v, wall
		},
		"deleted, by the tombstone's version": func(e *Engine) (Version, int64) {
			mustPut(t, e, wall, "k", "1", PutOptions{})
			ent, _, err := e.Delete(wall, "k")
			require.NoError(t, err)
			return ent.Version, wall
		},
		"expired": func(e *Engine) (Version, int64) {
			return mustPut(t, e, wall, "k", "1", PutOptions{TTL: time.Second}).Version, wall + 1000
		},
		"reaped": func(e *Engine) (Version, int64) {
			v := mustPut(t, e, wall, "k", "1", PutOptions{TTL: time.Second}).Version
			e.Sweep(wall+10_000, 10)
			return v, wall + 10_000
		},
		"never there": func(*Engine) (Version, int64) { return Version{Time: 1, Instance: 1}, wall },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, Config{})
			v, now := gone(e)
			_, err := e.Put(now, "k", []byte("2"), PutOptions{If: Condition{Version: v}})
			requireFails(t, err, nil)
			require.EqualError(t, err, fmt.Sprintf(`put "k": the key is absent, version %v is demanded: condition failed`, v))
			_, _, err = e.DeleteIf(now, "k", Condition{Version: v})
			requireFails(t, err, nil)
			_, existed, err := e.DeleteIf(now, "k", Condition{Absent: true})
			require.NoError(t, err)
			require.False(t, existed)
			mustPut(t, e, now, "k", "3", PutOptions{If: Condition{Absent: true}})
			requireValue(t, e, now, "k", "3")
		})
	}
}

func TestAWriteIfAtAVersionIsDoneAtThatVersionAlone(t *testing.T) {
	e := newEngine(t, Config{})
	first := mustPut(t, e, wall, "k", "1", PutOptions{})
	second := mustPut(t, e, wall, "k", "2", PutOptions{If: Condition{Version: first.Version}})
	_, err := e.Put(wall, "k", []byte("3"), PutOptions{If: Condition{Version: first.Version}})
	requireFails(t, err, second)
	require.EqualError(t, err, fmt.Sprintf(`put "k": the key is at version %v, %v is demanded: condition failed`, second.Version, first.Version))
	touched, err := e.Touch(wall, "k", PutOptions{TTL: time.Hour})
	require.NoError(t, err)
	_, _, err = e.DeleteIf(wall, "k", Condition{Version: second.Version})
	requireFails(t, err, &touched)
	_, existed, err := e.DeleteIf(wall, "k", Condition{Version: touched.Version})
	require.NoError(t, err)
	require.True(t, existed)
	requireAbsent(t, e, wall, "k")
}

func TestAConditionIsJudgedByWhatWasMergedToo(t *testing.T) {
	e := newEngine(t, Config{})
	mustPut(t, e, wall, "k", "1", PutOptions{})
	theirs := remotePut("k", "2", wall+1, 0)
	e.Apply(wall+1, theirs)
	mustPut(t, e, wall+1, "k", "3", PutOptions{If: Condition{Version: theirs.Version}})
}

func TestBothConditionsAtOnceAreRefused(t *testing.T) {
	e := newEngine(t, Config{})
	_, err := e.Put(wall, "k", nil, PutOptions{If: Condition{Absent: true, Version: Version{Time: 1}}})
	require.ErrorIs(t, err, ErrInvalidCondition)
}

func TestOfManyThatDemandTheSameOneIsDone(t *testing.T) {
	e := newEngine(t, Config{})
	at := mustPut(t, e, wall, "k", "0", PutOptions{}).Version
	for range 100 {
		var done atomic.Int64
		var next Version
		var group sync.WaitGroup
		for i := range 4 {
			group.Go(func() {
				if ent, err := e.Put(wall, "k", fmt.Append(nil, i), PutOptions{If: Condition{Version: at}}); err == nil {
					done.Add(1)
					next = ent.Version
				}
			})
		}
		group.Wait()
		require.EqualValues(t, 1, done.Load())
		at = next
	}
}
