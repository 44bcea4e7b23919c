package engine

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// golden are entries and their bytes. A change to one breaks the protocol.
var golden = []struct {
	name  string
	entry Entry
	wire  string
}{
	{
		name:  "put",
		entry: Entry{Key: "a/b", Value: []byte("hello"), Version: Version{0x018bcfe568000007, 0xab}, Kind: KindPut, Checksum: 0x26c7827d889f6da3},
		wire:  "01" + "03612f62" + "018bcfe56800000700000000000000ab" + "26c7827d889f6da3" + "0568656c6c6f",
	},
	{
		name:  "put with everything",
		entry: Entry{Key: "k", Value: []byte{}, Version: Version{2, 1}, Over: Version{1, 3}, ExpiresAt: 1_700_000_000_000, Kind: KindPut, Checksum: 0xef46db3751d8e999},
		wire:  "15" + "016b" + "00000000000000020000000000000001" + "0000018bcfe56800" + "00000000000000010000000000000003" + "ef46db3751d8e999" + "00",
	},
	{
		name:  "reaped put",
		entry: Entry{Key: "k", Version: Version{2, 1}, ExpiresAt: 1_700_000_000_000, Kind: KindPut, Checksum: 0x26c7827d889f6da3, reaped: true},
		wire:  "0d" + "016b" + "00000000000000020000000000000001" + "0000018bcfe56800" + "26c7827d889f6da3",
	},
	{
		name:  "tombstone",
		entry: Entry{Key: "k", Version: Version{2, 1}, Over: Version{1, 3}, Kind: KindTombstone},
		wire:  "12" + "016b" + "00000000000000020000000000000001" + "00000000000000010000000000000003",
	},
}

func TestGoldenEntries(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			wire := AppendEntry([]byte("before"), &g.entry)
			require.Equal(t, "before", string(wire[:6]))
			require.Equal(t, g.wire, hex.EncodeToString(wire[6:]))
			require.Equal(t, len(wire)-6, EncodedSize(&g.entry))
			parsed, err := ParseEntry(wire[6:], 0)
			require.NoError(t, err)
			require.Equal(t, &g.entry, parsed)
		})
	}
}

func TestEveryTruncationOfAnEntryAndEveryTrailingByteIsMalformed(t *testing.T) {
	for _, g := range golden {
		wire, err := hex.DecodeString(g.wire)
		require.NoError(t, err)
		for n := range wire {
			_, err := ParseEntry(wire[:n], 0)
			require.ErrorIs(t, err, ErrMalformed, "%s cut to %d bytes", g.name, n)
		}
		_, err = ParseEntry(append(wire, 0), 0)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func TestEntriesSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t, rapid.StringN(1, 40, MaxKeySize).Draw(t, "key"), "entry")
		if e.Kind == KindPut && e.ExpiresAt != 0 && rapid.Bool().Draw(t, "reaped") {
			e.Value, e.reaped = nil, true
		}
		wire := AppendEntry(nil, e)
		require.Len(t, wire, EncodedSize(e))
		parsed, err := ParseEntry(wire, 0)
		require.NoError(t, err)
		require.Equal(t, e, parsed)

		clear(wire)
		require.Equal(t, e, parsed, "a parsed entry aliases nothing of the buffer")
	})
}

func TestAnExtensionIsSkipped(t *testing.T) {
	put := Entry{Key: "k", Value: []byte("v"), Version: Version{2, 1}, Kind: KindPut, Checksum: Checksum([]byte("v"))}
	with := func(ext string) []byte {
		w := AppendEntry(nil, &put)
		w[0] |= flagExtension
		value := w[len(w)-2:]
		return append(append(bytes.Clone(w[:len(w)-2]), ext...), value...)
	}
	parsed, err := ParseEntry(with("\x03abc"), 0)
	require.NoError(t, err)
	require.Equal(t, &put, parsed)
	parsed, err = ParseEntry(with("\x80\x08"+strings.Repeat("x", 1024)), 0)
	require.NoError(t, err)
	require.Equal(t, &put, parsed)
	_, err = ParseEntry(with("\x81\x08"+strings.Repeat("x", 1025)), 0)
	require.ErrorIs(t, err, ErrMalformed)
	_, err = ParseEntry(with("\x00"), 0)
	require.ErrorIs(t, err, ErrMalformed)
}

