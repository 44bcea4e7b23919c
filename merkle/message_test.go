package merkle

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var vectors = []struct {
	name string
	msg  message
	hex  string
}{
	{"open", &openMsg{version: 1, salt: 0x0102030405060708, standing: standing{clock: 9, keyID: 10, created: 11, root: Digest{Hi: 12, Lo: 13}, count: 300}, parts: [Fanout]byte{14, 15: 15}}, "010101020304050607080000000000000009000000000000000a000000000000000b000000000000000c000000000000000dac020e00000000000000000000000000000f00"},
	{"open with extension", &openMsg{version: 1, ext: []byte("later")}, "0101" + strings.Repeat("00", 8+8+8+8+16+1+16) + "056c61746572"},
	{"equal", &equalMsg{clock: 9, created: 11}, "020000000000000009000000000000000b00"},
	{"accept", &acceptMsg{clock: 9, created: 11, count: 300}, "030000000000000009000000000000000bac0200"},
	{"key offer", &offerMsg{clock: 9, key: Key{Created: 11, Secret: [16]byte{1, 2, 3}}}, "040000000000000009000000000000000b01020300000000000000000000000000"},
	{"key request", &requestMsg{clock: 9}, "050000000000000009"},
	{"finish", &finishMsg{root: Digest{Hi: 12, Lo: 13}}, "09000000000000000c000000000000000d00"},
}

func TestMessagesHaveTheirGoldenForm(t *testing.T) {
	for _, v := range vectors {
		require.Equal(t, v.hex, hex.EncodeToString(v.msg.appendTo(nil)), v.name)
	}
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	for _, v := range vectors {
		frame := v.msg.appendTo(nil)
		got := messageOf(frameType(frame[0]))
		require.NoError(t, got.parse(&reader{b: frame[1:]}), v.name)
		require.Equal(t, frame, got.appendTo(nil), v.name)
	}
}

func TestEveryTruncationOfAMessageIsRefused(t *testing.T) {
	for _, v := range vectors {
		frame := v.msg.appendTo(nil)
		for n := 1; n < len(frame); n++ {
			err := messageOf(frameType(frame[0])).parse(&reader{b: frame[1:n:n]})
			require.ErrorIs(t, err, errShort, "%s cut to %d", v.name, n)
		}
		frame = append(frame, 0)
		require.ErrorIs(t, messageOf(frameType(frame[0])).parse(&reader{b: frame[1:]}), errTrailing, v.name)
	}
}

func TestAnotherVersionIsRefusedByName(t *testing.T) {
	m := openMsg{version: 2}
	r := NewRound(RoundConfig{Source: newStore(1, sharedKey)})
	err := r.Receive(append(m.appendTo(nil), "what version 2 adds"...))
	require.ErrorIs(t, err, ErrVersion)
	require.ErrorContains(t, err, "round: open: ")
	require.ErrorContains(t, err, "version 2, this node speaks 1")
}

func TestExtensionsAreIgnoredButBounded(t *testing.T) {
	fits := openMsg{version: 1, ext: make([]byte, maxExt)}
	r := NewRound(RoundConfig{Source: newStore(1, sharedKey)})
	require.NoError(t, r.Receive(fits.appendTo(nil)))

	over := openMsg{version: 1, ext: make([]byte, maxExt+1)}
	r = NewRound(RoundConfig{Source: newStore(1, sharedKey)})
	require.ErrorIs(t, r.Receive(over.appendTo(nil)), ErrProtocol)
}

func TestNumbersHaveOneForm(t *testing.T) {
	for in, want := range map[string]error{
		"\x00": nil, "\x7f": nil, "\x80\x01": nil,
		"": errShort, "\x80": errShort,
		"\x80\x00": errNumber, "\xff\x80\x00": errNumber,
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01": errNumber,
	} {
		r := reader{b: []byte(in)}
		r.uvarint()
		require.Equal(t, want, r.end(), "%x", in)
	}
}

func TestTypesAndOutcomesHaveNames(t *testing.T) {
	require.Equal(t, "key offer", frameOfferKey.String())
	require.Equal(t, "frame of unknown type 99", frameType(99).String())
	require.Equal(t, "frame of unknown type 0", frameType(0).String())
	require.Equal(t, []string{"applied", "ignored", "refused", "unknown"},
		[]string{Applied.String(), Ignored.String(), Refused.String(), Outcome(0).String()})
}
