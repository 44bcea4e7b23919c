package wire

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNamesAndNumbersBelongTogether(t *testing.T) {
	require.Equal(t, []Op{OpGet, OpPut, OpExists, OpDelete, OpTouch, OpPersist, OpList, OpMembers, OpStatus, OpSync, OpPing, OpBatch, OpHeld, OpWhy, OpForget}, Ops())
	require.Equal(t, "get", OpGet.String())
	require.Equal(t, "op(12)", OpWatch.String())
	require.False(t, OpWatch.Known())
	require.False(t, Op(255).Known())
	require.Len(t, Codes(), 14)
	require.Equal(t, "condition_failed", CodeConditionFailed.String())
	require.Equal(t, "code(200)", Code(200).String())
	var writes []Op
	for _, op := range Ops() {
		if op.Writes() {
			writes = append(writes, op)
		}
	}
	require.Equal(t, []Op{OpPut, OpDelete, OpTouch, OpPersist, OpBatch}, writes)
}

func TestCheckNamesWhatCannotBeSent(t *testing.T) {
	key := []byte("k")
	long := make([]byte, 1<<16)
	for want, r := range map[string]Request{
		"unsupported: op(12)":                                                         {Op: OpWatch},
		"get: timeout is negative: malformed":                                         {Op: OpGet, Key: key, Timeout: -1},
		"put: TTL is negative: malformed":                                             {Op: OpPut, Key: key, TTL: -1},
		"put: expiry is negative: malformed":                                          {Op: OpPut, Key: key, ExpiresAt: -1},
		"get: key is 65536 bytes, a request can spell 65535: malformed":               {Op: OpGet, Key: long},
		"list: key is 65536 bytes, a request can spell 65535: malformed":              {Op: OpList, Prefix: long},
		"list: continuation key is 65536 bytes, a request can spell 65535: malformed": {Op: OpList, After: long},
		"get: extension is 1025 bytes, the limit is 1024: malformed":                  {Op: OpGet, Key: key, Ext: make([]byte, 1025)},
		"get: flags 0x0001 do not belong to it: malformed":                            {Op: OpGet, Key: key, TTL: 1},
		"put: more than one of TTL, expiry and keep-TTL: malformed":                   {Op: OpPut, Key: key, TTL: 1, KeepTTL: true},
		"put: both of if-absent and if-version: malformed":                            {Op: OpPut, Key: key, IfAbsent: true, IfVersion: testVersion},
		"touch: flags 0x0400 do not belong to it: malformed":                          {Op: OpTouch, Key: key, IfAbsent: true},
		"batch: 0 items, a request can spell 1 to 65536: malformed":                   {Op: OpBatch},
		"put: takes no items: malformed":                                              {Op: OpPut, Key: key, Items: []Request{{Op: OpPut, Key: key}}},
		"batch: item 2: get: an item is a put or a delete, without timeout, clock, concern and extension: malformed": {
			Op: OpBatch, Items: []Request{{Op: OpPut, Key: key}, {Op: OpGet, Key: key}},
		},
		"batch: item 1: put: TTL is negative: malformed": {Op: OpBatch, Items: []Request{{Op: OpPut, Key: key, TTL: -1}}},
		"ping: takes no key: malformed":                  {Op: OpPing, Key: key},
		"delete: takes no value: malformed":              {Op: OpDelete, Key: key, Value: key},
	} {
		require.EqualError(t, r.Check(), want)
	}
	for want, r := range map[string]Response{
		"response: retry hint is negative: malformed":                     {RetryAfter: -1},
		"response: expiry is negative: malformed":                         {ExpiresAt: -1},
		"response: extension is 1025 bytes, the limit is 1024: malformed": {Ext: make([]byte, 1025)},
		"response: 65537 entries, the limit is 65536: malformed":          {Entries: make([]Entry, MaxPageEntries+1)},
		"response: entry 1 does not fit a list: malformed":                {Entries: []Entry{{}, {Key: long}}},
	} {
		require.EqualError(t, r.Check(), want)
	}
}

func TestDurationsRoundUpAndSaturate(t *testing.T) {
	sent := Request{Op: OpPut, Key: []byte("k"), Timeout: math.MaxInt64, TTL: time.Nanosecond}
	var got Request
	require.NoError(t, got.Parse(OpPut, sent.AppendTo(nil)))
	require.Equal(t, time.Millisecond, got.TTL)
	require.Equal(t, math.MaxUint32*time.Millisecond, got.Timeout)

	sent = Request{Op: OpPut, Key: []byte("k"), TTL: math.MaxInt64}
	require.NoError(t, sent.Check())
	require.ErrorIs(t, got.Parse(OpPut, sent.AppendTo(nil)), ErrMalformed, "rounded up it is longer than any duration")
}

