package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/merkle"
	"pgregory.net/rapid"
)

const sessionWall = int64(1_700_000_000_000)

// store is an engine of a session's tests, and its wall clock.
type store struct {
	*engine.Engine
	now int64
}

func newStore(instance uint64) *store {
	return &store{engine.New(engine.Config{Instance: instance, Key: merkle.Key{Created: 1, Secret: [16]byte{1}}}), sessionWall}
}

func (s *store) put(t require.TestingT, key, value string) engine.Entry {
	ent, err := s.Put(s.now, key, []byte(value), engine.PutOptions{})
	require.NoError(t, err)
	return ent
}

func (s *store) remove(t require.TestingT, key string) engine.Entry {
	ent, _, err := s.Delete(s.now, key)
	require.NoError(t, err)
	return ent
}

func (s *store) has(key string) bool {
	_, err := s.Get(s.now, key, nil)
	return err == nil
}

// session runs a session between two stores and returns both sides' results.
// between, if set, is called before each frame is delivered.
func session(t require.TestingT, a, b *store, salt uint64, between func()) (SessionResult, SessionResult) {
	sides := [2]*Session{
		NewSession(SessionConfig{Initiator: true, Engine: a.Engine, Now: func() int64 { return a.now }, Salt: salt, Ready: true}),
		NewSession(SessionConfig{Engine: b.Engine, Now: func() int64 { return b.now }}),
	}
	for !sides[0].Done() || !sides[1].Done() {
		said := false
		for i, speaker := range sides {
			for {
				frame, more := speaker.Next([]byte("x"))
				if !more {
					break
				}
				said = true
				if between != nil {
					between()
				}
				require.NoError(t, sides[1-i].Receive(frame[1:]))
			}
		}
		require.True(t, said, "neither side has anything to say: states %d and %d", sides[0].state, sides[1].state)
	}
	return sides[0].Result(), sides[1].Result()
}

// agree runs sessions until the two stores hold the same.
func agree(t require.TestingT, a, b *store) {
	for salt := range uint64(20) {
		if one, other := session(t, a, b, salt, nil); one.Agreed && other.Agreed {
			require.Equal(t, a.Summary().Root, b.Summary().Root)
			return
		}
	}
	require.Fail(t, "twenty sessions were not enough")
}

// push hands an entry to another store as a link would.
func push(from, to *store, ent engine.Entry) merkle.Outcome {
	outcome, _ := to.Push(to.now, &ent, from.Hidden(), true)
	return outcome
}

// A write that one side has seen and overwritten goes from the other side when what
// replaced it is there, and no earlier: a reader would find nothing meanwhile. (What
// replaced it may look like another entry that was overwritten too, by 12 bits. Then
// the next round brings it. These salts have no such pair.)
func TestAnOverwrittenKeyIsNeverMissingWhileARoundReplacesIt(t *testing.T) {
	for _, keys := range []int{40, 1_000} {
		a, b := newStore(1), newStore(2)
		name := func(i int) string { return fmt.Sprint("k", i) }
		for i := range keys {
			push(a, b, a.put(t, name(i), "v"))
		}
		agree(t, a, b)
		for salt := range uint64(100) {
			for i := range 20 {
				a.put(t, name((int(salt)*40+i)%keys), fmt.Sprint(salt))
				b.put(t, name((int(salt)*40+20+i)%keys), fmt.Sprint(salt))
			}
			session(t, a, b, salt, func() {
				for i := range keys {
					require.True(t, a.has(name(i)) && b.has(name(i)), "%s, of %d, salt %d", name(i), keys, salt)
				}
			})
			agree(t, a, b)
		}
	}
}

func TestEqualStoresExchangeNothingButWhatTheyHaveSeen(t *testing.T) {
	a, b := newStore(1), newStore(2)
	for i := range 100 {
		require.Equal(t, merkle.Applied, push(a, b, a.put(t, fmt.Sprint(i), "v")))
	}
	one, other := session(t, a, b, 1, nil)
	for _, res := range []SessionResult{one, other} {
		require.True(t, res.Equal)
		require.True(t, res.Converged)
		require.True(t, res.Agreed)
		require.Zero(t, res.EntriesSent)
		require.Less(t, res.DigestSent, uint64(120))
	}
	require.True(t, other.PeerReady)
	require.False(t, one.PeerReady)
}

