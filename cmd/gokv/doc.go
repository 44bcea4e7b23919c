// Command gokv is gokv's command line: it reads and writes entries, moves them
// in and out in bulk, and shows what a cluster is doing. It is a client like any
// other, over package client; only `gokv demo` runs nodes, three of them in its
// own process.
//
// # Files
//
//   - main.go: the root command, global flags, exit statuses, errors on one line
//   - connect.go: from flags to a client
//   - kv.go, list.go: put, get, exists, delete, touch, persist; list
//   - transfer.go, importer.go, ndjson.go: import and export; many puts at a time;
//     a line of NDJSON and back
//   - cluster.go: members, status, sync
//   - why.go, forget.go, diff.go: why; forget; diff
//   - secret.go: secret new, version, completion
//   - stdin.go, output.go: a stdin that an interrupt ends; the formats, JSON's shapes, terminals
//   - demo.go and demo_*.go: the demonstration
//
// # Exit statuses
//
// 0 done; 1 there is no such key, a condition does not hold, or diff found
// differences; 2 wrong use, a bad line of an imported file too; 3 unreachable, not
// ready or timed out, or the output could not be written; 4 refused: not
// authorised, too large, overloaded, clock out of bounds. Package client has the
// table. Besides: 130 after an interrupt. Who closes the pipe that gokv writes to
// has seen enough: that ends it quietly with 0.
//
// An error is one line on stderr and begins with "gokv: ". Nothing else is
// written there but import's and export's summary and, on a terminal, their
// progress.
//
// # Concurrency and limits
//
// An import has up to 128 puts in flight, of at most 32 MiB together; puts of
// one key keep the file's order. A line of NDJSON may have 32 MiB, a value on
// stdin 16 MiB. Lists and exports hold a page in memory, whatever their length, a
// diff two and up to 1,024 keys that differ.
// --timeout bounds each request to a node, so that neither a long import nor a
// long export runs into it.
package main
