package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tochemey/gokv/client/wire"
)

// Sentinels: what errors.Is matches. Every error of a call wraps one of them, or
// the context's own error.
var (
	// ErrNotFound: there is no such key, or it has expired.
	ErrNotFound = errors.New("key not found")
	// ErrTooLarge: a key, value or frame is over a limit; the text says which.
	ErrTooLarge = errors.New("too large")
	// ErrOverloaded: the node has no room for the request now.
	ErrOverloaded = errors.New("overloaded")
	// ErrUnauthorized: the node or the client did not prove what was demanded.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrNotReady: the node is starting or draining.
	ErrNotReady = errors.New("not ready")
	// ErrTimeout: no answer in time; whether a write took effect is not known.
	ErrTimeout = errors.New("timed out")
	// ErrInvalid: the call is wrong and will not succeed by repetition.
	ErrInvalid = errors.New("invalid")
	// ErrConditionFailed: the call's condition does not hold.
	ErrConditionFailed = errors.New("condition failed")
	// ErrUnavailable: no address answered.
	ErrUnavailable = errors.New("unavailable")
	// ErrClock: the session's clock and the node's are further apart than is
	// allowed.
	ErrClock = errors.New("clock out of bounds")
	// ErrFenced: the node takes no writes, because its wall clock is off.
	ErrFenced = errors.New("clock fenced")
	// ErrInternal: the node failed in a way that is not the caller's doing.
	ErrInternal = errors.New("internal error")
	// ErrUnsupported: the node does not know the operation or one of its options.
	ErrUnsupported = errors.New("unsupported")
	// ErrClosed: the client has been closed.
	ErrClosed = errors.New("client is closed")
)

// outcome is a row of the error table.
type outcome struct {
	code wire.Code
	err  error
	exit int
}

// outcomes is the one table that ties code, sentinel and exit status together.
// Exit statuses: 1 absent or a condition that does not hold, 2 wrong use, 3
// unreachable, not ready or timed out, 4 refused.
var outcomes = [...]outcome{
	{wire.CodeNotFound, ErrNotFound, 1},
	{wire.CodeConditionFailed, ErrConditionFailed, 1},
	{wire.CodeInvalid, ErrInvalid, 2},
	{wire.CodeUnsupported, ErrUnsupported, 2},
	{wire.CodeNotReady, ErrNotReady, 3},
	{wire.CodeTimeout, ErrTimeout, 3},
	{wire.CodeUnavailable, ErrUnavailable, 3},
	{wire.CodeInternal, ErrInternal, 3},
	{wire.CodeTooLarge, ErrTooLarge, 4},
	{wire.CodeOverloaded, ErrOverloaded, 4},
	{wire.CodeUnauthorized, ErrUnauthorized, 4},
	{wire.CodeClock, ErrClock, 4},
	{wire.CodeFenced, ErrFenced, 4},
}

// sentinel is the error of a code; a code of a later version reads as internal.
func sentinel(code wire.Code) error {
	for _, o := range outcomes {
		if o.code == code {
			return o.err
		}
	}
	return ErrInternal
}

// CodeOf is the code that describes err: ok for nil, internal for an error that
// is none of this package's.
func CodeOf(err error) wire.Code {
	if err == nil {
		return wire.CodeOK
	}
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o.code
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return wire.CodeTimeout
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return wire.CodeUnavailable
	}
	return wire.CodeInternal
}

// ExitStatus is what a command that ended with err exits with: 0 for nil, the
// table's status for this package's errors and a context's, 1 for any other.
func ExitStatus(err error) int {
	if err == nil {
		return 0
	}
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o.exit
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) {
		return 3
	}
	return 1
}

// Error is the failure of a call.
type Error struct {
	Op  wire.Op
	Key string
	// Addr of the node that answered; empty: none did, or the node is in process.
	Addr string
	Code wire.Code
	// Message is the node's text, or the client's own.
	Message string
	// RetryAfter is the node's hint; zero: none.
	RetryAfter time.Duration
	// Item is the write of a batch that it failed for, from 1 on, and Key that one's;
	// zero: none in particular.
	Item int
	// Current is what the key holds whose condition failed; nil: it is absent, or
	// the failure is another one.
	Current *Entry
	// Holders is who is known to hold a write that missed its concern; nil: it was not
	// written, or none was asked for.
	Holders *Holders
	// Cause is another error that errors.Is shall find, a context's for example.
	Cause error
}

// Error reads like `put "a/b": 10.0.0.1:7947: value is 2.1 MiB, the limit is 1 MiB: too large`.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op.String())
	if e.Key != "" && e.Item == 0 { // else the message has it
		fmt.Fprintf(&b, " %q", shorten(e.Key))
	}
	if e.Addr != "" {
		b.WriteString(": " + e.Addr)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if s := sentinel(e.Code).Error(); !strings.HasSuffix(e.Message, s) {
		b.WriteString(": " + s)
	}
	return b.String()
}

// Unwrap gives the code's sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{sentinel(e.Code)}
	}
	return []error{sentinel(e.Code), e.Cause}
}

// shorten keeps an error readable whatever the key.
func shorten(key string) string {
	const most = 64
	if len(key) <= most {
		return key
	}
	return key[:most] + "…"
}
