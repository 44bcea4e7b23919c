//go:build plantedbug_merge

package engine

import "testing"

func TestTheBugPlantedInMergeIsThere(t *testing.T) {
	lower, higher := remotePut("k", "lower", wall, 0), remotePut("k", "higher", wall, 0)
	lower.Version.Instance--
	a, b := newEngine(t, Config{}), newEngine(t, Config{})
	for _, ent := range []*Entry{lower, higher} {
		a.Apply(wall, ent)
	}
	for _, ent := range []*Entry{higher, lower} {
		b.Apply(wall, ent)
	}
	requireValue(t, a, wall, "k", "higher")
	requireValue(t, b, wall, "k", "lower")
}
