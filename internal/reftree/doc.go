// Package reftree is an ordered set of 32-bit references to records, in the order
// of the records' keys. It holds no key: it asks for one when it has to compare.
// So an entry costs between 4.4 and 5.8 bytes instead of a string header and more,
// and the garbage collector looks into none of it but the nodes above the leaves.
//
// It is not a map (finding a key reads some eight records, each of which may miss
// the cache), and knows nothing of records: not where they are, nor how long they
// live.
//
// # Structure
//
// A B+-tree of three levels, of which the topmost has no bound:
//
//	Tree      first ref of each branch     branches, in order
//	  branch  first ref of each leaf       up to 63 leaves
//	    leaf  up to 63 refs, in the order of their keys
//
// Beside each first reference stand eight bytes of its key, so that records are
// read in the leaves for the most part.
//
// What stands above a leaf is always the first reference below it, and follows
// each change. Hence the tree never asks for the key of a reference that it has
// given up, and the record may be freed or used again at once.
//
// A full leaf gives to a neighbour that has room and splits only if there is none,
// as in a B*-tree: leaves that grow at random are more than 80 % full. A leaf that
// is full at the end of the tree stays so. Two neighbours that fit well into one
// are merged.
//
// InsertAll sorts many references and builds the tree anew, leaves and branches
// nine tenths full.
//
// # Concurrency
//
// A Tree is not safe for concurrent use. While nobody changes it, any number of
// readers may seek and read.
//
// # Limits
//
// Keys differ. The topmost level is an array, 20 bytes for some 1,500 references,
// in which a new branch moves half of the others: beyond 100 million references
// that begins to show.
package reftree
