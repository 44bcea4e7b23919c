package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRequest checks that what is accepted is spelled in the only way there is.
func FuzzRequest(f *testing.F) {
	for _, r := range []Request{
		{Op: OpGet, Key: []byte("k")},
		{Op: OpPut, Key: []byte("k"), Value: []byte("v"), TTL: 1},
		{Op: OpList, Prefix: []byte("p"), After: []byte("a"), Limit: 1, KeysOnly: true},
		{Op: OpPing, Ext: []byte{1}},
		{Op: OpBatch, Items: []Request{{Op: OpPut, Key: []byte("k"), Value: []byte("v"), TTL: 1}, {Op: OpDelete, Key: []byte("d"), IfAbsent: true}}},
		{Op: OpPut, Key: []byte("k"), Value: []byte("v"), IfAbsent: true},
		{Op: OpDelete, Key: []byte("k"), IfVersion: testVersion},
	} {
		f.Add(byte(r.Op), r.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, op byte, body []byte) {
		var r Request
		if r.Parse(Op(op), body) != nil {
			return
		}
		require.NoError(t, r.Check())
		require.Equal(t, len(body), r.HeadSize()+len(r.Tail()))
		if len(body) > 0 {
			require.Equal(t, body, r.AppendTo(nil))
		}
	})
}

// FuzzResponse is FuzzRequest for answers, and for what their CBOR holds.
func FuzzResponse(f *testing.F) {
	info, err := EncodeInfo([]MemberInfo{{Name: "a", Tags: map[string]string{"k": "v"}}})
	require.NoError(f, err)
	for _, r := range []Response{
		{Code: CodeNotFound, Message: "m", RetryAfter: 1_000_000},
		{Version: [16]byte{1}, Value: []byte("v"), ExpiresAt: 1},
		{Entries: []Entry{{Key: []byte("k"), Value: []byte("v")}}, More: true, Existed: true},
		{Body: info, Ext: []byte{1}},
		{Results: []Result{{Version: [16]byte{1}, Existed: true}}, Item: 1},
	} {
		f.Add(r.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r Response
		if r.Parse(body) != nil {
			return
		}
		require.NoError(t, r.Check())
		require.Equal(t, body, r.AppendTo(nil))
		if members, err := DecodeInfo[[]MemberInfo](r.Body); err == nil {
			_, err = EncodeInfo(members)
			require.NoError(t, err)
		}
	})
}

// FuzzInfo checks that CBOR from a node becomes what it says or an error.
func FuzzInfo(f *testing.F) {
	for _, v := range [][]byte{{0x80}, {0xa0}, {0x81, 0xa0}} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		roundTrip[[]MemberInfo](t, body)
		roundTrip[StatusInfo](t, body)
		roundTrip[[]SyncInfo](t, body)
		roundTrip[HoldingInfo](t, body)
		roundTrip[[]HoldingInfo](t, body)
		roundTrip[[]ForgottenInfo](t, body)
	})
}

func roundTrip[T Info](t *testing.T, body []byte) {
	v, err := DecodeInfo[T](body)
	if err != nil {
		return
	}
	once, err := EncodeInfo(v)
	require.NoError(t, err)
	v, err = DecodeInfo[T](once)
	require.NoError(t, err)
	again, err := EncodeInfo(v)
	require.NoError(t, err)
	require.Equal(t, once, again)
}
