// Package clustertest runs whole clusters of gokv nodes in one process, over real
// UDP sockets on loopback, with a network between them that can be cut and whose
// bytes are counted. Tests and benchmarks read like a story:
//
//	c := clustertest.Start(t, 3)
//	c.Partition("a", "b|c")
//	c.Put("a", "k", "1")
//	c.Heal()
//	c.WantConverged("k", "1")
//
// [Network] hands out the sockets: each node's [Conn] drops what a partition
// forbids and counts the UDP payload that it sends, QUIC's own headers, handshakes
// and acknowledgements included. [Cluster] is a number of nodes over a Network and
// returns errors; [T] is a Cluster whose errors end a test, and [Start] makes one.
//
// A Cluster's nodes are named a, b, c, and so on; each joins those before it.
// [Cluster.Crash] takes one away without a farewell, [Cluster.Restart] brings it
// back empty at its old address.
//
// It is not the place to search for rare interleavings: real time passes here and
// no seed brings a run back. internal/sim does that, over the same machines. Nor
// does it test processes, flags or signals; package e2e does.
//
// Network, Conn and Cluster are safe for concurrent use, but for Crash and Restart
// of one node, which have to come one after the other. Limits: 26 nodes.
package clustertest
