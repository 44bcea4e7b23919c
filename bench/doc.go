// Command bench measures gokv: `go run ./bench -h`.
//
//	latency   a put on one node until it can be read on both others
//	idle      what a converged cluster that nobody uses sends
//	round     what one round costs that finds few differences among many entries
//	sync      what rounds cost until two stores agree, by how much differs
//	join      how long an empty node takes to join, and what others' clients feel
//	ops       puts and gets a second, over the network
//	engine    the engine in process, beside sync.Map and xsync.Map, and its memory
//	all       these, one after the other
//	debindex  Debian's package index to NDJSON, stdin to stdout: real input
//
// idle and round count UDP payload at the sockets of nodes in this process; what
// they count does not depend on the machine, and budget_test.go holds it to a
// limit. sync counts the frames of rounds between two engines, without a network;
// its bytes depend on seeds alone. Behind them it prints what real nodes show: the
// time of a repair, entries sent for nothing while both sides are written to, and
// what join prints. join, latency and ops measure time between separate processes,
// gokv-node built from this tree; their figures mean something beside others of the
// same run on the same machine alone, which is why latency measures Redis and its
// replica too where redis-server is installed.
//
// Each workload is a function that takes its sizes and returns figures; printing
// is left to report.go. Nothing here is safe for concurrent use. What engine
// compares with is fetched by bench/peers alone, a module of its own.
package main
