// Package e2e holds the tests of what users start: gokv-node and gokv as
// processes, built from this tree, on free loopback ports. It has no code but
// tests.
//
// Each test is a story told from outside: flags and files in; exit status,
// standard output and error, /metrics and log lines out. What can be shown inside
// one process is shown there (package clustertest), and rare interleavings in
// internal/sim; here are real input (Debian's package index), real signals, a real
// Prometheus, and the bytes that strangers send to open ports.
//
// A test that needs a program which is not installed says so in capitals and is
// skipped, but fails where the environment has CI set: .ci/run installs all of
// them. Under the race detector the commands are built with it too, so that a race
// in a process fails the test that started it. -short leaves the package out.
package e2e
