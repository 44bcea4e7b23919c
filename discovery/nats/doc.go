// Package nats is the discovery provider that meets its peers on a subject of a
// NATS server: a node asks there who else is, and each registered node of the
// same cluster answers with the address that its peers dial. [New] makes a
// [Provider] from a [Config]; gokv-node does so for --discovery nats.
//
// It is not for data, membership or failure detection: an address is all that
// is exchanged, and only who proves the cluster's secret when it is dialled is a
// peer. JetStream is not used. Servers that are listed together have to be of
// one NATS system: nodes on servers that do not know each other never meet.
//
// # Messages
//
// A message is a CBOR map of at most 512 bytes, in core deterministic encoding
// (RFC 8949 §4.2.1) when sent, with integer keys:
//
//	1  version   unsigned, from 1; this is 1
//	2  kind      1 request, 2 answer, 3 hello, 4 goodbye
//	3  cluster   text, 1 to 64 bytes
//	4  instance  unsigned, 64 bits: drawn anew at each start of a node
//	5  host      text: an IP address or a host name, 1 to 253 bytes
//	6  port      unsigned, 1 to 65535
//
// All six are needed. A key that is not listed is passed over, and so is a kind,
// whatever the version: nodes of two versions have to find each other. Later
// versions may only add; what would change a meaning takes another subject.
// Refused are a key twice, indefinite lengths, tags, bytes after the end, and a
// host that others cannot dial (any address, multicast, a zone). What is refused
// is dropped without a word, like what belongs to another cluster: clusters may
// share a subject, and anybody may send there anything. testdata/messages.json
// holds a vector of each kind.
//
//	kind      published to   with reply   by                 what a receiver does
//	request   the subject    an inbox     DiscoverPeers      answers, if registered
//	answer    the inbox      -            whoever answers    takes the address
//	hello     the subject    -            Register, and a    signals Changes; takes
//	                                      reconnection       the address if it asks just now
//	goodbye   the subject    -            Deregister         signals Changes
//
// A message only ever adds an address to an answer. A forged one costs dials at
// most, and none makes a node believe that it is alone; for the same reason a
// goodbye takes nothing away, but makes nodes ask again. Messages carry no
// authentication of their own: the server's permissions say who may send.
//
// # When an answer is believed
//
// A node is subscribed to the subject like all others, so its request comes back
// to it, and it answers itself, through the server, into its own inbox. That
// proves all four permissions and that the server is awake. From then on answers
// are collected for Timeout. No time is saved when all seem to have answered,
// since nobody knows how many there are. An error, with the addresses so far, is
// what comes of
//
//   - no connection, or one that is lost meanwhile;
//   - the own answer not back within 2 s: a stuck server, a subject that is
//     flooded, a permission without a refusal;
//   - a refused permission, which is named at once;
//   - a server that is silent: it is pinged after each quarter of Timeout, and
//     a reply may be late by half of it, so that a standstill that is not noticed
//     leaves answers half of Timeout at least; the last reply comes after all
//     that the server had for the node;
//   - messages that could not be handled meanwhile, since requests or answers
//     may have been among them; all nodes hear the same flood, so the node's own
//     losses stand for those of the others;
//   - more than 10,000 addresses.
//
// A connection that is younger than 5 s and five quarters of ReconnectWait (7.5 s
// in all, by default) does not show that nobody is there: after the server's
// restart the others may be on their way back. DiscoverPeers that finds nobody
// waits so long, and asks again then, or once somebody has said hello.
//
// # States
//
//		         Initialize              lost, or silent for 3 s
//		[none] ─────────────► connected ─────────────────────────► reconnecting
//		   │                      ▲                                      │
//		   ▼ MaxJoinAttempts      └── subscribes, says hello if ─────────┘
//		ErrPermanent                  registered, signals Changes
//
//	  - Loss. NATS delivers at most once. A lost hello is made good by the next
//	    question, a lost answer by the next one after it: nodes ask again. Register
//	    succeeds only once the own hello has come back.
//	  - Reordering. A request may overtake a hello: the answer says the same. A
//	    goodbye may be overtaken by an answer: one dial too many.
//	  - A server that restarts has forgotten everything. Each node connects again,
//	    for ever, after a pause drawn by lot, subscribes, and says hello, upon
//	    which the others ask. Meanwhile every call fails at once. An answer may
//	    lack nodes that are not back yet, but is not nobody for that.
//	  - A node that restarts has another instance, and is found as soon as it is
//	    registered. One that crashed answers no more; nothing has to expire.
//	  - Refused credentials after the first success are tried again for ever; the
//	    files are read anew each time.
//
// # Limits
//
// A node answers at most 500 requests a second, and never to a reply subject
// that is no inbox: else a stranger would publish with the node's rights. A
// subscription holds at most 16,384 messages and 8 MiB that wait. One attempt to
// connect takes at most 2 s a server. Passwords are never printed.
//
// # Concurrency
//
// A Provider may be used by many goroutines once Announce and Initialize have
// been called. One goroutine keeps the connection, one listens on the subject,
// one reads the inbox of each call of DiscoverPeers; the library has a few of its
// own. Close ends them all.
package nats
