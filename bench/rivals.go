package main

import "math"

// What other protocols cost for the same repair, computed: bytes both ways beyond the
// entries' own key, value and version, for n entries of which d differ, half of these
// missing on one side. differ is how many of so many equal parts hold a difference:
// differences fall into parts at random.
func differ(parts, d float64) float64 { return parts * -math.Expm1(-d/parts) }

type rival struct {
	name string
	cost func(n, d float64) float64
}

var rivals = []rival{
	{"Riak, 1,024 × 1,024", riak},
	{"Cassandra, 2^15 leaves", cassandra},
	{"negentropy", negentropy},
	{"rateless IBLT", ratelessIBLT},
}

// riak is riak_core's hashtree.erl with its defaults, 1,024 × 1,024 segments: the
// hashes of a whole level below each bucket that differs, 20 bytes of SHA-1 and 2 of
// place each, then the lists of the segments that differ, about an entry each of some
// 60 bytes with its hash.
func riak(n, d float64) float64 {
	const width, hash, listed = 1024, 22, 60
	return width*hash*(1+differ(width, d)) + listed*differ(width*width, d)*max(n/(width*width), 1)
}

// cassandra is its repair: one Merkle tree of 2^15 leaves, 32 bytes a hash
// (org.apache.cassandra.utils.MerkleTree), and two tokens for each leaf that differs.
// That it then streams all entries of these leaves is not counted.
func cassandra(_, d float64) float64 {
	const leaves, hash, leafRange = 1 << 15, 32, 16
	return leaves*hash + leafRange*differ(leaves, d)
}

// negentropy is Log Periodic's protocol, version 1 (github.com/hoytech/negentropy):
// sixteen sub-ranges for each that differs, 16 bytes of fingerprint and about 6.8 of
// bound and mode each; both sides' IDs of 32 bytes where a range holds less than 32.
func negentropy(n, d float64) float64 {
	const fanOut, part, id, listBelow = 16, 22.8, 32, 32
	cost, parts := 0.0, 1.0
	for ; n/parts >= listBelow; parts *= fanOut {
		cost += fanOut * part * differ(parts, d)
	}
	return cost + 2*id*(n/parts)*differ(parts, d)
}

// ratelessIBLT is Yang et al., "Practical Rateless Set Reconciliation" (SIGCOMM 2024):
// 1.35 coded symbols a differing item when they are many, up to 1.72 when few, here of
// 20 bytes (sum, checksum, count), a dozen in the first batch. An entry that differs
// in version is two items, so that a difference is one and a half. A list of all
// items, 8 bytes each, is the fallback.
func ratelessIBLT(n, d float64) float64 {
	const symbol, batch, roots = 20, 12, 48
	items := 1.5 * d
	symbols := max(batch, items*(1.35+0.37/math.Sqrt(math.Sqrt(items))*min(1, 8/items)))
	return roots + min(symbol*symbols, 8*n)
}
