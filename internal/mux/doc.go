// Package mux carries many calls over one byte stream: a QUIC stream, TLS over
// TCP, or anything else that reads and writes in order. It knows frames and the
// IDs that tie answers to requests, and nothing of what they mean; it dials
// nothing and proves nothing.
//
// # Frames
//
//	┌────────────┬────────┬──────┬──────────────┐
//	│ length u32 │ ID u32 │ kind │ body         │   big endian
//	└────────────┴────────┴──────┴──────────────┘
//	              └── length bytes, at least 5 ──┘
//
// A frame that is shorter or longer than allowed ends the stream: after it nobody
// knows where the next one begins. [Reader] finds frames in a stream with one
// read for as many as have arrived; the memory that it takes is proportional to
// what has been received, whatever a header claims.
//
// # Sides
//
// [Client] sends requests of any number of callers and hands each its answer.
// Two goroutines serve a connection: one reads, one writes. What callers queue
// while a write is in progress, or while the writer yields the processor once,
// goes out in one write; a lone caller writes its request itself, which spares it
// a quarter of the round trip on loopback.
//
// [Serve] reads requests and hands each to a [Handler] on its own goroutine, the
// only one of an idle connection. The handler answers at once, or goes on
// elsewhere with [Stream.Go]. Answers gather while requests that have already
// arrived are being handled, and leave in one write by whoever has time: the
// reader, before it waits, or the goroutine of an answer, when nobody writes.
//
//	client                                        server
//	caller ──┐                                    ┌─► Handler ─► Reply ─┐ at once
//	caller ──┼─► outbox ─► writer ══════► reader ─┤                     ├─► outbox ══► …
//	caller ──┘                                    └─► Go ─► Reply ──────┘ later
//
// # Limits
//
// Frames, bytes queued for writing, requests in flight on goroutines and their
// bytes are bounded, see [ServerConfig] and [ClientConfig]. A server whose peer
// does not read stops reading in turn, and closes the stream when a write has
// made no progress for WriteTimeout; one that sends half a frame and no more is
// closed after FrameTimeout.
//
// # Concurrency
//
// Client and Stream are safe for concurrent use; Reader is not. No lock is held
// across I/O.
package mux
