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
// Records lie in a slab outside of Go's heap (internal/slab): the collector
// never looks at them. A key's position, a keyed hash, chooses its shard and
// orders the shard's hash table, so that the table also lists what a range of
// positions holds; the shard is a stripe of the digests (merkle.Stripe) besides,
// and has a heap of what expires. The live keys are in an index in their own
// order (internal/reftree), in sixteen parts by an unkeyed hash.
//
//	key ─ SipHash ─► position │ shard 8 │ tag 16 │ …
//	                              ▼
//	      shard: table of tags and references ─► slab: record ◄─ ordered index
//	             stripe of digests                               (references)
//	             heap of what expires
//
// An overwrite that needs the same size of slot changes the record in place.
// Rekey takes over another cluster's key if that is older. Check recomputes all
// of this from the entries; tests end with it.
//
// # Concurrency and time
//
// An Engine is safe for concurrent use. Each method is told the wall time, in
// milliseconds since 1970; none reads a clock, draws a random number or starts
// a goroutine. Bytes are copied on their way in and out: what a read returns
// never changes. A read sees every write that returned before it began, and
// waits for no scan, round or sweep. List shows the store as it was at one
// instant, page by page.
//
// Batch does several writes at once: it holds both locks of all the shards that it
// touches, each kind in the shards' order, so that nobody sees a part of it.
//
// # Limits
//
// Keys have 1 to 4,096 bytes, values up to Config.MaxValueSize, at most 1 GiB;
// expiries are before the year 10000. An entry costs about 65 bytes beside its
// key and value, 77 if it expires, and up to 6 % more where the size of its slot
// is rounded up (4 bytes below 256). 128 GiB of records is the most. The number
// of keys ever written is limited by Config.MaxMemory alone.
//
// # Planted bugs
//
// The build tags plantedbug_merge and plantedbug_delete break the merge rule,
// so that a test of the whole system can prove that it would notice. Without
// them the constants are false and the compiler drops the branches.
package engine
