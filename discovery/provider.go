package discovery

import (
	"context"
	"errors"
)

// Provider finds the addresses of peers. See the package comment for the
// order of the calls and for what an answer and an error mean.
type Provider interface {
	// ID names the provider in logs and metrics: 1 to 32 bytes of lower-case
	// letters, digits and dashes, always the same.
	ID() string

	// Initialize makes ready what the other calls need, such as a connection.
	// It is called again after it failed, and not after it succeeded.
	Initialize(ctx context.Context) error

	// Register makes this node visible to the others, where the service does
	// not see to that by itself. It is called again after it failed.
	Register(ctx context.Context) error

	// Deregister takes back what Register did. It is called when the node
	// leaves, at most once, and only after Register has succeeded.
	Deregister(ctx context.Context) error

	// DiscoverPeers returns the host:port of the peers' discovery ports, as
	// known now. Addresses that come with an error are dialled all the same,
	// but the answer does not count as one.
	DiscoverPeers(ctx context.Context) ([]string, error)

	// Close releases what the provider holds and ends what it runs.
	Close() error
}

// Self is the node that a provider serves, as its peers know it.
type Self struct {
	Cluster  string // the cluster's name: nodes of another are no peers
	Name     string // the member's name
	Instance uint64 // drawn anew at each start of the node
	Addr     string // the host:port that peers dial
}

// Announcer is a Provider that is told for whom it works, before Initialize:
// one that has to publish the node's address, or keeps clusters apart.
type Announcer interface {
	Announce(self Self)
}

// Watcher is a Provider that notices when the answer of DiscoverPeers may
// have changed. The node asks again at once for each receive, within reason.
type Watcher interface {
	// Changes returns the same channel each time, valid before Initialize and
	// never closed. The provider sends without waiting; one pending value is
	// enough.
	Changes() <-chan struct{}
}

// ErrPermanent is wrapped by an error of Initialize that no further attempt
// can mend. A node that has not been ready yet gives up for it, and says so;
// one that runs treats it like any other.
var ErrPermanent = errors.New("giving up")
