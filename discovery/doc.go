// Package discovery says what a gokv node wants of whatever tells it where its
// peers may be: a list, DNS, a message bus, an orchestrator. [Provider] is the
// whole of it; [Announcer] and [Watcher] are two things that a provider may
// offer besides. The providers that come with gokv are packages of their own
// (static, dns, nats, kubernetes), so that a program links those alone that it
// imports; discoverytest holds the suite that each of them passes, and a
// provider of your own should.
//
// A provider finds addresses. It is not the place for who is a member, who is
// alive, or when a node may serve: an address that it gives is dialled, and
// only who proves that it belongs to the cluster is a peer. So an answer may
// hold addresses that are stale, foreign, repeated, or the node's own, and may
// come in any order.
//
// # Life
//
//	Announce ─► Initialize ─► Register ─► DiscoverPeers … ─► Deregister ─► Close
//	                 ▲  │          ▲  │       ▲  │
//	                 └──┘ failed   └──┘       └──┘ again and again: a node that
//	                                               is alone soon, a settled one
//	                                               now and then
//
// The node calls one method at a time, and Close last, once, whatever came
// before. Each call but ID, Announce and Close has a context with a deadline
// and returns soon after that has ended. An error is logged when it changes,
// counted under gokv_discovery_failures_total, and the call made again after a
// pause; it never stops a node that runs. What can never succeed wraps
// [ErrPermanent].
//
// # What an answer means
//
// No address and no error means that the service answered, and that nobody
// else is there: a node that is told so three times becomes a cluster of its
// own. An error means that nothing is known, and a node goes on waiting. A
// provider that confuses the two splits clusters.
package discovery
