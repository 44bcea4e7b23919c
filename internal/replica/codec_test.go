package replica

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/merkle"
)

func goldenPush() *PushFrame {
	return &PushFrame{
		Seq: 1, Clock: 0x0102030405060708, Prev: 9,
		Entries: []*engine.Entry{
			{
				Key: "k", Value: []byte("v"), Kind: engine.KindPut, Checksum: engine.Checksum([]byte("v")),
				Version: engine.Version{Time: 10, Instance: 11}, Over: engine.Version{Time: 7, Instance: 8},
				ExpiresAt: 1_700_000_000_000,
			},
			{Key: "gone", Kind: engine.KindTombstone, Version: engine.Version{Time: 12, Instance: 11}},
		},
	}
}

var (
	goldenAck     = AckFrame{Seq: 1, Clock: 2, Refused: 3}
	goldenPayload = Payload{Clock: 0x0102030405060708, Root: merkle.Digest{Hi: 1, Lo: 2}, Ready: true}
)

const (
	goldenPushHex = "01" + "0000000000000001" + "0102030405060708" + "0000000000000009" + "0000" + "00000002" +
		"00000035" + "15" + "016b" + "000000000000000a000000000000000b" + "0000018bcfe56800" +
		"00000000000000070000000000000008" + "a293d43641f17ec1" + "0176" +
		"00000016" + "02" + "04676f6e65" + "000000000000000c000000000000000b"
	goldenAckHex     = "02" + "0000000000000001" + "0000000000000002" + "00000003" + "0000"
	goldenPayloadHex = "01" + "01" + "0102030405060708" + "00000000000000010000000000000002" + "00"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestThePushFrameHasItsBytes(t *testing.T) {
	require.Equal(t, goldenPushHex, hex.EncodeToString(goldenPush().AppendTo(nil)))
	got, err := ParsePush(unhex(goldenPushHex))
	require.NoError(t, err)
	require.Equal(t, goldenPush(), got)
}

func TestTheAckFrameHasItsBytes(t *testing.T) {
	require.Equal(t, goldenAckHex, hex.EncodeToString(goldenAck.AppendTo(nil)))
	got, err := ParseAck(unhex(goldenAckHex))
	require.NoError(t, err)
	require.Equal(t, goldenAck, got)
}

func TestThePayloadHasItsBytes(t *testing.T) {
	b := goldenPayload.AppendTo(nil)
	require.Equal(t, goldenPayloadHex, hex.EncodeToString(b))
	got, err := ParsePayload(b)
	require.NoError(t, err)
	require.Equal(t, goldenPayload, got)

	got, err = ParsePayload(Payload{}.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, Payload{}, got)
	require.LessOrEqual(t, MaxPayload, 256, "what the membership carries")
}

// parsers are all the decoders, each with a good input.
var parsers = map[string]struct {
	good  []byte
	parse func([]byte) error
}{
	"push":    {unhex(goldenPushHex), func(b []byte) error { _, err := ParsePush(b); return err }},
	"ack":     {unhex(goldenAckHex), func(b []byte) error { _, err := ParseAck(b); return err }},
	"payload": {unhex(goldenPayloadHex), func(b []byte) error { _, err := ParsePayload(b); return err }},
}

func TestEveryTruncationAndEveryTrailingByteIsRefused(t *testing.T) {
	for name, p := range parsers {
		require.NoError(t, p.parse(p.good), name)
		for n := range p.good {
			require.ErrorIs(t, p.parse(p.good[:n]), ErrMalformed, "%s cut to %d bytes", name, n)
		}
		require.ErrorIs(t, p.parse(append(slices.Clone(p.good), 0)), ErrMalformed, name)
	}
}

func TestAnotherKindOrVersionIsRefused(t *testing.T) {
	for name, p := range parsers {
		b := slices.Clone(p.good)
		b[0] = 99
		require.ErrorIs(t, p.parse(b), ErrMalformed, name)
	}
}

func TestExtensionsAreSkippedUpToTheirBound(t *testing.T) {
	extend := func(b []byte, at, lengthBytes, n int) []byte {
		ext := make([]byte, lengthBytes+n)
		if lengthBytes == 1 {
			ext[0] = byte(n)
		} else {
			binary.BigEndian.PutUint16(ext, uint16(n))
		}
		return slices.Replace(slices.Clone(b), at, at+lengthBytes, ext...)
	}
	for name, where := range map[string]struct{ at, lengthBytes, most int }{
		"push":    {25, 2, maxFrameExt},
		"ack":     {21, 2, maxFrameExt},
		"payload": {26, 1, maxPayloadExt},
	} {
		p := parsers[name]
		require.NoError(t, p.parse(extend(p.good, where.at, where.lengthBytes, where.most)), name)
		require.ErrorIs(t, p.parse(extend(p.good, where.at, where.lengthBytes, where.most+1)), ErrMalformed, name)
	}
}

func TestUnknownPayloadFlagsAreIgnored(t *testing.T) {
	b := unhex(goldenPayloadHex)
	b[1] = 0xfd
	got, err := ParsePayload(b)
	require.NoError(t, err)
	require.Equal(t, goldenPayload, got)
}

func TestAPushsCountIsCheckedBeforeAnythingIsAllocated(t *testing.T) {
	for _, count := range []uint32{0, 3, 1000, MaxPushEntries, MaxPushEntries + 1, 1<<32 - 1} {
		b := unhex(goldenPushHex)
		binary.BigEndian.PutUint32(b[27:], count)
		var err error
		allocs := testing.AllocsPerRun(1, func() { _, err = ParsePush(b) })
		require.ErrorIs(t, err, ErrMalformed)
		require.Less(t, allocs, 40.0)
	}
}

func TestAPushWithABadEntryIsRefused(t *testing.T) {
	b := unhex(goldenPushHex)
	b[pushFixed+4] = 0 // the kind
	_, err := ParsePush(b)
	require.ErrorIs(t, err, ErrMalformed)
	require.ErrorContains(t, err, "entry 0 of 2")
}

func TestAParsedPushAliasesNothing(t *testing.T) {
	b := unhex(goldenPushHex)
	got, err := ParsePush(b)
	require.NoError(t, err)
	clear(b)
	require.Equal(t, goldenPush(), got)
}

func FuzzParsePush(f *testing.F) {
	f.Add(unhex(goldenPushHex))
	f.Add((&PushFrame{Entries: goldenPush().Entries[1:]}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePush(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		again, err := ParsePush(p.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}

func FuzzParseAck(f *testing.F) {
	f.Add(unhex(goldenAckHex))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAck(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		again, err := ParseAck(a.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}

func FuzzParsePayload(f *testing.F) {
	f.Add(unhex(goldenPayloadHex))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePayload(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		again, err := ParsePayload(p.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}