func TestALongMessageIsCutBetweenRunes(t *testing.T) {
	r := Response{Code: CodeInternal, Message: strings.Repeat("ä", MaxMessage)}
	r.Message = "x" + r.Message
	var got Response
	require.NoError(t, got.Parse(r.AppendTo(nil)))
	require.Equal(t, "x"+strings.Repeat("ä", (MaxMessage-1)/2), got.Message)
}

func TestFailKeepsTheClockAlone(t *testing.T) {
	r := Response{Clock: 7, Value: []byte("v"), Existed: true, Entries: []Entry{{Key: []byte("k")}}}
	r.Fail(CodeNotFound, "why")
	require.Equal(t, Response{Clock: 7, Code: CodeNotFound, Message: "why", Entries: []Entry{}}, r)
}

func TestEntrySizeIsWhatAnEntryTakes(t *testing.T) {
	e := Entry{Key: []byte("key"), Value: []byte("value")}
	require.Len(t, e.appendTo(nil), EntrySize(3, 5))
}

func bytesOf(most int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), 0, most) }

func drawRequest(t *rapid.T) Request {
	r := drawFields(t, rapid.SampledFrom(Ops()).Draw(t, "op"))
	r.Timeout = time.Duration(rapid.Uint32().Draw(t, "timeout")) * time.Millisecond
	r.Clock = rapid.Uint64().Draw(t, "clock")
	r.Ext = bytesOf(MaxExt).Draw(t, "ext")
	if spec, _ := r.Op.spec(); spec.flags&reqConcern != 0 {
		r.Concern = Concern(rapid.Uint8Range(0, uint8(ConcernAll)).Draw(t, "concern"))
	}
	if r.Op == OpBatch {
		for range rapid.IntRange(1, 5).Draw(t, "items") {
			r.Items = append(r.Items, drawFields(t, rapid.SampledFrom([]Op{OpPut, OpDelete}).Draw(t, "item's kind")))
		}
	}
	return r
}

func drawFields(t *rapid.T, op Op) Request {
	r := Request{Op: op}
	spec, _ := r.Op.spec()
	if r.Op == OpList {
		r.Prefix, r.After = bytesOf(300).Draw(t, "prefix"), bytesOf(300).Draw(t, "after")
		r.Limit, r.KeysOnly = rapid.Uint32().Draw(t, "limit"), rapid.Bool().Draw(t, "keys only")
	} else if spec.key {
		r.Key = bytesOf(300).Draw(t, "key")
	}
	if spec.value {
		r.Value = bytesOf(1000).Draw(t, "value")
	}
	if spec.flags&reqTTL != 0 {
		switch rapid.IntRange(0, 3).Draw(t, "expiry") {
		case 1:
			r.TTL = time.Duration(rapid.Int64Range(1, 1<<40).Draw(t, "TTL")) * time.Millisecond
		case 2:
			r.ExpiresAt = rapid.Int64Range(1, math.MaxInt64).Draw(t, "expires at")
		case 3:
			r.KeepTTL = spec.flags&reqKeepTTL != 0
		}
	}
	if spec.flags&reqIfVersion != 0 {
		switch rapid.IntRange(0, 2).Draw(t, "condition") {
		case 1:
			r.IfAbsent = true
		case 2:
			copy(r.IfVersion[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "demanded version"))
		}
	}
	return r
}

func TestRequestsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := drawRequest(t)
		require.NoError(t, sent.Check())
		body := sent.AppendTo(nil)
		require.Len(t, body, sent.HeadSize()+len(sent.Tail()))
		var got Request
		require.NoError(t, got.Parse(sent.Op, body))
		require.Equal(t, body, got.AppendTo(nil))
		for _, p := range [][2][]byte{{sent.Key, got.Key}, {sent.Value, got.Value}, {sent.Prefix, got.Prefix}, {sent.After, got.After}, {sent.Ext, got.Ext}} {
			require.True(t, bytes.Equal(p[0], p[1]))
		}
		require.Len(t, got.Items, len(sent.Items))
		for i, it := range got.Items {
			require.True(t, bytes.Equal(sent.Items[i].Key, it.Key))
			require.True(t, bytes.Equal(sent.Items[i].Value, it.Value))
			it.Key, it.Value = sent.Items[i].Key, sent.Items[i].Value
			require.Equal(t, sent.Items[i], it)
		}
		got.Items = sent.Items
		got.Key, got.Value, got.Prefix, got.After, got.Ext = sent.Key, sent.Value, sent.Prefix, sent.After, sent.Ext
		require.Equal(t, sent, got)
	})
}

