// Package replica is what replication decides, says and takes in, without I/O, a
// clock or a goroutine of its own:
//
//   - [Machine] decides which peer gets which write, when a round starts, who is
//     behind, and when the node may serve. Every call carries the time, and what is
//     to be done comes back in [Effects].
//   - [Session] is one side of a round: what both sides have seen, their dead
//     entries, and the dialogue about ranges between.
//   - [Horizon] knows who counts, and lets dead entries go once all of these are
//     past them.
//   - [PushFrame], [AckFrame] and [Payload], which rides on the membership's
//     probes, are what goes over the wire, and [HeldFrame], [KeyHolding],
//     [ForgetFrame] and [ForgotFrame] what an operator asks of all nodes.
//
// It is not the place for the merge rule (engine), for what is to be concluded from
// what was seen (internal/causal), for the dialogue (merkle), or for who is alive
// (membership): Machine and Horizon are told.
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
// An entry goes with what it builds upon: the write that it replaced, its issuer's
// write before it, and what its issuer hides. A receiver that has not seen all of
// this holds the entry a short while (Pushes), then merges it as it does a round's
// and says so: a round has to bring the rest.
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
// Config.SyncInterval a random peer is chosen among those that by their last report
// held something else than this node, or had written what it has not seen.
//
// A report of the same contents settles what is owed but for what a peer may lack
// that has come up or missed a push. Equal contents do not show that it has our
// deletes: there it must also have reported that it has seen our last write
// ([Likeness]). Contents that may differ for the cut of expiry alone count as
// different after three reports in a row, over three seconds. An idle, converged cluster opens no round.
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
// in; the node has not taken in then what the member has seen). Somebody has to be the first: when no known live member is ready, the
// oldest of them all, once it has settled a round with each of the others, if
// Config.Expect members are there, or, where none is expected, when the search of
// one of them has come to an end (see internal/bootstrap): alone, if that found
// nobody. The rest follow through it. A ready node stays ready, whoever it loses.
//
// # The shell's part
//
// Each Push must be answered with exactly one PushDone and each RoundStart with
// exactly one RoundDone, also when the peer went down meanwhile, within a
// deadline of the shell's. Horizon.SessionBegins and the function that it returns go
// around each session on either side, and Horizon.Purge is called now and then. A Machine and a
// Session are not safe for concurrent use, a Horizon is.
package replica
