package engine

import (
	"cmp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawVersion draws from few times and instances, so that ties are common.
func drawVersion(t *rapid.T, label string) Version {
	return Version{
		Time:     Reading(rapid.Int64Range(1, 4).Draw(t, label+" wall"), rapid.Uint16Range(0, 1).Draw(t, label+" counter")),
		Instance: rapid.Uint64Range(0, 3).Draw(t, label+" instance"),
	}
}

func TestVersionsOrderAsTheirBytesAndStringsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) Version {
			if rapid.Bool().Draw(t, label+" small") {
				return drawVersion(t, label)
			}
			return Version{rapid.Uint64().Draw(t, label+" time"), rapid.Uint64().Draw(t, label+" instance")}
		}
		a, b := draw("a"), draw("b")
		require.Equal(t, a.Compare(b), cmp.Compare(a.String(), b.String()))
		require.Equal(t, a.Compare(b), -b.Compare(a))
		require.Equal(t, a.Compare(b) < 0, a.Less(b))
		require.Equal(t, a == b, a.Compare(b) == 0)

		require.Equal(t, a, VersionFrom(a.Bytes()))
		parsed, err := ParseVersion(a.String())
		require.NoError(t, err)
		require.Equal(t, a, parsed)
	})
}

func TestAVersionIsWrittenInOneWayOnly(t *testing.T) {
	v := Version{Time: Reading(1_700_000_000_000, 7), Instance: 0xab}
	require.Equal(t, "018bcfe56800000700000000000000ab", v.String())
	require.Equal(t, int64(1_700_000_000_000), v.Wall())
	require.False(t, v.IsZero())
	require.True(t, Version{}.IsZero())
	for _, wrong := range []string{"", "0", strings.ToUpper(v.String()), v.String()[1:], v.String() + "0", strings.Repeat("g", 32), "+" + v.String()[1:]} {
		_, err := ParseVersion(wrong)
		require.ErrorIs(t, err, ErrMalformed, wrong)
	}
}