func TestResponsesSurviveTheWire(t *testing.T) {
	version := rapid.Custom(func(t *rapid.T) (v [16]byte) {
		copy(v[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "version"))
		return v
	})
	entry := rapid.Custom(func(t *rapid.T) Entry {
		return Entry{
			Key: bytesOf(50).Draw(t, "key"), Value: bytesOf(50).Draw(t, "value"),
			Version: version.Draw(t, "version"), ExpiresAt: rapid.Int64Min(0).Draw(t, "expires at"),
		}
	})
	var got Response // used again, as a connection does
	rapid.Check(t, func(t *rapid.T) {
		sent := Response{
			Code:       rapid.SampledFrom(Codes()).Draw(t, "code"),
			Message:    rapid.StringN(0, 100, MaxMessage).Draw(t, "message"),
			RetryAfter: time.Duration(rapid.Uint32().Draw(t, "retry")) * time.Millisecond,
			Clock:      rapid.Uint64().Draw(t, "clock"),
			Version:    version.Draw(t, "version"),
			ExpiresAt:  rapid.Int64Min(0).Draw(t, "expires at"),
			Value:      rapid.OneOf(rapid.Just[[]byte](nil), bytesOf(1000)).Draw(t, "value"),
			Existed:    rapid.Bool().Draw(t, "existed"),
			More:       rapid.Bool().Draw(t, "more"),
			Entries:    rapid.SliceOfN(entry, 0, 20).Draw(t, "entries"),
			Body:       bytesOf(200).Draw(t, "body"),
			Ext:        bytesOf(MaxExt).Draw(t, "ext"),
		}
		require.NoError(t, sent.Check())
		body := sent.AppendTo(nil)
		require.Len(t, body, sent.HeadSize()+len(sent.Tail()))
		require.NoError(t, got.Parse(body))
		require.Equal(t, body, got.AppendTo(nil))
		require.Equal(t, sent.Value == nil, got.Value == nil)
		require.Equal(t, len(sent.Entries), len(got.Entries))
		require.Equal(t, sent.Code, got.Code)
		require.Equal(t, sent.Message, got.Message)
		require.Equal(t, sent.Clock, got.Clock)
	})
}

func TestParsedBytesCannotBeAppendedInto(t *testing.T) {
	sent := Request{Op: OpPut, Key: []byte("key"), Value: []byte("value")}
	var got Request
	require.NoError(t, got.Parse(OpPut, sent.AppendTo(nil)))
	_ = append(got.Key, "overwrites what follows"...)
	require.Equal(t, "value", string(got.Value))
}

func TestHotMessagesDoNotAllocate(t *testing.T) {
	req := Request{Op: OpPut, Key: []byte("key"), Value: make([]byte, 100), TTL: time.Second}
	resp := Response{Value: make([]byte, 100), Version: [16]byte{1}}
	reqBody, respBody := req.AppendTo(nil), resp.AppendTo(nil)
	buf := make([]byte, 0, 1024)
	var gotReq Request
	var gotResp Response
	require.Zero(t, testing.AllocsPerRun(100, func() {
		buf = req.AppendTo(buf[:0])
		buf = resp.AppendTo(buf[:0])
		if gotReq.Parse(OpPut, reqBody) != nil || gotResp.Parse(respBody) != nil {
			t.Error("parse failed")
		}
	}))
}

func TestInfoOfANewerNodeIsReadAndBoundsAreKept(t *testing.T) {
	b, err := infoEnc.Marshal(map[string]any{"name": "a", "invented later": []int{1}})
	require.NoError(t, err)
	s, err := DecodeInfo[StatusInfo](b)
	require.NoError(t, err)
	require.Equal(t, StatusInfo{Name: "a"}, s)

	for name, b := range map[string][]byte{
		"empty":           {},
		"trailing":        {0xa0, 0},
		"truncated":       {0xa1, 0x64, 'n', 'a'},
		"other type":      {0x01},
		"many":            {0x9a, 0xff, 0xff, 0xff, 0xff},
		"indefinite":      {0x9f, 0xff},
		"duplicate":       {0xa2, 0x64, 'n', 'a', 'm', 'e', 0x61, 'x', 0x64, 'n', 'a', 'm', 'e', 0x61, 'y'},
		"nested too deep": bytes.Repeat([]byte{0x81}, 100),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeInfo[StatusInfo](b)
			require.ErrorIs(t, err, ErrMalformed)
			_, err = DecodeInfo[[]MemberInfo](b)
			require.Error(t, err)
		})
	}
}
