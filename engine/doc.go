// Package engine holds a node's entries in memory, one a key, with its version,
// expiry and digest, and what the node has seen besides. It takes local writes,
// merges those of other nodes, answers reads and ordered scans, and forgets what
// was deleted or has expired once it may.
//
// It is not: durable, a network protocol, or a judge of who may write. It
// sends nothing by itself and knows of no member. What a write returns is to be
// pushed to the others by whoever called; Source is what the dialogue of a round
// (package merkle) reads and writes; who counts when dead entries are to go, Purge
// is told.
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
// ErrClockAhead, arriving entries are Parked until they are due, or Refused.
//
// # What has been seen
//
// Merging alone would bring a deleted key back from whoever missed the delete, or
// would keep every tombstone for ever. So the engine has a causal.Knowledge beside
// its entries, which changes together with them: docs/deletes.md. By it Push holds
// a write until what that builds upon has been seen, Merge ignores what has been
// seen before, Source.Surplus lets go what a peer had seen and lacks, and Purge
// forgets. State is what the engine holds and knows at one instant, Accept takes a
// peer's in. Apply is for entries of which nothing of the kind is known.
//
// # Life of an entry
//
//	Put, Push ──► live ──ExpiresAt──► expired ──the cut──► dead ──Purge──► gone
//	                │                           (no value) ▲
//	                └──────────Delete, Push────────────────┘
//
// The digests cover what is live as of the cut, a whole second that is twice
// MaxClockSkew behind the wall time and moves on for all entries together: neither
// expiry nor purging shows as a difference between nodes whose cuts are equal.
// What is dead, tombstones and puts that have expired, is kept without a value
// until Purge, as it keeps an older put that arrives late from bringing the key
// back. Expiry is an absolute time, exact for readers. Sweep does the rest of the
// work, in pieces, when it is called. A node that has swept a key as expired does
// not revive it when its wall clock is set back.
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
// and has a heap of what expires and a list of what is dead. The live keys are in
// an index in their own order (internal/reftree), in sixteen parts by an unkeyed
// hash. While that is deferred (DeferIndex), new keys wait in a list beside it.
//
//	key ─ SipHash ─► position │ shard 8 │ tag 32 │ …
//	                              ▼
//	      shard: table of tags and references ─► slab: record ◄─ ordered index
//	             stripe of digests                               (references)
//	             heap of what expires, list of what is dead
//
// An overwrite that needs the same size of slot changes the record in place.
// Rekey takes over another cluster's key if that is older. Check recomputes all
// of this from the entries; tests end with it. Scrub compares a range at a time,
// values with checksums and digests with entries, while a node runs.
//
// # Concurrency and time
//
// An Engine is safe for concurrent use. Each method is told the wall time, in
// milliseconds since 1970; none reads a clock, draws a random number or starts
// a goroutine. Bytes are copied on their way in and out: what a read returns
// never changes. A read sees every write that returned before it began. It waits
// for no scan and no round, for a writer or a sweep only while these change what
// readers see, and for a Rekey. List shows the store as it was at one instant,
// page by page.
//
// Batch does several writes at once: it holds both locks of all the shards that it
// touches, each kind in the shards' order, so that nobody sees a part of it.
//
// # Limits
//
// Keys have 1 to 4,096 bytes, values up to Config.MaxValueSize, at most 1 GiB;
// expiries are before the year 10000. An entry costs about 68 bytes beside its
// key and value, 80 if it expires or is a tombstone, and up to 6 % more where the
// size of its slot is rounded up (4 bytes below 256). 128 GiB of records is the
// most, Config.MaxMemory of all. What is known of an instance takes 16 to 32 bytes,
// until it is retired (gone.go).
//
// # Planted bugs
//
// The build tags plantedbug_merge and plantedbug_delete break the merge rule,
// so that a test of the whole system can prove that it would notice. Without
// them the constants are false and the compiler drops the branches.
package engine
