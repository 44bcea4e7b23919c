package replica

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/engine"
)

// rig is a machine with a clock, for tests that tell a story.
type rig struct {
	t   *testing.T
	m   *Machine
	now time.Time
	out Effects
	seq uint64
}

const self = 100

var start = time.UnixMilli(1_700_000_000_000)

func newRig(t *testing.T, change ...func(*Config)) *rig {
	t.Helper()
	cfg := Config{Self: self, Started: 50, Rand: rand.New(rand.NewPCG(1, 2)), Alone: true}
	for _, f := range change {
		f(&cfg)
	}
	m, err := New(cfg)
	require.NoError(t, err)
	return &rig{t: t, m: m, now: start}
}

func joining(c *Config) { c.Alone = false }

// take returns what the last calls wanted done.
func (r *rig) take() Effects {
	got := r.out
	r.out = Effects{}
	return got
}

func (r *rig) pass(d time.Duration) { r.now = r.now.Add(d) }

// tick lets the time come at which the machine wants to be woken, and wakes it.
func (r *rig) tick() Effects {
	r.t.Helper()
	next := r.m.NextDeadline()
	require.False(r.t, next.IsZero(), "nothing is due")
	if next.After(r.now) {
		r.now = next
	}
	r.m.Tick(r.now, &r.out)
	return r.take()
}

// searched tells how the search for peers goes.
func (r *rig) searched(done bool) Effects {
	r.m.Searched(r.now, done, &r.out)
	return r.take()
}

func (r *rig) write(key string) *engine.Entry {
	r.seq++
	e := entryOf(key, 10, r.seq)
	r.m.Write(r.now, e, &r.out)
	return e
}

func entryOf(key string, size int, seq uint64) *engine.Entry {
	value := make([]byte, size)
	return &engine.Entry{
		Key: key, Value: value, Kind: engine.KindPut, Checksum: engine.Checksum(value),
		Version: engine.Version{Time: seq, Instance: self},
	}
}

func (r *rig) up(instance uint64, started int64) Effects {
	r.m.PeerUp(r.now, Peer{instance, started}, &r.out)
	return r.take()
}

// settled brings a peer up and its first round to a good end.
func (r *rig) settled(instance uint64) {
	r.t.Helper()
	got := r.up(instance, 1) // older than we are: ours to start
	require.Equal(r.t, []RoundStart{{Peer: instance, Reason: ReasonPeerUp, Bulk: true}}, got.Rounds)
	r.roundDone(instance, RoundResult{Initiator: true, Converged: true, PeerReady: true})
	r.take()
}

func (r *rig) roundDone(instance uint64, res RoundResult) Effects {
	r.m.RoundDone(r.now, instance, res, &r.out)
	return r.take()
}

func (r *rig) pushDone(p Push, failed bool) Effects {
	r.m.PushDone(r.now, p.To, p.Seq, failed, &r.out)
	return r.take()
}

func (r *rig) payload(instance uint64, root, own uint64) Effects {
	r.m.PeerPayload(r.now, instance, &Payload{Ready: true}, alikeIf(root == own), &r.out)
	return r.take()
}

func alikeIf(equal bool) Likeness {
	if equal {
		return Same
	}
	return Unlike
}

func keys(entries []*engine.Entry) (ks []string) {
	for _, e := range entries {
		ks = append(ks, e.Key)
	}
	return ks
}

func TestAWrongConfigurationNamesEachField(t *testing.T) {
	_, err := New(Config{SyncInterval: time.Millisecond, QueueBytes: -1, BatchBytes: -1})
	require.Error(t, err)
	for _, field := range []string{"self", "sync-interval: 1ms: at least 10ms", "queue bytes", "batch bytes", "rand"} {
		require.ErrorContains(t, err, field)
	}
	require.NoError(t, Config{Self: 1, Rand: rand.New(rand.NewPCG(1, 1))}.Validate())
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := ReasonNone; r <= ReasonAsked; r++ {
		require.NotEqual(t, "unknown", r.String())
		seen[r.String()] = true
	}
	require.Len(t, seen, int(ReasonAsked)+1)
	require.Equal(t, "unknown", Reason(200).String())
}

func TestEffectsKeepTheirRoomOnReset(t *testing.T) {
	e := Effects{Pushes: make([]Push, 3, 8), Rounds: make([]RoundStart, 2, 4), Ready: true, Dropped: 3}
	e.Reset()
	require.Equal(t, "[] [] false 0", fmt.Sprint(e.Pushes, e.Rounds, e.Ready, e.Dropped))
	require.Equal(t, 8, cap(e.Pushes))
}
