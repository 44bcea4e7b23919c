// Package natstest runs a NATS server inside a test's process, for tests of what
// talks to one: [Start] gives a [Server] on a port of loopback that stays the
// same when it is stopped and started again, with whatever users, permissions or
// TLS the test wants. The server is the real one (github.com/nats-io/nats-server).
//
// It is for tests alone: it links the testing package and the whole server, logs
// nothing, keeps nothing on disk, and ends with its test. A server that has to be
// killed or paused wants a process of its own, which this is not. A Server is
// for one goroutine at a time.
package natstest
