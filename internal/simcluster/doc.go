// Package simcluster plays random histories over whole clusters in virtual
// time: two to five nodes, each the real engine, membership, search for peers,
// replication machine and Merkle rounds, glued as the root package glues them and
// driven by package sim. Datagrams carry the membership's messages with the replication's
// payloads, streams carry push-pulls, pushes and rounds frame by frame, all of
// it through the real codecs.
//
// [Run] draws a history from a seed: sizes, links, what clients do through all
// nodes (puts, deletes, touches, expiries, on few keys, often in the same
// instant) and which faults strike (loss, delay, duplication, reordering,
// streams that stall or break, partitions in halves, of one node or one way,
// crashes and departures with empty restarts, pauses, clocks that are off and
// that step, a discovery service that fails, hangs or says that nobody is there). Then the faults stop, and the cluster has to come to rest.
//
// # What is checked
//
// After every event, for the keys that it may have changed: a node holds the
// greatest version that it was ever given, with the content that was written
// under it, and serves exactly that. It may hold less only where that version is
// dead or a greater one was written somewhere, and never what a write that it knows
// had seen. No version is given out twice, none is refused, no message is malformed.
//
// When a node begins a cluster by itself: discovery has answered it, and no more
// members are expected.
//
// When a node leaves drained: every member that it believes alive has all that
// it acknowledged, or has seen it.
//
// At the end, within a bounded time: one root, everybody ready and drained,
// every member alive to everybody and no other. Then no round is opened while
// nothing happens; each node holds, entry by entry, the greatest surviving
// write of each key, lists the same, passes engine.Check, and has refused
// nothing. A write survives if a node that was given it is still there. What was
// deleted or has expired is gone, unless a failed member is waited for; where the
// greatest write is dead, a lower one that it had not seen may live.
//
// What must be held is known without asking the engines: the harness notes what
// clients were answered and what pushes and rounds handed over ([Report] counts
// the rest). What a write had seen, the engines are asked. Planted bugs, behind build tags in engine, prove that the checks
// check.
//
// # What it is not
//
// It has one goroutine a history, so it finds no data race; the transport is
// simulated, so it finds nothing about QUIC. The node's own glue is written a
// second time here, and tested where real nodes run.
package simcluster