func TestParseEntryNamesWhatIsWrong(t *testing.T) {
	const version = "00000000000000020000000000000001"
	long := fmt.Sprintf("%x", strings.Repeat("k", MaxKeySize+1))
	for _, tc := range []struct{ wire, want string }{
		{"", "parse entry: flags needs 1 bytes, 0 are left: malformed"},
		{"41016b" + version, "parse entry: flags 01000000 are unknown: malformed"},
		{"00016b" + version, `parse entry: "k": kind 0 is unknown: malformed`},
		{"03016b" + version, `parse entry: "k": kind 3 is unknown: malformed`},
		{"0200" + version, `parse entry: "": key is empty: malformed`},
		{"028120" + long + version, "parse entry: key length is 4097, the limit is 4096: malformed"},
		{"028100" + "6b" + version, "parse entry: key length is not in its shortest form: malformed"},
		{"02ffffffffffffffffffff01", "parse entry: key length is cut off or too long: malformed"},
		{"02ffffffffffffffff7f", "parse entry: key length is 9223372036854775807, the limit is 4096: malformed"},
		{"02016b" + strings.Repeat("0", 32), `parse entry: "k": version has no time: malformed`},
		{"06016b" + version + "0000000000000001", `parse entry: "k": tombstone has a value or an expiry: malformed`},
		{"0a016b" + version, `parse entry: "k": tombstone has a value or an expiry: malformed`},
		{"05016b" + version + "0000000000000000", "parse entry: expiry is flagged and zero: malformed"},
		{"0d016b" + version + "8000000000000000" + "0000000000000000", `parse entry: "k": expiry -9223372036854775808 is out of range: malformed`},
		{"0d016b" + version + "0000e677d21fdc00" + "0000000000000000", `parse entry: "k": expiry 253402300800000 is out of range: malformed`},
		{"09016b" + version + "0000000000000000", `parse entry: "k": reaped entry has a value or no expiry: malformed`},
		{"12016b" + version + strings.Repeat("0", 32), "parse entry: replaced version is flagged and zero: malformed"},
		{"01016b" + version + "0000000000000000" + "0176", `parse entry: "k": value does not match its checksum: malformed`},
		{"01016b" + version + "0000000000000000" + "ffffffff0f", "parse entry: value length is 4294967295, the limit is 2147483647: malformed"},
		{"01016b" + version + "0000000000000000" + "ffffffff07", "parse entry: value needs 2147483647 bytes, 0 are left: malformed"},
		{"02016b" + version + "00", "parse entry: 1 bytes follow the entry: malformed"},
	} {
		wire, err := hex.DecodeString(tc.wire)
		require.NoError(t, err)
		_, err = ParseEntry(wire, 0)
		require.EqualError(t, err, tc.want)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func TestParseEntryKnowsALargeValueFromAMalformedOne(t *testing.T) {
	value := make([]byte, 2200)
	wire := AppendEntry(nil, &Entry{Key: "k", Value: value, Version: Version{2, 1}, Kind: KindPut, Checksum: Checksum(value)})
	_, err := ParseEntry(wire, 2200)
	require.NoError(t, err)
	_, err = ParseEntry(wire, 1024)
	require.ErrorIs(t, err, ErrValueTooLarge)
	require.EqualError(t, err, `parse entry: "k": value is 2.1 KiB, the limit is 1 KiB: too large`)
}

func FuzzParseEntry(f *testing.F) {
	for _, g := range golden {
		wire, err := hex.DecodeString(g.wire)
		require.NoError(f, err)
		f.Add(wire)
		f.Add(wire[:len(wire)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEntry(b, 0)
		if err != nil {
			require.Nil(t, e)
			return
		}
		require.NoError(t, e.validate())
		wire := AppendEntry(nil, e)
		require.Len(t, wire, EncodedSize(e))
		if b[0]&flagExtension == 0 {
			require.Equal(t, b, wire, "an entry has one encoding")
		}
		again, err := ParseEntry(wire, 0)
		require.NoError(t, err)
		require.Equal(t, e, again)
	})
}

func TestInARoundAnEntryGoesWithoutWhatTheReceiverCanCompute(t *testing.T) {
	full := Entry{
		Key: "k", Value: []byte("value"), Kind: KindPut, Checksum: Checksum([]byte("value")), ExpiresAt: 5,
		Version: Version{Time: 3, Instance: 4}, Over: Version{Time: 1, Instance: 2},
	}
	wire := appendEntry(nil, &full, true)
	require.Len(t, wire, 1+1+1+16+8+5)
	var got Entry
	require.NoError(t, parseEntry(&got, wire, 0, true))
	full.Over = Version{}
	require.Equal(t, full, got)

	reaped := full
	reaped.Value, reaped.reaped = nil, true
	got = Entry{}
	require.NoError(t, parseEntry(&got, appendEntry(nil, &reaped, true), 0, true))
	require.Equal(t, reaped.Checksum, got.Checksum, "without the value it has to go along")
}

func FuzzParseEntryOfARound(f *testing.F) {
	for _, g := range golden {
		wire, err := hex.DecodeString(g.wire)
		require.NoError(f, err)
		f.Add(wire)
		e, err := ParseEntry(wire, 0)
		require.NoError(f, err)
		f.Add(appendEntry(nil, e, true))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Entry
		if parseEntry(&e, b, 0, true) != nil {
			return
		}
		require.NoError(t, e.validate())
		if wire := appendEntry(nil, &e, true); b[0]&flagExtension == 0 {
			require.Equal(t, b, wire, "an entry has one encoding")
		}
	})
}