func TestADeletedKeyGoesFromWhoeverHadIt(t *testing.T) {
	a, b, c := newStore(1), newStore(2), newStore(3)
	ent := a.put(t, "k", "v")
	push(a, b, ent)
	push(a, c, ent)
	// B deletes it, and C hears nothing of that.
	require.Equal(t, merkle.Applied, push(b, a, b.remove(t, "k")))
	require.Equal(t, 1, a.purgeAll()+b.purgeAll()-1, "both purge")
	require.True(t, c.has("k"))
	agree(t, a, c)
	require.False(t, c.has("k"), "A had seen the put and lacks it")
	require.Zero(t, c.Stats().Tombstones, "nothing is left to purge")
	agree(t, b, c)
	require.Equal(t, merkle.Ignored, push(a, b, ent), "a late push of it")
	require.Equal(t, merkle.Ignored, push(a, c, ent))
}

// purgeAll purges as if this were the only member.
func (s *store) purgeAll() int {
	return s.Purge(s.Report([]uint64{}), nil, func(uint64) bool { return true })
}

func TestATombstoneGoesToWhoHasNotSeenIt(t *testing.T) {
	a, b := newStore(1), newStore(2)
	ent := a.put(t, "k", "v")
	push(a, b, ent)
	a.remove(t, "k")
	one, other := session(t, a, b, 1, nil)
	require.True(t, one.Agreed)
	require.Equal(t, 1, one.DeadSent)
	require.Equal(t, 1, other.DeadReceived)
	require.False(t, b.has("k"))
	require.Equal(t, uint64(1), b.Stats().Tombstones)
	one, _ = session(t, a, b, 2, nil)
	require.Zero(t, one.DeadSent, "it has been seen")
}

// The key goes nevertheless, as A had seen it and lacks it.
func TestARefusedTombstoneKeepsTheTwoFromAgreeing(t *testing.T) {
	a, b := newStore(1), newStore(2)
	push(a, b, a.put(t, "k", "v"))
	a.now += 3_600_000
	a.remove(t, "k")
	for salt := range uint64(3) {
		_, other := session(t, a, b, salt, nil)
		require.Equal(t, uint64(1), other.Refused)
		require.False(t, other.Agreed)
		require.False(t, b.has("k"))
	}
	b.now = a.now
	agree(t, a, b)
	require.Equal(t, uint64(1), b.Stats().Tombstones)
}

func TestAnEmptyStoreGetsEverything(t *testing.T) {
	a, b := newStore(1), newStore(2)
	for i := range 5000 {
		a.put(t, fmt.Sprint(i), "v")
	}
	for i := range 500 {
		a.remove(t, fmt.Sprint(i))
	}
	agree(t, b, a)
	require.Equal(t, a.Stats(), b.Stats())
	require.NoError(t, b.Check())
}

