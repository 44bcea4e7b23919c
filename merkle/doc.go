// Package merkle finds and repairs what differs between two nodes.
//
// A Tree keeps a 128-bit digest for every range of the key-hash space. Equal
// root digests mean equal sets of entries; a Round is the dialogue of two
// nodes whose roots differ.
package merkle
