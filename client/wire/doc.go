// Package wire is the codec of gokv's client protocol, without I/O: what a
// request and a response are, and their bytes. It opens no connection, reads no
// clock and starts no goroutine; framing is internal/mux's, conversations are
// package client's. docs/protocol.md describes the same bytes for somebody who
// writes a client in another language, and testdata/vectors holds them as files.
//
// # Messages
//
// A connection carries frames (length, request ID, kind, body). Towards the node
// the kind is an [Op] and the body a [Request], or the kind is [KindCancel] and
// the body is empty. Towards the client the kind is [KindResponse] and the body
// a [Response]. Every request is answered exactly once, in any order.
//
//	request  = timeout u32 ms | clock u64 | flags u16 | key | fields by flag | value
//	response = code u8 | clock u64 | flags u16 | fields by flag | value
//
// All integers are big endian. A field whose flag is clear takes no bytes.
// Fixed fields serve the hot operations; what varies in structure ([MemberInfo],
// [StatusInfo], [SyncInfo], [HoldingInfo], [ForgottenInfo]) is CBOR in Response.Body.
//
// # What is refused
//
// Parse checks each length before it is used, caps every count, refuses trailing
// bytes, fields that do not belong to the operation and values out of range: all
// of these are [ErrMalformed], and the connection ends. An operation or a flag
// that this version does not know is [ErrUnsupported]: the frame is sound, the
// request alone is refused. Extension bytes (Ext) are the opposite of a flag:
// whoever does not know them ignores them, so only hints go there.
//
// # Memory and concurrency
//
// A parsed message aliases the bytes that it was parsed from and allocates
// nothing but a list's entries. AppendTo writes into the caller's buffer. Values
// of these types are not safe for concurrent use.
package wire
