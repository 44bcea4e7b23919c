// Package merkle finds what differs between two nodes' sets of entries, and
// repairs it in both directions, for a few dozen bytes a difference.
//
// It has two halves. A Stripe keeps digests for the ranges of a keyed hash of the
// keys; one write changes it in constant time. Round is the dialogue of two
// nodes whose root digests differ: a pure machine that eats and makes frames.
//
// It is not: a store (Source is the store, as a round sees it), a transport, or
// a judge of which of two entries wins: that is Source.Apply. Nor does it know of
// deletes. Where the peer lacks an entry for certain, Source.Surplus says whether it
// is to be sent or has been let go; why, and what goes around a dialogue for it, is
// for others (internal/replica). It reads no clock, draws no random number and
// starts no goroutine; the salt of a round is given to it.
//
// # Digests
//
// A set's Digest is the sum modulo 2^128 of SipHash-2-4-128 of each entry,
// under a Key that only the members know. It depends on what the set holds and
// on nothing else, neither order nor history. Where a key stands (its position,
// 64 bits) is keyed too. A Range is all positions that begin with the same
// nibbles; it has sixteen children. See Hasher for what is hashed, and Seal for
// what may be shown to clients.
//
// # The digests in memory
//
// A Stripe is the ranges below one of the 256 ranges of depth 2, down to a depth at
// which a range holds some dozen entries: arrays of sums, under two bytes an entry.
// It holds no entry. What lies below it the source computes from its entries when
// it is asked, so the depth never shows. A Stripe is not safe for concurrent use;
// the engine has one in each of its shards. Tree is the same digests with the
// entries in them, safe for concurrent use, at about 21 bytes an entry: the source
// of this package's tests, and of nothing else.
//
// # The dialogue
//
//	initiator                         responder
//	open{salt, key ID, root,
//	     digests of 16 parts} ──────►            roots equal:
//	                         ◄─────── equal      the end, for 90 bytes
//	                                             keys differ: they exchange one
//	                                             (opening.go), otherwise:
//	                         ◄─────── accept
//	                         ◄─────── its turn
//	its turn                 ───────►
//	                         ◄─────── …
//	finish{root}             ───────►
//	                         ◄─────── finish{root}
//
// A turn is ranges frames and entries frames, of which the last one says so, or
// ends with a finish from a side that waits for nothing. Two finishes in a row
// end the round. The sides speak of cuts (cut.go), which are ranges that may end
// at any bit, and about a cut they take turns too:
//
//	digests of 4, 8 or 16 parts, 1 byte each
//	  ► which parts differ, and on each of them digests, or
//	    fingerprints of the entries, 12 bits each, where there are few
//	      ► which of these are wanted, and all others that the answerer has:
//	        as entries, or as headers (tag of the position and rounded age,
//	        8 half bytes) where one may replace another
//	          ► which of those are wanted, and the newer entries themselves
//
// So a side that is empty answers with empty lists, and gets everything in the
// order of positions. Whatever was applied before a stream broke is equal the
// next time.
//
// Bytes and fingerprints are truncations salted anew for each round. They may
// collide, and then hide a difference from this round, but not from the next
// one. Only equal roots say that two sides are equal.
//
// # States of a Round
//
//	initiator: to open ► opened ─────────────┬► hearing ⇄ speaking ► finished
//	           ▲ └ offered key, to offer ◄───┘
//	responder: listening ► to equal ► finished
//	               ├─────► to accept ► speaking ⇄ hearing ► finished
//	               ├─────► to offer ► offered ► (as from listening)
//	               └─────► to request ► requested ► (as from listening)
//
// An error of Receive is the state failed, from anywhere, for ever. A frame out
// of turn, malformed or beyond a limit changes nothing in the Source.
//
// # Limits
//
// A turn opens at most 131,072 cuts (MaxWindow, and the parts of one more); those
// beyond wait in a stack of at most 524,288. A round remembers the positions of
// the entries that its last turn listed, a million of them at most, and what the
// other side's last turn said; it reads entries as they are asked for: some 60
// MiB at worst, a few KiB in general, for sets of any size. A turn may bring any
// number of entries. A round has at most 65,536 turns.
//
// A peer is a member of the cluster and may do what members may: ask for
// everything, again and again, or send anything that Apply takes. It cannot
// make a round panic, grow without bound, or take what it sends for equal.
//
// # Concurrency
//
// A Round belongs to one goroutine. Its Source may be written meanwhile, by
// other rounds too: what changes during a round is seen or not, and the roots
// tell. If another round replaces the digest key, Receive or Next ends this one
// with ErrKeyChanged.
package merkle
