package causal

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func drawVector(t *rapid.T, label string) (v Vector) {
	for range rapid.IntRange(0, 20).Draw(t, label) {
		v.Raise(Dot{rapid.Uint64Min(1).Draw(t, "time"), rapid.Uint64().Draw(t, "instance")})
	}
	return v
}

func drawKnowledge(t *rapid.T) Knowledge {
	k := Knowledge{Seen: Seen{Base: drawVector(t, "seen")}, Hidden: drawVector(t, "hidden")}
	for range rapid.IntRange(0, 5).Draw(t, "ahead") {
		d := Dot{rapid.Uint64Min(2).Draw(t, "time"), rapid.Uint64Range(0, 3).Draw(t, "instance")}
		k.Seen.Take(d, rapid.Uint64Range(1, d.Time-1).Draw(t, "prev"))
	}
	return k
}

func TestKnowledgeSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKnowledge(t)
		b := k.AppendTo(nil)
		got, rest, err := ParseKnowledge(append(b, "rest"...))
		require.NoError(t, err)
		require.Equal(t, "rest", string(rest))
		require.Equal(t, b, got.AppendTo(nil))
		for n := range b {
			_, _, err := ParseKnowledge(b[:n])
			require.ErrorIs(t, err, ErrMalformed, "the first %d bytes", n)
		}
	})
}

func FuzzKnowledge(f *testing.F) {
	k := Knowledge{
		Seen:   Seen{Base: Vector{{7, 1}, {9, 3}}, Ahead: []Ahead{{Dot{20, 1}, 15}, {Dot{30, 1}, 25}}},
		Hidden: Vector{{5, 3}},
	}
	f.Add(k.AppendTo(nil))
	f.Add([]byte{0, 0, 0})
	f.Add([]byte{0x80, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, rest, err := ParseKnowledge(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, b[:len(b)-len(rest)], k.AppendTo(nil), "each has one form")
	})
}