// Stores take writes, push some of them, lose some, purge at will once
// everybody has reported, and talk in between. Whatever happened, sessions make
// them equal, and what was deleted, having been seen, stays deleted.
func TestSessionsMakeStoresEqualAndNothingComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stores := []*store{newStore(1), newStore(2), newStore(3)}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		dead := map[engine.Version]string{} // what a write had seen deleted or overwritten
		var late []func()
		step := func() {
			from := stores[random.IntN(3)]
			key := fmt.Sprint(random.IntN(8))
			var ent engine.Entry
			if random.IntN(3) == 0 {
				ent = from.remove(t, key)
			} else {
				ent = from.put(t, key, fmt.Sprint(random.Uint64()))
			}
			if !ent.Over.IsZero() {
				dead[ent.Over] = key
			}
			for _, to := range stores {
				hidden := from.Hidden()
				deliver := func() {
					ent := ent
					to.Push(to.now, &ent, hidden, random.IntN(2) == 0)
				}
				switch random.IntN(4) {
				case 0: // lost
				case 1:
					late = append(late, deliver)
				default:
					deliver()
				}
			}
			for _, s := range stores {
				s.now += int64(random.IntN(3))
			}
			if len(late) > 0 && random.IntN(3) == 0 {
				i := random.IntN(len(late))
				late[i]()
				late = slices.Delete(late, i, i+1)
			}
		}
		purge := func() {
			var reports []causal.Report
			for _, s := range stores {
				reports = append(reports, s.Report([]uint64{1, 2, 3}))
			}
			for i, s := range stores {
				others := reports
				if random.IntN(4) == 0 { // it has given the others up
					others = nil
				}
				s.Purge(reports[i], others, func(uint64) bool { return true })
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch random.IntN(6) {
			case 0:
				i := random.IntN(3)
				j := (i + 1 + random.IntN(2)) % 3
				session(t, stores[i], stores[j], random.Uint64(), func() {
					if random.IntN(4) == 0 {
						step()
					}
				})
			case 1:
				purge()
			case 2:
				i, j := random.IntN(3), random.IntN(3)
				clock, last := stores[i].Progress()
				stores[j].Reach(uint64(i+1), clock, last)
			default:
				step()
			}
		}
		for range 2 {
			agree(t, stores[0], stores[1])
			agree(t, stores[1], stores[2])
		}
		agree(t, stores[0], stores[1])
		for _, deliver := range late {
			deliver()
		}
		for _, s := range stores {
			require.Equal(t, stores[0].Summary().Root, s.Summary().Root)
			require.NoError(t, s.Check())
			page, _ := s.List(s.now, engine.ListOptions{})
			for _, ent := range page {
				require.NotContains(t, dead, ent.Version, "%s is back", ent.Key)
			}
		}
		// Once all know that all have seen everything, nothing dead is left.
		for range 2 {
			for i, from := range stores {
				for _, to := range stores {
					clock, last := from.Progress()
					to.Reach(uint64(i+1), clock, last)
				}
			}
			purge()
		}
		for _, s := range stores {
			require.Zero(t, s.Stats().Tombstones)
		}
	})
}

// B has seen a put deleted, and has purged the delete, having given the others up.
// Whenever the push of that put reaches A, A never serves it and says that it has
// seen what deleted it.
func TestWhatComesDuringASessionIsNotPassedOverByWhatItTeaches(t *testing.T) {
	for _, differ := range []bool{false, true} {
		for at, frames := 0, 1; at <= frames; at++ {
			for who := range 2 {
				a, b, c := newStore(1), newStore(2), newStore(3)
				ent := c.put(t, "k", "v")
				push(c, b, ent)
				gone := b.remove(t, "k")
				b.purgeAll()
				if differ {
					a.put(t, "a", "v")
					b.put(t, "b", "v")
				}
				frames = 0
				sides := [][2]*store{{a, b}, {b, a}}[who]
				session(t, sides[0], sides[1], 1, func() {
					if frames == at {
						push(c, a, ent)
					}
					frames++
				})
				require.False(t, a.has("k") && a.Seen(gone.Version), "before frame %d of %d, differ: %v, who: %d", at, frames, differ, who)
				agree(t, a, b)
				require.False(t, a.has("k"))
			}
		}
	}
}

// A delete of a key that nobody else has heard of does not show in the contents. It
// has to be among the dead entries of whoever says that it has seen it.
func TestADeleteWhileDeadEntriesGoOverIsNotSaidToBeSeen(t *testing.T) {
	a, b := newStore(1), newStore(2)
	a.put(t, "a", "v")
	b.put(t, "b", "v")
	var gone []engine.Entry
	session(t, a, b, 1, func() {
		for range 30 { // they take several frames
			gone = append(gone, a.remove(t, fmt.Sprintf("%01000d", len(gone))))
		}
	})
	require.True(t, b.Seen(gone[0].Version))
	for i, ent := range gone {
		if _, held := b.Held(ent.Key, nil); !held {
			require.False(t, b.Seen(ent.Version), "delete %d of %d", i, len(gone))
		}
	}
}
