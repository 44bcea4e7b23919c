// Package engine holds a node's entries in memory: one per key that was ever
// written, with its version, expiry and digest. It takes local writes, merges
// those of other nodes, and answers reads and ordered scans.
//
// It is not: durable, a network protocol, or a judge of who may write. It
// sends nothing by itself. What a write returns is to be pushed to the other
// members by whoever called, and Source is what anti-entropy rounds (package
// merkle) read and write.
//
// # The merge rule
//
// An Entry is one write: a put, or the tombstone of a delete. Of two entries
// of one key the one with the greater Version stays, on every node and in
// whatever order they arrive (Compare, Merge). Merging is commutative,
// associative and idempotent. Versions come from a hybrid logical Clock, which
// stays above every version that the engine holds: a local write beats
// everything that it could have been a reply to. Neither clock nor entries go
// further ahead of the wall time than MaxClockSkew: local writes fail with
// ErrClockAhead, arriving entries are Refused.
//
// # Life of an entry
//
//	Put, Apply ──► live ──ExpiresAt──► expired ──2 × MaxClockSkew──► reaped
//	                 │                                       (no value)
//	                 └──Delete, Apply──► tombstone
//
// Tombstones and expired entries stay, as they are what keeps an older put
// that arrives late from bringing the key back. The digest covers them all,
// and a reaped entry has the digest that it always had, so that expiry never
// shows as a difference between nodes. Expiry is an absolute time, exact for
// readers. Sweep does the rest of the work, in pieces, when it is called. A
// node that has swept a key as expired does not revive it when its wall clock
// is set back.
//
// A put without an expiry clears the old one. Touch and Persist change the
// expiry alone; they are writes too, and carry the value again.
//
// # Structure
//
// Keys are spread over shards by an unkeyed hash. Each shard has a lock, a map
// of all its keys, an ordered index of the live ones, and a heap of those that
// expire. One hash tree spans all shards; an entry's place and digest in it
// are made with the cluster's secret key and change with its shard's lock held
// (replaceLocked). Rekey takes over another cluster's key if that is older.
// Check recomputes all of this from the entries; tests end with it.
//
// # Concurrency and time
//
// An Engine is safe for concurrent use. Each method is told the wall time, in
// milliseconds since 1970; none reads a clock, draws a random number or starts
// a goroutine. Entries that it hands out or takes in are shared, not copied,
// and must not be changed by anybody, Value included; Put alone copies its
// value. A read sees every write that returned before it began. List is no
// snapshot: it promises only that a key that stays is listed once.
//
// # Limits
//
// Keys have 1 to 4,096 bytes, values up to Config.MaxValueSize, expiries are
// before the year 10000. An entry costs about 210 bytes beside its key and
// value. The number of keys ever written is not limited here.
//
// # Planted bugs
//
// The build tags plantedbug_merge and plantedbug_delete break the merge rule,
// so that a test of the whole system can prove that it would notice. Without
// them the constants are false and the compiler drops the branches.
package engine
