package discoverytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/goleak"
)

func failureIsAnError(r *run) error {
	peer := canonical(r.others[0])
	if err := r.publish(peer); err != nil {
		return err
	}
	n, err := r.start(cluster, r.own)
	if err != nil {
		return err
	}
	if err := r.await(n, peer); err != nil {
		return err
	}
	ask := func() (answer []string, err error) {
		err = within("DiscoverPeers", 2*time.Second, func(ctx context.Context) (err error) {
			answer, err = r.ask(n, ctx)
			return err
		})
		return answer, err
	}

	r.breakService()
	// Until the failure is noticed the provider may answer from memory, if that
	// is whole.
	err = poll(r.h.Settle, func() (bool, error) {
		answer, err := ask()
		switch {
		case isFault(err):
			return true, err
		case err != nil:
			return true, nil //nolint:nilerr // the failure is the answer that is wanted
		case !slices.Contains(answer, peer):
			return true, faultf("the service is down, and DiscoverPeers answers %q without an error: that is no answer", answer)
		}
		return false, faultf("the service is down, and %v later DiscoverPeers still gives no error", r.h.Settle)
	})
	if err != nil {
		return err
	}
	for range 3 {
		if answer, err := ask(); isFault(err) {
			return err
		} else if err == nil {
			return faultf("the service is down, and DiscoverPeers answers %q without an error, after it gave one", answer)
		}
	}

	r.mend()
	if r.h.Publish != nil { // else the peers have to come back first
		err := poll(r.h.Settle, func() (bool, error) {
			answer, err := ask()
			if err == nil && !slices.Contains(answer, peer) {
				return true, faultf("the service is back, and the first answer without an error is %q, with %q there", answer, peer)
			}
			return err == nil || isFault(err), err
		})
		if err != nil {
			return fmt.Errorf("the service is back: %w", err)
		}
	}
	if err := r.await(n, peer); err != nil {
		return fmt.Errorf("the service is back: %w", err)
	}
	return r.leave(n)
}

func startsOnceServiceIsBack(r *run) error {
	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	r.breakService()
	n, err := r.make(cluster, r.own)
	if err != nil {
		return err
	}
	if err := r.startBroken(n); err != nil {
		return err
	}
	r.mend()
	if err := r.bringUp(n); err != nil {
		return err
	}
	if err := r.await(n, r.others[0]); err != nil {
		return fmt.Errorf("the service is back: %w", err)
	}
	return r.leave(n)
}

// startBroken brings n as far as the broken service lets it: each call may fail,
// DiscoverPeers has to.
func (r *run) startBroken(n *node) error {
	const patience = 500 * time.Millisecond
	for range 2 {
		if err := within("Initialize", patience, n.Initialize); isFault(err) {
			return err
		} else if err == nil {
			n.initialized = true
			break
		}
	}
	if !n.initialized {
		return nil
	}
	if err := within("Register", patience, n.Register); isFault(err) {
		return err
	} else if err != nil {
		return nil //nolint:nilerr // a failure is what the service's state asks for
	}
	n.registered = true
	var answer []string
	err := within("DiscoverPeers", patience, func(ctx context.Context) (err error) {
		answer, err = r.ask(n, ctx)
		return err
	})
	if isFault(err) {
		return err
	}
	if err == nil {
		return faultf("the service is down from the start, and DiscoverPeers answers %q without an error", answer)
	}
	return nil
}

func leaversVanish(r *run) error {
	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	observer := r.peers[r.others[0]]
	n, err := r.start(cluster, r.own)
	if err != nil {
		return err
	}
	if err := r.await(observer, r.own); err != nil {
		return err
	}
	n.registered = false
	if err := within("Deregister", askFor, n.Deregister); err != nil {
		return fmt.Errorf("Deregister: %w", err)
	}
	// Before Close: it is Deregister that others have to notice.
	if err := r.await(observer); err != nil {
		return fmt.Errorf("after Deregister: %w", err)
	}
	return n.close()
}

