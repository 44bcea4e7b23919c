// Package membership tells each node which members the cluster has: who is
// alive, who is suspected, dead or has left, and where they are. It is SWIM
// (Das, Gupta and Motivala, 2002; cited by section where the code follows it)
// with incarnations, suspicion, full-state exchange, and return after a
// partition of any length.
//
// It is not a consensus on membership: two nodes may disagree for some
// seconds, and both sides of a partition believe the other dead. It sends
// nothing itself and knows neither sockets nor entries.
//
// # Main types
//
//   - [Machine] is the protocol as a value that steps. It is told messages and
//     the time, and appends what is to be done to [Effects]. It holds no
//     goroutine, lock, clock or randomness of its own.
//   - [Loop] drives a Machine: one goroutine and one timer, over the [Sender]
//     and [Delegate] that it declares.
//   - [Member] is one claim about a member, identified by (name, instance).
//     Claims about a name are totally ordered ([Member.Compare]); the table
//     holds the greatest.
//   - [Message] and its types are the wire; [ParseDatagram] and
//     [ParsePushPull] decode them.
//
// # Messages
//
//	A                B                C
//	├── Probe ──────►│                     every probe interval, a member in turn
//	│◄────── Ack ────┤
//	├── Probe ──► (lost)
//	├── PingReq ────────────────────►│     after the probe timeout, through k others
//	│                │◄───── Probe ──┤
//	│                ├── Ack ───────►│
//	│◄────────────── Ack (relayed) ──┤
//	├── Gossip ─────►│                     only while there is something to tell
//	├── PushPull ───►│                     join, rejoin, now and then: whole tables
//	│◄──── PushPull ─┤
//
// Each datagram takes updates along within [Config.MaxPacket] bytes.
//
// # States
//
//	           no ack                not refuted in time
//	┌─ Alive ──────────► Suspect ───────────────────────► Dead
//	│    ▲                  │                               │
//	│    └── refuted ───────┴──────────── refuted ──────────┘
//	└──────── says that it leaves ──► Left ──► forgotten after a while
//
// A member refutes by raising its incarnation. docs/membership.md has the
// whole story: what happens on loss, restart and reordering, and the bytes.
//
// # Concurrency
//
// A Machine belongs to one goroutine. A Loop's methods may be called from any
// goroutine; its Delegate is called from the loop's own and must not block.
//
// # Limits
//
// A table of [MaxMembers] rows, of which at most [MaxDead] dead and [MaxLeft]
// left; names and addresses of 256 bytes; members of [MaxMemberBytes];
// datagrams of [Config.MaxPacket]; [MaxJoinAddrs] join addresses; 16
// push-pulls and 256 relayed probes at once. A member that is authenticated
// and misbehaves can lie about others, who then refute; it cannot make the
// table grow past its limit, nor send a decoder into a panic.
package membership
