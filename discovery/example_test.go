package discovery_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/discovery"
)

// directory is a provider of one's own: nodes on one host, or with a volume in
// common, find each other by files that have their addresses for names.
type directory struct{ path, own string }

func (d *directory) ID() string                       { return "directory" }
func (d *directory) Initialize(context.Context) error { return os.MkdirAll(d.path, 0o700) }
func (d *directory) Register(context.Context) error   { return os.WriteFile(d.own, nil, 0o600) }
func (d *directory) Deregister(context.Context) error { return os.Remove(d.own) }
func (d *directory) Close() error                     { return nil }

func (d *directory) Announce(self discovery.Self) {
	d.path = filepath.Join(d.path, self.Cluster)
	d.own = filepath.Join(d.path, self.Addr)
}

func (d *directory) DiscoverPeers(context.Context) (addrs []string, err error) {
	files, err := os.ReadDir(d.path)
	for _, f := range files {
		addrs = append(addrs, f.Name())
	}
	return addrs, err
}

// Two nodes find each other through a provider that is not among gokv's.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "gokv")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	var nodes []*gokv.Node
	for _, name := range []string{"a", "b"} {
		node, err := gokv.NewNode(gokv.Config{
			Name:            name,
			PeerAddr:        "127.0.0.1:0",
			Discovery:       &directory{path: dir},
			BootstrapExpect: 2, // so that the first does not wait for a third
			Logger:          slog.New(slog.DiscardHandler),
		})
		if err != nil {
			log.Fatal(err)
		}
		if err := node.Start(ctx); err != nil {
			log.Fatal(err)
		}
		defer node.Stop(ctx)
		nodes = append(nodes, node)
	}

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !nodes[0].Ready() || !nodes[1].Ready() {
		<-tick.C
	}
	for _, member := range nodes[0].Members() {
		fmt.Println(member.Name, "is", member.State)
	}
	// Output:
	// a is alive
	// b is alive
}