func crashedComeBack(r *run) error {
	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	observer := r.peers[r.others[0]]
	for range 2 {
		n, err := r.start(cluster, r.own)
		if err != nil {
			return err
		}
		if err := r.await(observer, r.own); err != nil {
			return err
		}
		if err := r.await(n, r.others[0]); err != nil {
			return err
		}
		if err := n.close(); err != nil { // without a Deregister
			return fmt.Errorf("Close: %w", err)
		}
	}
	return nil
}

func clustersAreApart(r *run) error {
	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	n, err := r.start(cluster, r.own)
	if err != nil {
		return err
	}
	var foreign []*node
	for _, addr := range r.others[3:5] {
		f, err := r.start("another-cluster", addr)
		if err != nil {
			return err
		}
		foreign = append(foreign, f)
	}
	for range 3 {
		if err := r.await(foreign[0], r.others[4]); err != nil {
			return fmt.Errorf("a node of another cluster: %w", err)
		}
		if err := r.await(foreign[1], r.others[3]); err != nil {
			return fmt.Errorf("a node of another cluster: %w", err)
		}
		if err := r.await(n, r.others[0]); err != nil {
			return fmt.Errorf("with another cluster's nodes %q there: %w", r.others[3:5], err)
		}
	}
	return nil
}

// stages is how far a node may come before it is closed.
var stages = []struct {
	name string
	do   func(r *run, n *node) error
}{
	{"New", func(*run, *node) error { return nil }},
	{"Initialize", func(r *run, n *node) error { return n.initialize(r) }},
	{"Register", func(r *run, n *node) error { return n.register(r) }},
	{"DiscoverPeers", func(r *run, n *node) error { return r.await(n, r.others[0]) }},
	{"Deregister", func(_ *run, n *node) error {
		n.registered = false
		return within("Deregister", askFor, n.Deregister)
	}},
}

// closedAfter brings a node to each stage in turn and closes it there.
func (r *run) closedAfter(times int) error {
	for last := range stages {
		n, err := r.make(cluster, r.own)
		if err != nil {
			return err
		}
		for _, s := range stages[:last+1] {
			if err := s.do(r, n); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		for i := range times {
			// Whether a second Close has something to say is its affair.
			if err := n.close(); isFault(err) || err != nil && i == 0 {
				return fmt.Errorf("Close number %d after %s: %w", i+1, stages[last].name, err)
			}
		}
	}
	return nil
}

func closeAtAnyTime(r *run) error {
	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	return r.closedAfter(2)
}

func closeEndsGoroutines(r *run) error {
	if r.h.Publish != nil { // what the harness starts for it is no leak
		if err := r.publish(r.others[0]); err != nil {
			return err
		}
	}
	left := r.goroutines()
	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	if err := r.closedAfter(1); err != nil {
		return err
	}
	for _, peer := range r.peers {
		if err := r.leave(peer); err != nil {
			return err
		}
	}
	return left()
}

func closeAfterFailure(r *run) error {
	if r.h.Publish != nil {
		if err := r.publish(r.others[0]); err != nil {
			return err
		}
	}
	r.breakService()
	left := r.goroutines()
	n, err := r.make(cluster, r.own)
	if err != nil {
		return err
	}
	if err := r.startBroken(n); err != nil {
		return err
	}
	if err := n.close(); isFault(err) {
		return err
	}
	// The service stays down: when it is back, its own goroutines are too.
	return left()
}

// goroutines returns a function that says which have been left behind since.
func (r *run) goroutines() func() error {
	options := append(slices.Clone(r.h.Ignore), goleak.IgnoreCurrent())
	return func() error {
		err := poll(r.h.Settle, func() (bool, error) {
			err := goleak.Find(options...)
			return err == nil, err
		})
		if err != nil {
			return fault{errors.Join(errors.New("Close leaves goroutines behind"), err)}
		}
		return nil
	}
}
