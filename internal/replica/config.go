package replica

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Defaults of Config.
const (
	DefaultSyncInterval = time.Second
	DefaultQueueBytes   = 8 << 20
	DefaultBatchBytes   = 256 << 10
)

const (
	minSyncInterval = 10 * time.Millisecond
	// maxAgain is how many complete rounds in a row may end with unequal roots
	// before the next one waits for the interval: a salted one-byte digest
	// misses a range once in 256, but writes that stream in, or versions that
	// are refused until they are due, would repeat for ever.
	maxAgain = 3
	// From there on the wait doubles with each such round, up to this one (or
	// the interval, if that is longer). What pushes lost is owed apart from it.
	maxCalm      = 30 * time.Second
	maxCalmShift = 16
	// joinPatience is for how long a peer that has come up and is not ready is left
	// to fetch what it lacks by itself.
	joinPatience = time.Minute
	// A failed round is tried again after 2^n times the first, at most the
	// second, each spread by jitter over half to one and a half of itself.
	retryFirst = 200 * time.Millisecond
	retryMost  = 5 * time.Second
)

// Config is fixed for a Machine's life. Zero means the default.
type Config struct {
	Self    uint64 // this process's instance ID; not zero
	Started int64  // its start, ms since 1970: the oldest live member may declare itself ready

	SyncInterval time.Duration // between rounds that a differing root asks for; default 1s, at least 10ms
	QueueBytes   int           // bound of one peer's queue, in bytes of entries; default 8 MiB
	BatchBytes   int           // bound of one push, passed only by a single larger entry; default 256 KiB

	Alone  bool       // nobody is to be found: ready from the start
	Expect int        // members that must have met before they serve, this one included; 0: whoever is found
	Rand   *rand.Rand // jitter and choice of partners; required, used by the machine alone
}

func (c Config) withDefaults() Config {
	if c.SyncInterval == 0 {
		c.SyncInterval = DefaultSyncInterval
	}
	if c.QueueBytes == 0 {
		c.QueueBytes = DefaultQueueBytes
	}
	if c.BatchBytes == 0 {
		c.BatchBytes = DefaultBatchBytes
	}
	return c
}

// Validate reports every field that is wrong, and changes nothing.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.Self == 0 {
		errs = append(errs, errors.New("replica: self: instance ID is zero"))
	}
	if c.SyncInterval < minSyncInterval {
		errs = append(errs, fmt.Errorf("replica: sync-interval: %v: at least %v", c.SyncInterval, minSyncInterval))
	}
	if c.QueueBytes < 0 {
		errs = append(errs, fmt.Errorf("replica: queue bytes: %d: must be positive", c.QueueBytes))
	}
	if c.BatchBytes < 0 {
		errs = append(errs, fmt.Errorf("replica: batch bytes: %d: must be positive", c.BatchBytes))
	}
	if c.Expect < 0 || c.Expect > 1 && c.Alone {
		errs = append(errs, fmt.Errorf("replica: expect: %d: at least 0, and none but itself for a node alone", c.Expect))
	}
	if c.Rand == nil {
		errs = append(errs, errors.New("replica: rand: required"))
	}
	return errors.Join(errs...)
}
