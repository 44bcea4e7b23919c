package merkle

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEqualSetsOpenNoTurn(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(1000, a, b)
	k := newTalk(t, a, b, 1, RoundConfig{})
	k.run()
	for _, s := range []RoundStats{k.a.Stats(), k.b.Stats()} {
		require.True(t, s.Equal)
		require.True(t, s.Converged)
		require.Zero(t, s.Turns)
		require.Equal(t, s.OwnRoot, s.PeerRoot)
	}
	require.Equal(t, 2, k.frames)
	require.Less(t, k.digestBytes(), 90)
}

func TestTheOlderKeyWinsWhoeverOpens(t *testing.T) {
	older := Key{Created: 5, Secret: [16]byte{9}}
	younger := Key{Created: 6, Secret: [16]byte{1}}
	twin := Key{Created: 5, Secret: [16]byte{10}}
	unsettled := Key{Created: math.MaxUint64, Secret: [16]byte{0}}
	for _, tc := range []struct {
		name       string
		a, b, wins Key
		frames     int // of two equal sets
	}{
		{"responder younger", older, younger, older, 4},
		{"responder older", younger, older, older, 4},
		{"one age, initiator wins", older, twin, older, 4},
		{"one age, responder wins", twin, older, older, 4},
		{"responder not settled", older, unsettled, older, 4},
		{"initiator not settled", unsettled, older, older, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, differ := range []bool{false, true} {
				a, b := newStore(1, tc.a), newStore(2, tc.b)
				fill(300, a, b)
				if differ {
					a.put("x", "1")
					b.put("y", "1")
				}
				want := union(a, b)
				k := newTalk(t, a, b, 77, RoundConfig{})
				k.run()
				require.Equal(t, tc.wins, a.key)
				require.Equal(t, tc.wins, b.key)
				require.Equal(t, 1, a.rekeyed+b.rekeyed)
				require.Equal(t, a.rekeyed == 1, k.a.Stats().Rekeyed)
				require.Equal(t, b.rekeyed == 1, k.b.Stats().Rekeyed)
				require.True(t, k.a.Stats().Converged)
				require.True(t, k.b.Stats().Converged)
				if !differ {
					require.Equal(t, tc.frames, k.frames)
				}
				a.want(t, want)
				b.want(t, want)
			}
		})
	}
}

func TestOneSecretOfTwoAgesTakesTheLower(t *testing.T) {
	settled := Key{Created: 5, Secret: [16]byte{9}}
	early := Key{Created: math.MaxUint64, Secret: [16]byte{9}}
	for _, differ := range []bool{false, true} {
		for _, keys := range [][2]Key{{settled, early}, {early, settled}} {
			a, b := newStore(1, keys[0]), newStore(2, keys[1])
			if differ {
				a.put("x", "1")
			}
			k := newTalk(t, a, b, 77, RoundConfig{})
			k.run()
			require.Equal(t, settled, a.key)
			require.Equal(t, settled, b.key)
			require.Zero(t, a.rekeyed+b.rekeyed)
			require.True(t, k.b.Stats().Converged)
		}
	}
}

func TestAKeyReplacedMeanwhileEndsTheRound(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(500, a, b)
	a.put("x", "1")
	k := newTalk(t, a, b, 1, RoundConfig{})
	k.speak(k.a, k.b) // open
	k.hear(k.b)
	k.speak(k.b, k.a) // accept
	k.hear(k.a)
	a.Rekey(Key{Created: 1, Secret: [16]byte{1}})
	k.speak(k.b, k.a)
	require.ErrorIs(t, k.a.Receive(k.a.inbox[0]), ErrKeyChanged)
	require.False(t, k.a.Done())
	_, ok := k.a.Next(nil)
	require.False(t, ok)
}

func TestClocksTravelBothWays(t *testing.T) {
	a, b := newStore(1, sharedKey), newStore(2, sharedKey)
	a.clock = 500
	k := newTalk(t, a, b, 1, RoundConfig{})
	k.run()
	require.Equal(t, uint64(500), b.clock)
	b.clock = 900
	b.put("x", "y")
	k = newTalk(t, a, b, 1, RoundConfig{})
	k.run()
	require.Equal(t, uint64(901), a.clock)
}
