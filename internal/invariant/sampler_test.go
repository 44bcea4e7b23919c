package invariant

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASamplerPicksTheFirstCallAndEveryNth(t *testing.T) {
	var s Sampler
	var picked []int
	for i := range 7 {
		if s.Sometimes(3) {
			picked = append(picked, i)
		}
	}
	if Enabled {
		require.Equal(t, []int{0, 3, 6}, picked)
	} else {
		require.Empty(t, picked)
	}
}

func TestASamplerOfOneOrNonePicksEachCall(t *testing.T) {
	var s Sampler
	for range 3 {
		require.Equal(t, Enabled, s.Sometimes(1))
		require.Equal(t, Enabled, s.Sometimes(0))
	}
}
