package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tochemey/gokv/merkle"
)

const (
	rapidQueue = 600
	rapidBatch = 300
)

// world stands around a machine: it keeps, for each live peer, which writes it
// has been shown to hold, and answers what the machine asks for in its own time.
type world struct {
	m       *Machine
	now     time.Time
	out     Effects
	history []string // everything that the machine wanted done, for determinism

	writes   uint64
	peers    map[uint64]*worldPeer
	inflight map[uint64]Push // by peer, whichever of its lives it belongs to
	round    *RoundStart
	roundAt  uint64 // writes when the round began
	ready    bool
}

type worldPeer struct {
	started int64
	missing map[uint64]bool // version times of writes not known to be there
	ready   bool
}

func newWorld(t require.TestingT, alone bool) *world {
	m, err := New(Config{
		Self: self, Started: 50, QueueBytes: rapidQueue, BatchBytes: rapidBatch,
		Alone: alone, Rand: rand.New(rand.NewPCG(3, 4)),
	})
	require.NoError(t, err)
	return &world{m: m, now: start, peers: map[uint64]*worldPeer{}, inflight: map[uint64]Push{}, ready: alone}
}

func (w *world) absorb(t require.TestingT) {
	for _, p := range w.out.Pushes {
		_, busy := w.inflight[p.To]
		require.False(t, busy, "two pushes in flight to %d", p.To)
		require.Contains(t, w.peers, p.To, "a push to nobody alive")
		require.NotEmpty(t, p.Entries)
		bytes := 0
		for _, e := range p.Entries {
			bytes += entryBytes(e)
		}
		require.True(t, bytes <= rapidBatch || len(p.Entries) == 1)
		w.inflight[p.To] = p
		w.history = append(w.history, fmt.Sprintf("push %d %d %v", p.To, p.Seq, keys(p.Entries)))
	}
	for _, r := range w.out.Rounds {
		require.Nil(t, w.round, "two rounds at once")
		require.Contains(t, w.peers, r.Peer, "a round with nobody alive")
		w.round, w.roundAt = &r, w.writes
		w.history = append(w.history, fmt.Sprintf("round %+v", r))
	}
	if w.out.Ready {
		require.False(t, w.ready, "ready twice")
		w.ready = true
		w.history = append(w.history, "ready")
	}
	w.out.Reset()
}

// check states what must hold between any two inputs.
func (w *world) check(t require.TestingT) {
	require.Equal(t, w.ready, w.m.Ready())
	for id, wp := range w.peers {
		p := w.m.find(id)
		require.NotNil(t, p)
		require.True(t, p.up)
		require.LessOrEqual(t, p.queue.bytes, rapidQueue)
		if p.lost {
			require.True(t, p.owed != ReasonNone || p.differs || w.round != nil && w.round.Peer == id,
				"peer %d misses writes and no round is owed", id)
		}
		under := map[uint64]bool{}
		for _, q := range p.queue.items[p.queue.head:] {
			under[q.Version.Time] = true
		}
		for _, e := range w.inflight[id].Entries {
			under[e.Version.Time] = true
		}
		behind := slices.Contains(w.m.Behind(), id)
		for at := range wp.missing {
			require.True(t, behind || under[at], "write %d neither reaches %d nor is a round owed", at, id)
		}
		if len(wp.missing) > 0 {
			require.False(t, w.m.Drained())
		}
	}
	next := w.m.NextDeadline()
	if w.round == nil && !next.IsZero() {
		require.True(t, next.After(w.now), "what is due was not done")
	}
	require.LessOrEqual(t, len(w.m.peers), len(w.peers)+len(w.inflight))
}

func (w *world) ids() []uint64 {
	var ids []uint64
	for id := range w.peers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// act performs one drawn input.
func (w *world) act(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "ms")) * time.Millisecond)
	id := rapid.Uint64Range(1, 4).Draw(t, "peer")
	peer := w.peers[id]
	flag := rapid.Bool()
	switch op := rapid.SampledFrom([]string{
		"write", "write", "write", "up", "down", "acked", "acked", "failed", "payload",
		"round", "round", "their round", "sync all", "searched", "tick",
	}).Draw(t, "op"); op {
	case "write":
		w.writes++
		e := entryOf(fmt.Sprint(w.writes), rapid.IntRange(0, 300).Draw(t, "size"), w.writes)
		for _, p := range w.peers {
			p.missing[w.writes] = true
		}
		w.m.Write(w.now, e, &w.out)
	case "up":
		if peer == nil {
			peer = &worldPeer{started: rapid.Int64Range(48, 52).Draw(t, "started"), missing: map[uint64]bool{}}
			for at := range w.writes { // it may hold any of what came before
				peer.missing[at+1] = true
			}
			w.peers[id] = peer
		}
		w.m.PeerUp(w.now, Peer{id, peer.started}, &w.out)
	case "down":
		delete(w.peers, id)
		w.m.PeerDown(w.now, id, &w.out)
	case "acked", "failed":
		p, ok := w.inflight[id]
		if !ok {
			return
		}
		delete(w.inflight, id)
		if op == "acked" && peer != nil {
			for _, e := range p.Entries {
				delete(peer.missing, e.Version.Time)
			}
		}
		w.m.PushDone(w.now, id, p.Seq, op == "failed", &w.out)
	case "payload":
		own, root := merkle.Digest{Lo: 1}, merkle.Digest{Lo: 2}
		ready := flag.Draw(t, "ready")
		if flag.Draw(t, "equal") {
			root = own
			if peer != nil {
				clear(peer.missing)
			}
		}
		if peer != nil {
			peer.ready = ready
		}
		w.m.PeerPayload(w.now, id, &Payload{Ready: ready, Searched: flag.Draw(t, "searched")}, alikeIf(root == own), &w.out)
	case "round":
		if w.round == nil {
			return
		}
		id = w.round.Peer
		w.endRound(t, id, true, w.roundAt)
	case "their round":
		w.endRound(t, id, false, w.writes)
	case "searched":
		w.m.Searched(w.now, flag.Draw(t, "done"), &w.out)
	case "sync all":
		require.Equal(t, w.ids(), w.m.SyncAll(w.now, &w.out))
	case "tick":
		if next := w.m.NextDeadline(); next.After(w.now) {
			w.now = next
		}
		w.m.Tick(w.now, &w.out)
	}
}

