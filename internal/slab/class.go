package slab

import "sync"

// class hands out slots of one size. Its zero value has none.
type class struct {
	mu    sync.Mutex
	slots int // allocated
	pages int // in use, the empty one among them
	// The pages with both free and allocated slots, in the order in which they are
	// allocated from.
	first, last uint32
	empty       uint32 // a page without allocated slots, kept for the next Alloc; 0: none
}

// currentLocked returns the page to allocate from, 0 if there is none.
func (c *class) currentLocked(t *table) uint32 {
	if c.first == 0 && c.empty != 0 {
		c.pushLocked(t, c.empty)
		c.empty = 0
	}
	return c.first
}

// takeLocked allocates a slot of the current page.
func (c *class) takeLocked(t *table) Ref {
	n := c.first
	p := t.page(n)
	slot := p.take()
	c.slots++
	if p.full() {
		c.unlinkLocked(t, n)
	}
	return makeRef(n, slot)
}

// giveLocked frees a slot of page n, and returns the pages that are to go back to
// the system, 0 for none.
func (c *class) giveLocked(t *table, n uint32, slot uint32) (a, b uint32) {
	p := t.page(n)
	wasFull := p.full()
	p.give(slot)
	c.slots--
	switch {
	case p.used == 0:
		if !wasFull {
			c.unlinkLocked(t, n)
		}
		return c.emptiedLocked(t, n)
	case wasFull:
		// It lacks one slot to be full, as few as any.
		c.pushLocked(t, n)
	case p.used == p.slots/2 && n != c.last:
		c.unlinkLocked(t, n)
		c.appendLocked(t, n)
	}
	return 0, 0
}

// emptiedLocked keeps one empty page, so that a class whose last slots come and go
// does not ask the system each time; but none where all pages are empty.
func (c *class) emptiedLocked(t *table, n uint32) (a, b uint32) {
	if c.empty == 0 {
		t.page(n).forget()
		c.empty = n
	} else {
		a = n
		c.pages--
	}
	if c.pages == 1 {
		b, c.empty = c.empty, 0
		c.pages--
	}
	return a, b
}

// addLocked takes a page that is new.
func (c *class) addLocked(t *table, n uint32) {
	c.pages++
	c.pushLocked(t, n)
}

func (c *class) pushLocked(t *table, n uint32) {
	p := t.page(n)
	p.prev, p.next = 0, c.first
	if c.first != 0 {
		t.page(c.first).prev = n
	} else {
		c.last = n
	}
	c.first = n
}

func (c *class) appendLocked(t *table, n uint32) {
	p := t.page(n)
	p.prev, p.next = c.last, 0
	if c.last != 0 {
		t.page(c.last).next = n
	} else {
		c.first = n
	}
	c.last = n
}

func (c *class) unlinkLocked(t *table, n uint32) {
	p := t.page(n)
	if p.prev != 0 {
		t.page(p.prev).next = p.next
	} else {
		c.first = p.next
	}
	if p.next != 0 {
		t.page(p.next).prev = p.prev
	} else {
		c.last = p.prev
	}
	p.prev, p.next = 0, 0
}
