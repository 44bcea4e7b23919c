package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/client/wire"
)

func TestEveryCodeHasItsSentinelAndExitStatus(t *testing.T) {
	want := map[wire.Code]int{
		wire.CodeNotFound: 1, wire.CodeConditionFailed: 1,
		wire.CodeInvalid: 2, wire.CodeUnsupported: 2,
		wire.CodeNotReady: 3, wire.CodeTimeout: 3, wire.CodeUnavailable: 3, wire.CodeInternal: 3,
		wire.CodeTooLarge: 4, wire.CodeOverloaded: 4, wire.CodeUnauthorized: 4, wire.CodeClock: 4, wire.CodeFenced: 4,
	}
	require.Len(t, outcomes, len(want))
	for _, code := range wire.Codes() {
		if code == wire.CodeOK {
			continue
		}
		err := error(&Error{Op: wire.OpGet, Key: "k", Code: code})
		require.Equal(t, code, CodeOf(err))
		require.Equal(t, code, CodeOf(fmt.Errorf("wrapped: %w", err)))
		require.Equal(t, want[code], ExitStatus(err), code)
		require.ErrorIs(t, err, sentinel(code))
	}
	require.ErrorIs(t, &Error{Code: 200}, ErrInternal)
}

func TestOtherErrorsHaveACodeToo(t *testing.T) {
	for _, c := range []struct {
		err  error
		code wire.Code
		exit int
	}{
		{nil, wire.CodeOK, 0},
		{context.DeadlineExceeded, wire.CodeTimeout, 3},
		{context.Canceled, wire.CodeUnavailable, 3},
		{ErrClosed, wire.CodeUnavailable, 3},
		{errors.New("something else"), wire.CodeInternal, 1},
	} {
		require.Equal(t, c.code, CodeOf(c.err))
		require.Equal(t, c.exit, ExitStatus(c.err))
	}
}

func TestAnErrorReadsWell(t *testing.T) {
	for want, e := range map[string]*Error{
		`get "k": key not found`: {Op: wire.OpGet, Key: "k", Code: wire.CodeNotFound},
		`put "a/b": 10.0.0.1:7947: value is 2.1 MiB, the limit is 1 MiB: too large`: {
			Op: wire.OpPut, Key: "a/b", Addr: "10.0.0.1:7947", Code: wire.CodeTooLarge, Message: "value is 2.1 MiB, the limit is 1 MiB",
		},
		`get: key is empty: invalid`: {Op: wire.OpGet, Code: wire.CodeInvalid, Message: "key is empty: invalid"},
	} {
		require.EqualError(t, e, want)
	}
	e := &Error{Code: wire.CodeTimeout, Cause: context.DeadlineExceeded}
	require.ErrorIs(t, e, ErrTimeout)
	require.ErrorIs(t, e, context.DeadlineExceeded)
}

func TestVersionsAreTextOutsideAndComparable(t *testing.T) {
	v := Version{0: 0xab, 15: 1}
	require.Equal(t, "ab000000000000000000000000000001", v.String())
	got, err := ParseVersion(v.String())
	require.NoError(t, err)
	require.Equal(t, v, got)
	b, err := json.Marshal(map[string]Version{"v": v})
	require.NoError(t, err)
	require.Equal(t, `{"v":"ab000000000000000000000000000001"}`, string(b))
	var back map[string]Version
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, v, back["v"])
	require.True(t, Version{}.IsZero())
	for _, bad := range []string{"", "ab", "zz000000000000000000000000000001", "ab0000000000000000000000000000011"} {
		_, err := ParseVersion(bad)
		require.ErrorIs(t, err, ErrInvalid, bad)
	}
}
