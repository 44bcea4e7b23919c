// Package auth makes the TLS configurations of gokv and runs the handshake in
// which the two ends of a connection prove that they belong together.
//
// It opens no sockets and decides nothing about what a proven peer or client may
// do; it knows QUIC only by the errors that it classifies. docs/security.md
// explains the proofs, their rotation and each refusal to operators, and has the
// messages byte by byte.
//
// # Main types
//
//   - [Authenticator] holds what this process proves itself with: secrets,
//     certificates from files, or nothing ([Mode]). It is made by [New], hands out
//     [Authenticator.ServerTLS] and [Authenticator.ClientTLS], and runs either side
//     of a handshake: [Authenticator.Accept] and [Authenticator.Connect].
//   - [Hello] is what one end tells the other about itself.
//   - [Role] is what a proof entitles to: [RolePeer], [RoleAdmin].
//   - [RefusedError] says which end refused and why; its [Reason] is one of a
//     closed set that labels a metric ([Reasons]). [Classify] finds it in the errors
//     of TLS and QUIC.
//
// # The handshake
//
// It runs on the first stream of a connection, after TLS:
//
//	dialler                                 listener
//	Hello      version, role, instance,
//	           cluster, key IDs  ────────►  version, role, cluster as wanted?
//	                             ◄────────  Challenge  instance, cluster, proof
//	proof right?
//	Proof      proof, name, address ─────►  proof right? room for one more?
//	                             ◄────────  Welcome    name, address
//
// In place of any message either end may send Refuse with a reason, and hang up.
// A proof is an HMAC with a key derived from the secret and the role, over the
// exporter of this TLS connection, the direction, both instances, the cluster's name
// and the key's ID. So it can neither be relayed to another connection nor sent back
// to its maker. The listener proves first: a stranger who listens learns nothing but
// what Hello says. Without secrets the messages are the same and carry no proof; with
// mutual TLS the certificates are then the proof.
//
// # Concurrency
//
// An Authenticator is safe for concurrent use. Files are looked at during handshakes,
// at most once a second; what was loaded is replaced as a whole, and stays if a
// changed file cannot be loaded.
//
// # Limits
//
// A dialler may send [MaxUnproven] bytes and take [HandshakeTimeout] until it has
// proven itself. At most 16 secrets of 32 to 1,024 bytes; a cluster name of
// [MaxCluster] bytes, a name of [MaxName], an address of [MaxAddr].
package auth
