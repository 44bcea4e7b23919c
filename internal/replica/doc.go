// Package replica decides which peer gets which write, when a Merkle round
// starts, who is behind, and when the node may serve. It is a machine: every
// call carries the time, everything to be done comes back in [Effects], and it
// opens no stream, starts no goroutine and reads no clock. The codecs of what
// it sends stand beside it: [PushFrame] and [AckFrame] for pushes, [Payload]
// for what rides on the membership's probes.
//
// It is not the place for the merge rule (engine), for the dialogue of a round
// (merkle), or for who is alive (membership): it is told PeerUp and PeerDown.
//
// # Pushes
//
// A local write goes straight to every live peer. Each peer has one link:
//
//	        Write                       Write (gathered, bounded)
//	idle ──────────► push in flight ◄──────────┐
//	  ▲                 │      │  └────────────┘
//	  │ acknowledged,   │      │ failed, or the queue overflowed:
//	  │ queue empty     │      ▼ the queue is dropped, the peer is behind,
//	  └─────────────────┘    a round is owed
//
// There is never more than one push in flight to a peer, so an idle link sends
// at once and a busy one gathers what arrives meanwhile, without a timer. The
// writer never waits. What a peer can hold up is bounded: Config.QueueBytes
// queued, and one batch of Config.BatchBytes (or one larger entry) in flight.
//
// A peer whose memory is full says so in its payload (Payload.Full), and Full lists
// those that last did: the node refuses puts that would make the store grow.
//
// # Rounds
//
// A round is owed to a peer that has just come up (join, heal), that missed a
// push (failed or dropped), that was asked for by hand, whose last round did not
// end in equal roots, or that has become ready while this node is not. Owed rounds start at once, one at a time; a failed
// one is tried again with backoff and jitter. When nothing is owed, each
// Config.SyncInterval a random peer is chosen among those whose last reported
// root differed from ours. Equal roots prove equal contents, so a report of an
// equal root settles what is owed, and an idle, converged cluster opens none.
//
// Of two nodes that meet, the younger starts the round at once; the elder waits
// one interval and starts its own only if that round has not settled it. Else
// both would move the same entries at the same time.
//
// # Readiness
//
// A node alone by configuration is ready from the start. Any other becomes ready
// after a settled round with a ready member (one that ended in equal roots, or
// the third complete one in a row that did not, which happens while writes stream
// in). Somebody has to be the first: when no known live member is ready, the
// oldest of them all, once it has settled a round with each of the others, if
// Config.Expect members are there, or, where none is expected, when the search of
// one of them has come to an end (see internal/bootstrap): alone, if that found
// nobody. The rest follow through it. A ready node stays ready, whoever it loses.
//
// # The shell's part
//
// Each Push must be answered with exactly one PushDone and each RoundStart with
// exactly one RoundDone, also when the peer went down meanwhile, within a
// deadline of the shell's. A Machine is not safe for concurrent use.
package replica
