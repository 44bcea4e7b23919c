package discoverytest

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/tochemey/gokv/discovery"
)

var validID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

func idIsStable(r *run) error {
	first, err := r.make(cluster, r.own)
	if err != nil {
		return err
	}
	second, err := r.make(cluster, r.others[0])
	if err != nil {
		return err
	}
	id := first.ID()
	if !validID.MatchString(id) {
		return faultf("ID is %q: 1 to 32 bytes of lower-case letters, digits and dashes", id)
	}
	same := func(when string, n *node) error {
		if now := n.ID(); now != id {
			return faultf("ID is %q %s, and was %q", now, when, id)
		}
		return nil
	}
	if err := same("for another node", second); err != nil {
		return err
	}
	if err := r.bringUp(first); err != nil {
		return err
	}
	if err := same("once registered", first); err != nil {
		return err
	}
	if err := r.leave(first); err != nil {
		return err
	}
	return same("once closed", first)
}

func orderlyLife(r *run) error {
	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	n, err := r.make(cluster, r.own)
	if err != nil {
		return err
	}
	// No second attempt: nothing fails here.
	if err := n.initialize(r); err != nil {
		return fmt.Errorf("Initialize: %w", err)
	}
	if err := n.register(r); err != nil {
		return fmt.Errorf("Register: %w", err)
	}
	for range 3 {
		if err := r.await(n, r.others[0]); err != nil {
			return err
		}
	}
	return r.leave(n)
}

func nobodyIsNoError(r *run) error {
	alone := func() error {
		n, err := r.start(cluster, r.own)
		if err != nil {
			return err
		}
		for range 3 {
			if err := r.await(n); err != nil {
				return err
			}
		}
		return r.leave(n)
	}
	if r.h.Publish != nil {
		r.h.Publish(r.t)
		if err := alone(); err != nil {
			return fmt.Errorf("nothing is published: %w", err)
		}
	}
	if err := r.publish(); err != nil {
		return err
	}
	if err := alone(); err != nil {
		return fmt.Errorf("the node itself is all there is: %w", err)
	}
	return nil
}

func peersComeAndGo(r *run) error {
	n, err := r.start(cluster, r.own)
	if err != nil {
		return err
	}
	a, b, c := r.others[0], r.others[1], r.others[2]
	for _, there := range [][]string{{a}, {a, b}, {b, c}, {a, b, c}, {c}, {}, {a}} {
		if err := r.publish(there...); err != nil {
			return err
		}
		if n, err = r.reopen(n); err != nil {
			return err
		}
		if err := r.await(n, there...); err != nil {
			return err
		}
		for addr, peer := range r.peers {
			mates := append([]string{r.own}, there...)
			mates = slices.DeleteFunc(mates, func(m string) bool { return m == addr })
			if err := r.await(peer, mates...); err != nil {
				return fmt.Errorf("the peer %s: %w", addr, err)
			}
		}
	}
	return nil
}

// A node shuffles what it is given, so an answer must not be what a provider
// keeps.
func answersAreTheCallers(r *run) error {
	if err := r.publish(r.others[0], r.others[1]); err != nil {
		return err
	}
	n, err := r.start(cluster, r.own)
	if err != nil {
		return err
	}
	for range 2 {
		if err := r.await(n, r.others[0], r.others[1]); err != nil {
			return err
		}
		err := within("DiscoverPeers", askFor, func(ctx context.Context) error {
			answer, err := n.DiscoverPeers(ctx)
			for i := range answer {
				answer[i] = "written over by who asked"
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("DiscoverPeers: %w", err)
		}
	}
	if err := r.await(n, r.others[0], r.others[1]); err != nil {
		return fmt.Errorf("after an answer was written over: %w", err)
	}
	return nil
}

func callsEndWithTheirContext(r *run) error {
	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	n, err := r.make(cluster, r.own)
	if err != nil {
		return err
	}
	// The context has ended before the call. A call that succeeds all the same
	// had nothing to wait for.
	err = within("Initialize", 0, n.Initialize)
	if isFault(err) {
		return err
	}
	n.initialized = err == nil
	if err := poll(r.h.Settle, func() (bool, error) { err := n.initialize(r); return err == nil || isFault(err), err }); err != nil {
		return fmt.Errorf("Initialize, again after its context had ended: %w", err)
	}
	err = within("Register", 0, n.Register)
	if isFault(err) {
		return err
	}
	n.registered = err == nil
	if err := r.bringUp(n); err != nil {
		return err
	}
	if err := r.await(n, r.others[0]); err != nil {
		return err
	}

	want := canonicalAll(r.others[:1])
	for _, d := range []time.Duration{0, time.Millisecond, 50 * time.Millisecond} {
		if err := r.askBriefly(n, d, want); err != nil {
			return err
		}
	}
	if r.h.Break != nil {
		r.breakService()
		for range 2 {
			if err := r.askBriefly(n, 200*time.Millisecond, want); err != nil {
				return fmt.Errorf("with the service down: %w", err)
			}
		}
		r.mend()
	}
	if err := within("Deregister", 0, n.Deregister); isFault(err) {
		return err
	}
	n.registered = false
	return n.close()
}

// askBriefly asks with a context that ends after d. An answer without an error
// is believed, so it has to be whole.
func (r *run) askBriefly(n *node, d time.Duration, want []string) error {
	var got []string
	err := within("DiscoverPeers", d, func(ctx context.Context) (err error) {
		got, err = r.ask(n, ctx)
		return err
	})
	if isFault(err) {
		return err
	}
	if err == nil && !slices.Equal(got, want) {
		return faultf("DiscoverPeers was given %v, and answers %q without an error, with %q there", d, got, want)
	}
	return nil
}

func changesAreSignalled(r *run) error {
	if err := r.publish(); err != nil {
		return err
	}
	n, err := r.make(cluster, r.own)
	if err != nil {
		return err
	}
	w, ok := n.Provider.(discovery.Watcher)
	if !ok {
		r.t.Log("the provider is no discovery.Watcher, and need not be")
		return nil
	}
	changes := w.Changes()
	if changes == nil {
		return faultf("Changes is nil before Initialize")
	}
	if err := r.bringUp(n); err != nil {
		return err
	}
	if err := r.await(n); err != nil {
		return err
	}
	select {
	case <-changes: // its own arrival, perhaps
	default:
	}

	if err := r.publish(r.others[0]); err != nil {
		return err
	}
	timer := time.NewTimer(r.h.Settle)
	defer timer.Stop()
	select {
	case <-changes:
	case <-timer.C:
		return faultf("a peer came, and Changes has said nothing after %v", r.h.Settle)
	}
	if err := r.await(n, r.others[0]); err != nil {
		return err
	}

	// Nobody receives: nothing may wait for that.
	for _, there := range [][]string{{r.others[0], r.others[1]}, {r.others[1]}, {r.others[2]}} {
		if err := r.publish(there...); err != nil {
			return err
		}
		if err := r.await(n, there...); err != nil {
			return fmt.Errorf("nobody receives from Changes: %w", err)
		}
	}
	if w.Changes() != changes {
		return faultf("Changes is another channel than before")
	}
	if err := r.leave(n); err != nil {
		return err
	}
	for range cap(changes) + 1 {
		select {
		case _, open := <-changes:
			if !open {
				return faultf("Close closes the channel of Changes: a node would spin on it")
			}
		default:
		}
	}
	return nil
}
