// Package causal is the rule that keeps deleted, overwritten and expired keys from
// coming back, whatever members and clocks do: docs/deletes.md has the argument.
// A missing key says nothing of why it is missing, so each node keeps, beside its
// entries, which writes it has [Seen] and which of those are hidden from everybody
// else: its [Knowledge].
//
// It is a value without I/O, clock or randomness, and knows neither keys nor
// values. It is not the merge rule for values (engine), nor the dialogue of a round
// (merkle). What it decides:
//
//	Judge      whether a push may be taken in yet, and what becomes of the entry held
//	Listed     what becomes of a key of which a peer has listed what it holds
//	Merge      of an entry that a round brought and of the one held, which goes
//	Accept     what a whole round teaches
//	Purgeable  when a dead entry may go
//	Retire     what an instance that is gone for good leaves behind, and Forget that it is gone
//
// A Knowledge must change together with the entries, under one lock, and is not
// safe for concurrent use.
//
// # Limits
//
// A [Vector] has 16 bytes an instance, a Seen takes at most [MaxAhead] pushes beyond
// its vector, and sixteen times as many when members tell each other.
//
// # Tests
//
// The exhaustive test goes through every history of three nodes within a budget of
// writes, crashes and the like. A build with the tag plantedbug can break the rule
// in some forty ways, each of which the same search must find.
package causal
