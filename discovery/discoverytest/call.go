package discoverytest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// How long a call has. The node's own limits for DiscoverPeers and Initialize
// are askFor and longer than startFor.
const (
	startFor = 30 * time.Second
	askFor   = 10 * time.Second
	closeFor = 5 * time.Second
	soon     = time.Second // how soon after its context has ended a call returns
)

// fault is what no provider may do, whatever its service does; any other error
// is the provider's answer.
type fault struct{ error }

func faultf(format string, args ...any) error { return fault{fmt.Errorf(format, args...)} }

func isFault(err error) bool {
	var f fault
	return errors.As(err, &f)
}

// guard makes one call of a provider: a fault if it panics, or has not returned
// within the limit.
func guard(what string, limit time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- faultf("%s panics: %v\n%s", what, v, debug.Stack())
			}
		}()
		done <- f()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return faultf("%s has not returned after %v", what, limit)
	}
}

// within makes a call with a context that ends after d; zero: that has ended.
func within(what string, d time.Duration, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return guard(fmt.Sprintf("%s, its context ended after %v,", what, d), d+soon, func() error { return f(ctx) })
}

// poll calls f every 20 ms until it says that it is done or d has passed, once
// at least, and returns its last error; nil when it was done.
func poll(d time.Duration, f func() (done bool, err error)) error {
	deadline := time.Now().Add(d)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := f()
		if done || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}
