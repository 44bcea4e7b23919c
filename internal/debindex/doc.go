// Package debindex turns Debian's package index, as `apt-cache dumpavail` prints
// it, into the NDJSON that `gokv import` reads:
//
//	{"key":"deb/<Package>/<Version>/<Architecture>","text":"<the stanza>"}
//
// It exists because a store that is only ever shown generated data is only ever
// shown friendly data: the index is 50 MB of what people wrote, its keys hold
// every byte a version may (`1:2.0~rc1+b2`), its values run from a hundred bytes
// to tens of kilobytes, and every Debian machine has it.
//
// [Reader] yields one [Package] at a time and holds one stanza in memory;
// [WriteNDJSON] holds that and the set of keys. The output is a function of the
// input alone: order is kept, of several stanzas with one key the first counts.
//
// It is not a parser of Debian control data in general: it reads the three fields
// that make the key, keeps the stanza's bytes as they are, and knows nothing of
// folded fields' values, comments or signatures.
//
// Limits: a line or a stanza of more than [MaxStanza] bytes is an error, as is a
// stanza without one of the three fields or with one of them twice. Each error
// names the line.
package debindex
