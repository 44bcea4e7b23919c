// Package invariant says whether the costly checks of gokv's own invariants run.
//
// A check that walks a whole index has no place on a write path, and every place
// in a test run. So it stands in the code behind [Enabled], a constant: true under
// the race detector and with the build tag "invariants", false in what users
// build, where the compiler drops the check and its arguments.
//
//	if invariant.Enabled {
//		if err := s.checkLocked(); err != nil {
//			panic(err)
//		}
//	}
//
// It is not for input: what a peer or a client sends is an error or a counted
// event, whatever the build. A broken invariant is a fault of gokv's own, and the
// only reason to panic.
package invariant
