// Command peers measures gokv's engine beside other stores in one process:
// `go run ./bench engine` runs it. It is a module of its own, so that nobody who
// imports gokv downloads what it is compared with.
//
// One file a contender, all behind the interface store. speed.go asks them in
// turns, a second each, several times over, so that a noisy machine is noisy for
// all; memory.go fills each in a process of its own, where nothing else is resident.
package main
