// Package client is the Go client of gokv, and the serving side of its protocol.
//
//	c, err := client.New(client.Config{Addrs: []string{"10.0.0.1:7947", "10.0.0.2:7947"}})
//	err = c.Put(ctx, "k", []byte("v"), client.WithTTL(time.Minute))
//	e, err := c.Get(ctx, "k") // errors.Is(err, client.ErrNotFound)
//	for e, err := range c.List(ctx, client.WithPrefix("svc/")) { … }
//
// [Client] is what programs use: over the network from [New], in process from
// [Local], with the same semantics. One Client is one session: what it writes
// beats what it has read and written before, whichever nodes answer, because its
// requests carry the highest clock reading that it has seen. A program makes one
// and shares it; it is safe for concurrent use, and callers share connections,
// writes and reads without being asked to.
//
// It is not a cache, it does not follow the membership (it uses the addresses that
// it was given), and it makes no transactions over the cluster: Batch is one node's.
//
// # How a call travels
//
// Calls go to the address that answered last, at first to the first of
// Config.Addrs, over one connection. For host:port, QUIC and TLS over TCP are both
// dialled the first time, the faster one stays, and the other is dialled again
// when it fails.
//
//	Client ─► pool ─► the favourite connection ──────────────► answer
//	            │         not ready, lost, silent, overloaded
//	            └─► tour: every other node, once ─► pause ─► again, until the time is up
//
// An address that is down is passed over; one that takes longer than 250 ms to
// connect is dialled beside the next. A node that is not ready sends its calls
// elsewhere at once. A connection on which calls wait and nothing arrives for a
// second is pinged, and given up after another. When every node has been tried in
// vain the call pauses, with full jitter, up to 250 ms, and starts over, until
// Config.Timeout or the context ends, or Config.Attempts passes are done. The
// error then names each address with its cause.
//
// # Repeated writes
//
// When a connection is lost before the answer, nobody knows whether the write
// took effect. Put, Delete, Touch, Persist and Batch are then sent again: the second
// one takes effect as a write of its own, later time. So what the caller asked for
// holds in the end; but a write by somebody else between the two is overwritten.
// Sync and writes with a condition are not sent twice: they end in ErrUnavailable.
// A write that ended in ErrTimeout may have taken effect, or may still.
//
// # Errors
//
// Every error of a call wraps a sentinel of this package, or the context's error;
// [Error] has the details. One table ties sentinels to codes of the protocol
// ([CodeOf]) and exit statuses of commands ([ExitStatus]).
//
// # Serving
//
// [ServeStream] serves the protocol to one client on behalf of a [Handler]: it
// decodes, bounds and schedules requests, and gathers answers. Requests that an
// [ImmediateHandler] answers without waiting take no goroutine and no copy of
// their value.
//
// # Limits
//
// A frame, and with it a value, is at most Config.MaxFrame; a key 4,096 bytes.
// Requests that wait to be written are bounded at 4 MiB a connection; callers
// wait for room. Each connection has three goroutines, each dial in progress a
// few; Close waits for all of them. docs/protocol.md describes the bytes.
package client
