package slab

// Stats says what an allocator takes and what for.
type Stats struct {
	// Mapped is what its pages have taken from the system, in bytes: an upper bound
	// of what is resident, because a page takes it as it fills. Address space that
	// is only reserved does not count.
	Mapped int64
	Used   int64 // the sizes of the allocated slots, in bytes
	Slots  int   // allocated
	Pages  int   // in use
}

// Stats takes the lock of each size class in turn, some microseconds in all. What is
// allocated or freed meanwhile may be counted in part.
func (a *Allocator) Stats() Stats {
	s := Stats{
		Mapped: a.mapped.Load(),
		Used:   a.largeBytes.Load(),
		Slots:  int(a.large.Load()),
		Pages:  int(a.pages.Load()),
	}
	for i := range a.classes {
		c := &a.classes[i]
		c.mu.Lock()
		slots := c.slots
		c.mu.Unlock()
		s.Slots += slots
		s.Used += int64(slots) * int64(classSize(i))
	}
	return s
}

// Mapped is Stats().Mapped alone, without a lock.
func (a *Allocator) Mapped() int64 { return a.mapped.Load() }
