// Package transport connects a node with its peers and with its clients: QUIC over
// one UDP socket for peers, QUIC over another and TLS over TCP for clients. Every
// connection has proven itself (package internal/auth) before anything on it is
// parsed or handed on.
//
// It knows no entry, no member and no message. It does not decide who is a member,
// does not send a datagram twice, and does not open again a stream that broke: the
// callers have their own rules for that.
//
// # Main types
//
//   - [Transport] is made by [Listen]. [Transport.SendDatagram] and
//     [Transport.OpenStream] take the address of a peer and dial when they must;
//     what peers send goes to the [Handler].
//   - [Peer] is who answers at an address: an instance, that is one process. [Class]
//     tells the connections of one pair apart.
//   - [Stream] is one dialogue. Its first byte, the kind, tells the other end's
//     handler what it is for; it travels with the first write.
//   - [ClientListener] is made by [ListenClients] and hands the streams of proven
//     clients, each with its [ClientSession], to a [ClientHandler].
//
// # Connections between peers
//
//	              SendDatagram, OpenStream
//	                        │
//	link (an address) ──────┤ connected: use it      not: wait, and dial
//	                        ▼                               │
//	peer (an instance) ── conns ◄── register ◄── proof ◄── TLS
//	                        │                               ▲
//	                        │                       accept ─┘
//	    preferred ──► in use ──► silent ──► dial anew, use whichever lives
//	    lost      ──► retired ──► its streams end ──► closed by its dialler
//
// One a pair and class. Where both ends dial at once both connections come up, and
// both ends prefer the one that the smaller instance dialled; the other takes no new
// streams, and its dialler closes it when it has had none for five seconds. So
// simultaneous dials lose no stream. A connection that comes up later than that was
// dialled by an end that no longer trusts the first: it is preferred, and the older
// one ends unless something still arrives on it.
//
// Another instance at an address is a process that was restarted there; its
// predecessor's connections end at once. A restarted process also recognises packets
// of its predecessor's connections and resets them (the stateless reset key comes
// from the secret and the address).
//
// QUIC backs off when nothing is acknowledged, up to a packet a minute. So a
// connection on which we have sent for three seconds and heard nothing is no longer
// relied on: whoever wants the peer dials anew. A partition is over a few seconds
// after it has healed, however long it lasted, if anybody asks.
//
// An address that failed rests for a random time of up to 50 ms, doubling to half a
// second (five, if we were refused), and only if somebody asks for it is it dialled
// again. While somebody keeps asking, an attempt is about 10 KB in three seconds. At
// most 16 attempts run at a time, of which 12 may be for addresses that failed before.
//
// Bulk is a second connection with a congestion window of its own, so that it never
// delays a probe. It is dialled when it is first wanted and ends after 30 seconds
// without a stream. Nothing is kept alive: a connection without traffic ends after
// five minutes.
//
// # Datagrams
//
// At most [MaxDatagram] bytes, which fit into every path that carries QUIC: packets
// begin at 1,200 bytes and grow where the path takes more. quic-go blocks a sender
// when 32 are queued, so each connection has a queue of 64 that drops its oldest,
// and one goroutine that empties it. What waits for a dial that fails is dropped.
//
// # Sockets
//
// UDP payload is counted where it meets the socket ([Stats]). A *net.UDPConn is
// wrapped such that quic-go still finds batches, GSO, ECN and the don't-fragment bit:
// BenchmarkSocket measures 0.95 to 1.01 of the bare socket's throughput, where a plain
// net.PacketConn has 0.45. Any other net.PacketConn, such as a simulated one, is used
// as it is. Small kernel buffers cost speed, not function; quic-go's own warning about
// them is replaced by one line in the Logger, through the environment variable
// QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING, which is left alone where it is set.
//
// # Concurrency
//
// Everything exported is safe for concurrent use; for Stream see there. Each
// connection has a goroutine that accepts streams, a main one also one that sends and
// one that receives datagrams, and each incoming stream has one for its handler. Close
// waits for all of them. No lock is held while a handler runs.
//
// # Limits
//
// Handshakes in progress (128 from peers, 256 from clients on each transport) and
// connections (1,024 peers, 4,096 clients); beyond, the other end is told so
// ([auth.Limit]). Above 64 first packets a second from addresses that are not verified,
// or when a quarter of the places is taken, QUIC's Retry is asked for. A stranger can
// make us hold 64 KB of streams and 128 datagrams on each of its handshakes, and has
// three seconds for TLS and three for the proof. A peer may have 256 streams open and be 4 MB ahead of its reader on
// each, 6 MB in all; a client 64, 1 MB and 1.5 MB. Refusals are counted each and logged
// once in ten seconds for each reason.
package transport
