package causal

import (
	"cmp"
	"slices"
)

// Vector is a version vector (Parker et al., "Detection of Mutual Inconsistency
// in Distributed Systems", 1983) over instances: for each a time up to which
// something holds of its writes. It is sorted by instance, has no zero time, and
// is empty as nil. An instance that it does not name stands at zero.
type Vector []Dot

// index is where an instance stands, or would. Few vectors are longer than a
// cluster has members, and those are faster to walk than to halve.
func (v Vector) index(instance uint64) (int, bool) {
	if len(v) <= 16 {
		for i := range v {
			if v[i].Instance >= instance {
				return i, v[i].Instance == instance
			}
		}
		return len(v), false
	}
	return slices.BinarySearchFunc(v, instance, func(d Dot, id uint64) int {
		return cmp.Compare(d.Instance, id)
	})
}

// At is the time at which an instance stands, zero if it is not named.
func (v Vector) At(instance uint64) uint64 {
	if i, ok := v.index(instance); ok {
		return v[i].Time
	}
	return 0
}

// Covers reports whether d's instance stands at d's time or later.
func (v Vector) Covers(d Dot) bool { return d.Time <= v.At(d.Instance) }

// CoversAll reports whether v stands at w or later everywhere.
func (v Vector) CoversAll(w Vector) bool {
	for _, d := range w {
		if !v.Covers(d) {
			return false
		}
	}
	return true
}

// Raise makes v cover d.
func (v *Vector) Raise(d Dot) {
	i, ok := v.index(d.Instance)
	switch {
	case ok:
		(*v)[i].Time = max((*v)[i].Time, d.Time)
	case d.Time != 0:
		*v = slices.Insert(*v, i, d)
	}
}

// Merge makes v cover all that w covers.
func (v *Vector) Merge(w Vector) {
	for _, d := range w {
		v.Raise(d)
	}
}

// Forget sets an instance back to zero.
func (v *Vector) Forget(instance uint64) {
	if i, ok := v.index(instance); ok {
		*v = slices.Delete(*v, i, i+1)
	}
}

// Clone is a copy that shares nothing with v.
func (v Vector) Clone() Vector { return slices.Clone(v) }
