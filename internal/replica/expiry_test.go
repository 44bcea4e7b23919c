package replica

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/engine"
)

// What one side's cut of expiry has passed during a session, or before it, is held
// there, as dead: the other side must not take it for let go.
func TestWhatHasExpiredForOneSideOnlyStaysOnBoth(t *testing.T) {
	for at, frames := 0, 1; at <= frames; at++ {
		for who := range 4 {
			a, b := newStore(1), newStore(2)
			ent, err := a.Put(a.now, "k", []byte("v"), engine.PutOptions{TTL: 100})
			require.NoError(t, err)
			push(a, b, ent)
			a.put(t, "a", "v")
			b.put(t, "b", "v")
			a.now += 3000
			b.now = a.now
			frames = 0
			sides := [][2]*store{{a, b}, {b, a}}[who%2]
			session(t, sides[0], sides[1], 1, func() {
				if frames == at {
					sides[who/2].Sweep(a.now, 1000)
				}
				frames++
			})
			for i, s := range []*store{a, b} {
				_, held := s.Held("k", nil)
				require.True(t, held, "store %d, swept %d before frame %d", i, who, at)
			}
		}
	}
}
