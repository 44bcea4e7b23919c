package discoverytest

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tochemey/gokv/discovery"
)

// Harness is what the suite has to know of a provider.
type Harness struct {
	// New makes a provider for a node, not initialized. The suite calls
	// Announce, Initialize, Register and Close itself. Needed.
	New func(t *testing.T, self discovery.Self) discovery.Provider

	// Publish makes exactly these peers' host:port visible to all providers,
	// for a service where nodes do not register themselves: records, pods, a
	// list. Without addresses nobody is there, or only the node that asks. Nil:
	// the suite runs further providers, which register.
	Publish func(t *testing.T, addrs ...string)

	// Fixed says that a provider knows its peers from the moment it is made,
	// and that Publish shows in those made later alone.
	Fixed bool

	// Break makes the service fail, with what was published or registered kept
	// or lost, as it likes; Mend brings it back, with what was published. Both
	// nil: nothing can fail.
	Break, Mend func(t *testing.T)

	// Addrs gives n different addresses that can be published, the first being
	// the node's own. Default 127.0.0.1:7101 and the ports after it.
	Addrs func(n int) []string

	// Settle bounds how long a change may take to show, default 5 s.
	Settle time.Duration

	// Ignore names goroutines that are no leak of the provider's: those of a
	// server that runs in the test's process and starts them when it likes.
	Ignore []goleak.Option
}

// check is one property, under the name of its subtest.
type check struct {
	name  string
	needs func(h Harness) bool // nil: all harnesses
	run   func(r *run) error
}

func breakable(h Harness) bool     { return h.Break != nil }
func registering(h Harness) bool   { return h.Publish == nil }
func changing(h Harness) bool      { return !h.Fixed }
func alwaysTheSame(h Harness) bool { return h.Fixed }

var checks = []check{
	{"its ID is short, lower-case and always the same", nil, idIsStable},
	{"calls in the documented order succeed", nil, orderlyLife},
	{"nobody else there is no error", nil, nobodyIsNoError},
	{"peers are found as they come, change and go", changing, peersComeAndGo},
	{"peers are found as they are listed", alwaysTheSame, peersComeAndGo},
	{"an answer belongs to who asked", nil, answersAreTheCallers},
	{"a call ends with its context", nil, callsEndWithTheirContext},
	{"a service that fails is an error, not nobody", breakable, failureIsAnError},
	{"it starts once the service is back", breakable, startsOnceServiceIsBack},
	{"a node that leaves is found no more", registering, leaversVanish},
	{"a node that crashed is found when it is back", registering, crashedComeBack},
	{"another cluster's nodes are not found", registering, clustersAreApart},
	{"a change is signalled, and nobody has to listen", changing, changesAreSignalled},
	{"Close does no harm at any time, and twice", nil, closeAtAnyTime},
	{"Close ends every goroutine", nil, closeEndsGoroutines},
	{"Close after a failed start ends every goroutine", breakable, closeAfterFailure},
}

// Run runs the suite, a subtest a property.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil || (h.Break == nil) != (h.Mend == nil) || h.Fixed && h.Publish == nil {
		t.Fatal("discoverytest: a Harness has New, Break and Mend both or neither, and Publish where it is Fixed")
	}
	for _, c := range checks {
		if c.needs != nil && !c.needs(h) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if err := c.on(t, h); err != nil {
				t.Error(err)
			}
		})
	}
}

// on runs the check and returns what is wrong with the provider.
func (c check) on(t *testing.T, h Harness) error {
	r := newRun(t, h)
	defer r.end()
	return c.run(r)
}

func (h Harness) withDefaults() Harness {
	if h.Settle == 0 {
		h.Settle = 5 * time.Second
	}
	if h.Addrs == nil {
		h.Addrs = func(n int) []string {
			addrs := make([]string, n)
			for i := range addrs {
				addrs[i] = fmt.Sprintf("127.0.0.1:%d", 7101+i)
			}
			return addrs
		}
	}
	return h
}
