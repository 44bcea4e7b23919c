package membership

import (
	"cmp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// someClaim draws a claim about one name out of few values, so that ties of
// each field occur.
func someClaim(t *rapid.T, name string) Member {
	m := plain(name, rapid.Uint64Range(2, 3).Draw(t, "instance"))
	m.Started = rapid.Int64Range(100, 101).Draw(t, "started")
	m.Incarnation = uint64(m.Started) + rapid.Uint64Range(0, 2).Draw(t, "incarnation")
	m.State = State(rapid.IntRange(1, 4).Draw(t, "state"))
	return m
}

func TestClaimsAreTotallyOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := someClaim(t, "b"), someClaim(t, "b"), someClaim(t, "b")
		require.Equal(t, a.Compare(b), -b.Compare(a))
		require.Equal(t, a.Compare(b) == 0, cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Started, b.Started),
			cmp.Compare(a.Incarnation, b.Incarnation), cmp.Compare(a.State, b.State)) == 0)
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 {
			require.LessOrEqual(t, a.Compare(c), 0)
		}
	})
}

func TestClaimsSupersedeInTheOrderOfTheRules(t *testing.T) {
	claim := func(change func(*Member)) Member {
		m := plain("b", 5)
		change(&m)
		return m
	}
	ascending := []Member{
		claim(func(m *Member) {}),
		claim(func(m *Member) { m.State = Suspect }), // SWIM §4.2: at the same incarnation
		claim(func(m *Member) { m.State = Dead }),
		claim(func(m *Member) { m.State = Left }),
		claim(func(m *Member) { m.Incarnation++ }), // SWIM §4.2: refuted
		claim(func(m *Member) { m.Incarnation++; m.State = Suspect }),
		claim(func(m *Member) { m.Instance++ }), // restarted
		claim(func(m *Member) { m.Started++; m.Incarnation++; m.Instance-- }),
	}
	for i := range ascending {
		for j := range ascending {
			require.Equal(t, cmp.Compare(i, j), ascending[i].Compare(ascending[j]), "%d, %d", i, j)
		}
	}
}

func TestAMemberIsRefusedForEverythingThatIsWrongWithIt(t *testing.T) {
	err := Member{Name: "a\x00", PeerAddr: "é", Started: -1, Tags: map[string]string{"": "x"}}.Validate()
	require.Error(t, err)
	for _, what := range []string{"control characters", "instance is zero", "started is -1", "state is 0", "peer address", "protocol versions", "a key is empty"} {
		require.ErrorContains(t, err, what)
	}
	require.NotContains(t, err.Error(), "\n")

	m := plain("a", 1)
	m.Incarnation = 99
	require.ErrorContains(t, m.Validate(), "incarnation is 99, outside")
	m.Incarnation = 100 + incarnationSpan
	require.ErrorContains(t, m.Validate(), "incarnation")
	m.Incarnation--
	require.NoError(t, m.Validate())
	m.Tags = map[string]string{"k": strings.Repeat("v", 512)}
	require.ErrorContains(t, m.Validate(), "513 bytes, the limit is 512")
}

func TestNamesOfStatesAndEvents(t *testing.T) {
	require.Equal(t, "alive suspect dead left state(9)", strings.Join([]string{
		Alive.String(), Suspect.String(), Dead.String(), Left.String(), State(9).String(),
	}, " "))
	for k := EventJoined; k <= EventTableFull; k++ {
		require.NotEqual(t, "unknown", k.String())
	}
	require.Equal(t, "unknown", EventKind(0).String())
	require.Equal(t, "unknown", EventKind(200).String())
}
