// Package bootstrap decides how a node finds its first peers, and whether the
// search has come to an end: when the discovery provider is asked, which
// addresses are dialled, and when everybody whom it named has had a chance to
// answer. It is a machine: every call carries the time, everything to be done
// comes back in [Effects], and it opens no connection, starts no goroutine and
// reads no clock.
//
// It is not the place for how peers are found (discovery), for who is a member
// (membership), or for when a node is ready (internal/replica): it tells
// [Machine.Done], which the last of these takes as one of its conditions.
//
// # States
//
//	           asked                      an answer: dial who is not a member
//	waiting ─────────► asking ───────────────────────────────┐
//	   ▲                  │ failed: nothing is known         │
//	   └──────────────────┴──────────────────────────────────┘
//	        after a pause: full jitter, 0.1 s to 10 s, while the node is not
//	        ready, is alone, has lost most members, or knows an address where
//	        no member is; about 30 s otherwise
//
// An address that the last answer named is one of these:
//
//	untried ─► dialling ─► met       a node of this cluster answered
//	              │      ─► foreign   a node of another cluster answered
//	              │      ─► own       it is this node's
//	              │      ─► refused   a node of the cluster's name is there, and one of
//	              │                   the two does not accept the other's proof
//	              └──────► silent     nobody answered; dialled again with each answer
//
// # Done
//
// The search is done when the provider has said three times in a row, over at
// least 3 s, that nobody else is there; or when each address of its last answer
// is met or own, or has been silent or foreign for 3 s since the first of the
// dials that found none of ours. A failed answer never adds to either. A refusal
// does not count as an answer while nobody at all was met: a node with a wrong
// secret must not become a cluster of its own beside the one that it belongs to.
//
// # Loss, restart, reordering
//
// The machine keeps nothing over a restart. A dial or a question of which no end
// is reported would hold its place for ever: the shell reports each exactly once,
// within a deadline of its own. Dials end in any order. An address that a later
// answer no longer names is forgotten when its dial has ended.
//
// A Machine is not safe for concurrent use. It holds at most [MaxSeeds]
// addresses besides those being dialled, and dials at most [MaxDials] at a time,
// in random order. It tells of an answer's addresses only that somebody was met
// there: the shell reports who is alive before it reports the dial, or Done may
// be true a moment before the member is known.
package bootstrap
