package dns

import (
	"sync"
	"time"
)

const (
	// maxKept bounds how long a new node can stay hidden behind an answer.
	maxKept = 30 * time.Second
	// maxKeptYoung holds for negative answers, and for all answers while the
	// provider is younger than youth. A node decides whether it is alone within
	// its first seconds, and three copies of one answer must not count thrice.
	maxKeptYoung = time.Second
	youth        = 30 * time.Second

	maxEntries = 4096
)

// cache keeps answers for as long as they may be used.
type cache struct {
	mu      sync.Mutex
	born    time.Time
	entries map[question]entry
}

type entry struct {
	answer
	until time.Time
}

// get returns what is known about q.
func (c *cache) get(q question, now time.Time) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.born.IsZero() {
		c.born = now
	}
	e, ok := c.entries[q]
	if !ok || !now.Before(e.until) {
		return answer{}, false
	}
	return e.answer, true
}

// put keeps the answer to a question that was asked at the given time.
func (c *cache) put(q question, a answer, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := maxKept
	if a.nobody() || asked.Sub(c.born) < youth {
		limit = maxKeptYoung
	}
	until := asked.Add(min(a.ttl, limit))
	if !asked.Before(until) {
		delete(c.entries, q)
		return
	}
	if len(c.entries) >= maxEntries {
		c.sweepLocked(asked)
	}
	if c.entries == nil {
		c.entries = map[question]entry{}
	}
	c.entries[q] = entry{a, until}
}

// sweepLocked makes room: a server that invents names must not fill the memory.
func (c *cache) sweepLocked(now time.Time) {
	for q, e := range c.entries {
		if !now.Before(e.until) {
			delete(c.entries, q)
		}
	}
	if len(c.entries) >= maxEntries {
		clear(c.entries)
	}
}

// forget drops everything: other servers may say something else.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}
