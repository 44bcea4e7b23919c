package causal

import "cmp"

// Dot names one write: a reading of the issuer's hybrid logical clock and the
// issuing instance, which is the write's version. The zero Dot names none.
type Dot struct{ Time, Instance uint64 }

// Compare orders dots as versions are ordered: by time, then by instance.
func (d Dot) Compare(o Dot) int {
	if c := cmp.Compare(d.Time, o.Time); c != 0 {
		return c
	}
	return cmp.Compare(d.Instance, o.Instance)
}

// IsZero reports whether d names no write.
func (d Dot) IsZero() bool { return d == Dot{} }
