package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tochemey/gokv/merkle"
)

// scrubAll scrubs every range once, and returns what was wrong and in how many
// ranges it looked.
func scrubAll(e *Engine) (wrong, ranges int) {
	for at, more := uint64(0), true; more; more = at != 0 {
		next, n := e.Scrub(at)
		at = next
		wrong += n
		ranges++
	}
	return wrong, ranges
}

func TestScrubFindsNothingWhereNothingIsWrong(t *testing.T) {
	e := newEngine(t, Config{})
	_, ranges := scrubAll(e)
	require.Equal(t, merkle.StripeCount, ranges)
	for i := range 60_000 {
		mustPut(t, e, wall, fmt.Sprint(i), "value", PutOptions{})
	}
	for i := range 100 {
		_, _, err := e.Delete(wall, fmt.Sprint(i))
		require.NoError(t, err)
	}
	wrong, ranges := scrubAll(e)
	require.Zero(t, wrong)
	require.Greater(t, ranges, merkle.StripeCount)
	require.Zero(t, e.Stats().Mismatches)
}

func TestScrubFindsWhatHasChangedInMemory(t *testing.T) {
	e := New(Config{Key: testKey})
	for i := range 1000 {
		mustPut(t, e, wall, fmt.Sprint(i), "value", PutOptions{})
	}
	s := e.shardOfKey("77")
	_, _, r := s.find(e.slab, e.Hasher().Position("77"), "77")
	r.value()[2] ^= 4
	wrong, _ := scrubAll(e)
	require.Equal(t, 1, wrong)
	require.Equal(t, uint64(1), e.Stats().Mismatches)
	// It is not spread.
	src := sourceOf(e, wall)
	pos := e.Hasher().Position("77")
	items := src.Items(merkle.RangeOf(pos, merkle.MaxDepth), pos, nil, 1)
	require.Len(t, items, 1)
	require.Empty(t, src.AppendEntry(nil, items[0]))
}

func TestScrubMendsDigestsThatHaveDrifted(t *testing.T) {
	e := New(Config{Key: testKey})
	for i := range 60_000 {
		mustPut(t, e, wall, fmt.Sprint(i), "value", PutOptions{})
	}
	root, _ := e.Root()
	e.shardOfKey("77").stripe.Replace(e.Hasher().Position("77"), merkle.Digest{}, merkle.Digest{Lo: 1})
	require.Error(t, e.Check())
	wrong, _ := scrubAll(e)
	require.Equal(t, 1, wrong)
	mended, _ := e.Root()
	require.Equal(t, root, mended)
	require.NoError(t, e.Check())
}