// catchUp ticks if the clock has passed a deadline, as a shell does.
func (w *world) catchUp(t *rapid.T) {
	w.absorb(t)
	if next := w.m.NextDeadline(); !next.IsZero() && !next.After(w.now) {
		w.m.Tick(w.now, &w.out)
		w.absorb(t)
	}
}

func (w *world) endRound(t *rapid.T, id uint64, initiator bool, upTo uint64) {
	res := RoundResult{
		Initiator: initiator, Began: w.now,
		Failed:    rapid.Bool().Draw(t, "failed"),
		Converged: rapid.Bool().Draw(t, "converged"),
		PeerReady: rapid.Bool().Draw(t, "peer ready"),
	}
	if res.Failed {
		res.Converged = false
	}
	if peer := w.peers[id]; peer != nil && res.Converged {
		for at := range upTo {
			delete(peer.missing, at+1)
		}
	}
	if initiator {
		w.round = nil
	}
	was := w.m.Ready()
	w.m.RoundDone(w.now, id, res, &w.out)
	if !was && w.m.Ready() && !res.PeerReady {
		// Then it must be the eldest: nobody known is ready, nobody is older, and
		// somebody's search has ended.
		require.True(t, w.m.gathered())
		for _, p := range w.m.peers {
			require.False(t, p.up && (p.ready || p.older(w.m.self)))
		}
	}
}

func TestEveryWriteReachesEachLivePeerOrARoundIsOwed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.Bool().Draw(t, "alone"))
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			w.act(t)
			w.catchUp(t)
			w.check(t)
		}
		w.settle(t)
	})
}

// settle lets everything succeed from here on, and demands rest.
func (w *world) settle(t *rapid.T) {
	reported := false
	for range 1000 {
		w.absorb(t)
		switch {
		case w.round != nil:
			id, upTo := w.round.Peer, w.roundAt
			w.round = nil
			if p := w.peers[id]; p != nil {
				for at := range upTo {
					delete(p.missing, at+1)
				}
			}
			w.m.RoundDone(w.now, id, RoundResult{Initiator: true, Converged: true, PeerReady: true}, &w.out)
		case len(w.inflight) > 0:
			for _, id := range []uint64{1, 2, 3, 4} {
				if p, ok := w.inflight[id]; ok {
					delete(w.inflight, id)
					if peer := w.peers[id]; peer != nil {
						for _, e := range p.Entries {
							delete(peer.missing, e.Version.Time)
						}
					}
					w.m.PushDone(w.now, id, p.Seq, false, &w.out)
					break
				}
			}
		default:
			next := w.m.NextDeadline()
			if next.IsZero() {
				require.True(t, w.m.Drained())
				require.Empty(t, w.m.Behind())
				for _, p := range w.peers {
					require.Empty(t, p.missing)
				}
				if !w.m.Ready() && len(w.peers) > 0 && !reported {
					// Met before it was ready: an elder makes us ready once it is.
					reported = true
					w.m.PeerPayload(w.now, w.ids()[0], &Payload{Ready: true}, Alike, &w.out)
					continue
				}
				require.Equal(t, w.ready || len(w.peers) > 0, w.m.Ready())
				return
			}
			w.now = next
			w.m.Tick(w.now, &w.out)
		}
	}
	t.Fatal("no rest")
}

func TestTheSameInputsGiveTheSameEffects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.Uint64(), 1, 100).Draw(t, "steps")
		run := func() []string {
			w := newWorld(t, false)
			for _, s := range steps {
				w.replay(t, s)
				w.absorb(t)
			}
			return w.history
		}
		require.Equal(t, run(), run())
	})
}

// replay performs an input that s alone decides.
func (w *world) replay(t *rapid.T, s uint64) {
	w.now = w.now.Add(time.Duration(s%700) * time.Millisecond)
	id := 1 + s/700%4
	failed := s/3000%3 == 0
	switch s / 10_000 % 6 {
	case 0, 1:
		w.writes++
		w.m.Write(w.now, entryOf(fmt.Sprint(w.writes), int(s/100_000%300), w.writes), &w.out)
	case 2:
		w.peers[id] = &worldPeer{}
		w.m.PeerUp(w.now, Peer{id, int64(48 + s/100_000%4)}, &w.out)
	case 3:
		if p, ok := w.inflight[id]; ok {
			delete(w.inflight, id)
			w.m.PushDone(w.now, id, p.Seq, failed, &w.out)
		}
	case 4:
		if w.round != nil {
			id, w.round = w.round.Peer, nil
			w.m.RoundDone(w.now, id, RoundResult{Initiator: true, Failed: failed, Converged: s/100_000%2 == 0}, &w.out)
		}
	case 5:
		w.m.PeerPayload(w.now, id, &Payload{}, alikeIf(s/100_000%2 == 0), &w.out)
	}
}
