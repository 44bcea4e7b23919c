package replica

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/merkle"
)

// Another session may bring a better digest key at any moment, also between two
// frames of one turn. What one side lists by the one key says nothing of what the
// other side holds by the other: nobody may take it for lacking.
func TestARekeyInTheMiddleOfASessionLosesNothing(t *testing.T) {
	const keys = 300
	better := merkle.Key{Created: 0, Secret: [16]byte{2}}
	for who := range 2 {
		for at := 0; ; at++ {
			a, b := newStore(1), newStore(2)
			for i := range keys {
				require.Equal(t, merkle.Applied, push(a, b, a.put(t, fmt.Sprint(i), "v")))
			}
			for i := range keys { // pushes that are lost
				a.put(t, fmt.Sprintf("a%d", i), "v")
				b.put(t, fmt.Sprintf("b%d", i), "v")
			}
			sides := [2]*Session{
				NewSession(SessionConfig{Initiator: true, Engine: a.Engine, Now: func() int64 { return a.now }, MaxFrame: 64}),
				NewSession(SessionConfig{Engine: b.Engine, Now: func() int64 { return b.now }, MaxFrame: 64}),
			}
			frames, failed := 0, false
			for said := true; said && !failed; {
				said = false
				for i := range sides {
					for !failed {
						if frames == at {
							[]*store{a, b}[who].Rekey(better)
						}
						frame, more := sides[i].Next(nil)
						failed = sides[i].Err() != nil
						if !more {
							break
						}
						said = true
						frames++
						if err := sides[1-i].Receive(frame); err != nil {
							require.True(t, errors.Is(err, merkle.ErrKeyChanged), "%v", err)
							failed = true
						}
					}
				}
			}
			agree(t, a, b)
			for _, s := range []*store{a, b} {
				require.Equal(t, uint64(3*keys), s.Stats().Entries, "node %d, before frame %d", who, at)
			}
			if at > frames {
				break
			}
		}
	}
}
