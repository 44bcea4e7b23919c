package engine

import (
	"math"
	"sync/atomic"
	"time"
)

// A reading of the hybrid logical clock (Kulkarni et al., "Logical Physical
// Clocks", 2014) is one number: 48 bit milliseconds since 1970 above a 16 bit
// counter. A counter that overflows carries into the milliseconds, so a burst
// of more than 65,536 writes in a millisecond borrows from the next one rather
// than repeat a reading.
const (
	counterBits = 16
	maxWall     = int64(1)<<(64-counterBits) - 1 // the year 10889
)

// Reading is the clock reading of a millisecond and a counter. A wall time
// outside of 0 to 2^48-1 counts as the nearer end.
func Reading(wall int64, counter uint16) uint64 {
	return uint64(boundWall(wall))<<counterBits | uint64(counter)
}

// WallOf is the millisecond since 1970 of a reading.
func WallOf(reading uint64) int64 { return int64(reading >> counterBits) }

func boundWall(wall int64) int64 { return min(max(wall, 0), maxWall) }

// Clock is a hybrid logical clock. It is told the wall time with each call and
// never reads one. It only moves forward, and never further ahead of the wall
// time that it is told than the allowed skew: neither because a peer says so,
// nor by issuing readings after the wall clock was set back.
//
// Safe for concurrent use.
type Clock struct {
	skew    time.Duration // fixed after construction
	reading atomic.Uint64 // the highest reading issued or taken in
	refused atomic.Uint64
}

// NewClock returns a clock at zero that tolerates readings up to skew ahead of
// the wall clock.
func NewClock(skew time.Duration) *Clock { return &Clock{skew: skew} }

// Now issues a reading: above every reading issued or taken in before, and at
// least the wall time. The error is ErrClockAhead, and the clock unchanged,
// when that would be more than the skew ahead of wall.
func (c *Clock) Now(wall int64) (uint64, error) { return c.take(wall, 1) }

// take issues n readings that follow one another, or none, and returns the first.
func (c *Clock) take(wall int64, n int) (uint64, error) {
	for {
		last := c.reading.Load()
		next := max(last+1, Reading(wall, 0))
		end := next + uint64(n) - 1
		if last == math.MaxUint64 || end < next || c.ahead(wall, end) {
			return 0, clockAhead(max(last, next), wall, c.skew)
		}
		if c.reading.CompareAndSwap(last, end) {
			return next, nil
		}
	}
}

// Read is the highest reading issued or taken in so far: what goes into
// messages.
func (c *Clock) Read() uint64 { return c.reading.Load() }

// Observe takes in a reading from elsewhere, so that every later one is above
// it. A reading more than the skew ahead of wall is never taken in: it is
// counted, and the error is ErrClockAhead.
func (c *Clock) Observe(wall int64, reading uint64) error {
	if c.ahead(wall, reading) {
		c.refused.Add(1)
		return clockAhead(reading, wall, c.skew)
	}
	for {
		last := c.reading.Load()
		if reading <= last || c.reading.CompareAndSwap(last, reading) {
			return nil
		}
	}
}

// Refused is how many readings were too far ahead to be taken in.
func (c *Clock) Refused() uint64 { return c.refused.Load() }

// Skew is how far ahead of the wall clock a reading may be.
func (c *Clock) Skew() time.Duration { return c.skew }

func (c *Clock) ahead(wall int64, reading uint64) bool {
	return WallOf(reading)-boundWall(wall) > c.skew.Milliseconds()
}
