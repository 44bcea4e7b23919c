package invariant

import "sync/atomic"

// Sampler picks one call in n. Its zero value is ready; it is safe for concurrent
// use.
type Sampler struct{ calls atomic.Uint64 }

// Sometimes reports true on the first call and on every n-th after it; always
// false where the checks are off.
func (s *Sampler) Sometimes(n uint64) bool {
	if !Enabled {
		return false
	}
	return (s.calls.Add(1)-1)%max(n, 1) == 0
}
