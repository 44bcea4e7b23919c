// Package gokv is a distributed, in-memory key/value store that any node can
// write to, that stays up in any partition, and that repairs itself.
//
// A [Node] is one member: embed it in a program and use [Node.Client], which
// reads and writes in process, or run the gokv-node daemon and connect with
// package client. Every node holds every entry. A write is answered at once,
// pushed to the other members straight away, and whatever a push lost is
// repaired by anti-entropy rounds that compare Merkle-hashed ranges, so that
// only what differs crosses the wire. The last writer wins, the same one
// everywhere. It is no consensus, no lock service and no system of record:
// the README says when to use something else.
//
// This package joins the parts and decides nothing that they decide:
//
//	engine            entries, versions, the merge rule
//	merkle            the digest, and the dialogue of a round
//	internal/replica  who gets which write, and when a round starts
//	membership        who is there
//	transport         QUIC between nodes, QUIC and TLS to clients
//	client            the clients' protocol
//
// A Node is safe for concurrent use. Its life is NewNode, Start, Stop; it can
// not be started twice.
package gokv
