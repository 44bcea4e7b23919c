package replica

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
)

func goldenPush() *PushFrame {
	return &PushFrame{
		Seq: 1, Clock: 0x0102030405060708, Hidden: causal.Vector{{Time: 5, Instance: 3}},
		Entries: []*engine.Entry{
			{
				Key: "k", Value: []byte("v"), Kind: engine.KindPut, Checksum: engine.Checksum([]byte("v")),
				Version: engine.Version{Time: 10, Instance: 11}, Prev: 9, Over: engine.Version{Time: 7, Instance: 8},
				ExpiresAt: 1_700_000_000_000,
			},
			{Key: "gone", Kind: engine.KindTombstone, Version: engine.Version{Time: 12, Instance: 11}},
		},
	}
}

var (
	goldenAck     = AckFrame{Seq: 1, Clock: 2, Refused: 3, Held: 4}
	goldenHolding = KeyHolding{
		State: KeyExpired, Version: engine.Version{Time: 10, Instance: 11}, ExpiresAt: 1_700_000_000_000, Size: 5,
	}
	goldenPayload = Payload{
		Clock: 0x0102030405060708, Check: 0x0a0b0c0d0e0f, Cut: 7, Last: 0x0102030405060700, Ready: true,
		Report: causal.Report{Least: 0x0102030405060708 - 3*leastUnit, Departed: causal.Seen{Base: causal.Vector{{Time: 5, Instance: 3}}}},
	}
)

const (
	goldenPushHex = "01" + "0000000000000001" + "0102030405060708" + "01" + "0000000000000003" + "0000000000000005" + "00000002" +
		"01" + "00000035" + "15" + "016b" + "000000000000000a000000000000000b" + "0000018bcfe56800" +
		"00000000000000070000000000000008" + "a293d43641f17ec1" + "0176" +
		"00" + "00000016" + "02" + "04676f6e65" + "000000000000000c000000000000000b"
	goldenAckHex     = "02" + "0000000000000001" + "0000000000000002" + "00000003" + "00000004"
	goldenHeldHex    = "03" + "6b6579"
	goldenHoldingHex = "04" + "02" + "000000000000000a000000000000000b" + "0000018bcfe56800" + "00000005"
	goldenPayloadHex = "25" + "0102030405060708" + "0a0b0c0d0e0f" + "07" + "09" + "04" +
		"01" + "0000000000000003" + "0000000000000005" + "00" + "00"
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

func TestTheQuestionForAKeyAndItsAnswerHaveTheirBytes(t *testing.T) {
	require.Equal(t, goldenHeldHex, hex.EncodeToString(HeldFrame{Key: "key"}.AppendTo(nil)))
	held, err := ParseHeld(unhex(goldenHeldHex))
	require.NoError(t, err)
	require.Equal(t, HeldFrame{Key: "key"}, held)

	require.Equal(t, goldenHoldingHex, hex.EncodeToString(goldenHolding.AppendTo(nil)))
	for _, h := range []KeyHolding{goldenHolding, {}} {
		got, err := ParseHolding(h.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, h, got)
	}
	for name, b := range map[string][]byte{
		"a state past the last":    append([]byte{frameHolding, byte(keyStateEnd)}, unhex(goldenHoldingHex)[2:]...),
		"no version":               KeyHolding{State: KeyLive}.AppendTo(nil),
		"an expiry below zero":     KeyHolding{State: KeyLive, Version: engine.Version{Time: 1}, ExpiresAt: -1}.AppendTo(nil),
		"nothing, and more behind": {frameHolding, byte(KeyUnknown), 0},
	} {
		_, err := ParseHolding(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
	for name, b := range map[string][]byte{"no key": {frameHeld}, "a key too long": HeldFrame{Key: strings.Repeat("k", engine.MaxKeySize+1)}.AppendTo(nil)} {
		_, err := ParseHeld(b)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

func TestTheWordThatAMemberWillNotReturnHasItsBytes(t *testing.T) {
	const forgetHex, forgotHex = "05" + "000000000000000b" + "62", "06" + "6e6f"
	require.Equal(t, forgetHex, hex.EncodeToString(ForgetFrame{Instance: 11, Name: "b"}.AppendTo(nil)))
	forget, err := ParseForget(unhex(forgetHex))
	require.NoError(t, err)
	require.Equal(t, ForgetFrame{Instance: 11, Name: "b"}, forget)
	for n := range len(forgetHex) / 2 {
		_, err := ParseForget(unhex(forgetHex)[:n])
		require.ErrorIs(t, err, ErrMalformed)
	}
	for _, b := range [][]byte{ForgetFrame{Name: strings.Repeat("n", maxName+1)}.AppendTo(nil), append([]byte{frameHeld}, unhex(forgetHex)[1:]...)} {
		_, err := ParseForget(b)
		require.ErrorIs(t, err, ErrMalformed)
	}

	require.Equal(t, forgotHex, hex.EncodeToString(ForgotFrame{Reason: "no"}.AppendTo(nil)))
	for _, f := range []ForgotFrame{{}, {Reason: "no"}} {
		got, err := ParseForgot(f.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, f, got)
	}
	cut, err := ParseForgot(ForgotFrame{Reason: strings.Repeat("r", maxReason+1)}.AppendTo(nil))
	require.NoError(t, err)
	require.Len(t, cut.Reason, maxReason)
	for _, b := range [][]byte{nil, {frameForget}, append([]byte{frameForgot}, make([]byte, maxReason+1)...)} {
		_, err := ParseForgot(b)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func TestAKeysStateIsToldApart(t *testing.T) {
	e := engine.New(engine.Config{Instance: 1})
	const now = 1_000_000
	live, err := e.Put(now, "live", []byte("value"), engine.PutOptions{})
	require.NoError(t, err)
	expiring, err := e.Put(now, "expiring", []byte("v"), engine.PutOptions{ExpiresAt: now + 10})
	require.NoError(t, err)
	deleted, _, err := e.Delete(now, "deleted")
	require.NoError(t, err)

	require.Equal(t, KeyHolding{}, HoldingOf(e, now, "nobody's"))
	require.Equal(t, KeyHolding{State: KeyLive, Version: live.Version, Size: 5}, HoldingOf(e, now, "live"))
	require.Equal(t, KeyHolding{State: KeyDeleted, Version: deleted.Version}, HoldingOf(e, now, "deleted"))
	want := KeyHolding{State: KeyLive, Version: expiring.Version, ExpiresAt: now + 10, Size: 1}
	require.Equal(t, want, HoldingOf(e, now+9, "expiring"))
	want.State = KeyExpired
	require.Equal(t, want, HoldingOf(e, now+10, "expiring"))
	require.Equal(t, 1, e.Sweep(now+1_000_000, 10))
	want.Size = 0
	require.Equal(t, want, HoldingOf(e, now+1_000_000, "expiring"), "its value has gone")
}

func TestThePayloadHasItsBytes(t *testing.T) {
	b := goldenPayload.AppendTo(nil)
	require.Equal(t, goldenPayloadHex, hex.EncodeToString(b))
	got, err := ParsePayload(b)
	require.NoError(t, err)
	require.Equal(t, goldenPayload, got)

	got, err = ParsePayload((&Payload{}).AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, Payload{}, got)
	b = (&Payload{Ready: true, Full: true}).AppendTo(nil)
	require.EqualValues(t, payloadVersion|payloadReady|payloadFull, b[0])
	got, err = ParsePayload(b)
	require.NoError(t, err)
	require.Equal(t, Payload{Ready: true, Full: true}, got)
	require.LessOrEqual(t, MaxPayload, 256, "what the membership carries")
}

func TestThePayloadHasItsBytesOfThoseThatAreGone(t *testing.T) {
	p := Payload{Clock: 0x1000, Last: 0x1000, Report: causal.Report{Least: 0x1000}, Gone: GoneReport{
		Members: 0x0807060504030201, Reading: 0xf00, Of: []Standing{
			{Gone: engine.Gone{Instance: 5, Place: 3, Since: 0xe00}, Asks: true, Sure: true},
			{Gone: engine.Gone{Instance: 6, Unnamed: 0xf00}},
		},
	}}
	b := p.AppendTo(nil)
	head := len((&Payload{Clock: p.Clock, Last: p.Last, Report: p.Report}).AppendTo(nil))
	require.Equal(t, "0807060504030201"+"8002"+"02"+
		"0000000000000005"+"03"+"0000000000000003"+"8102"+"00"+
		"0000000000000006"+"00"+"0000000000000000"+"00"+"01", hex.EncodeToString(b[head:]))
	require.NotZero(t, b[0]&payloadGone)
	got, err := ParsePayload(b)
	require.NoError(t, err)
	require.Equal(t, p.Gone, got.Gone)
	for n := head; n < len(b); n++ {
		_, err := ParsePayload(b[:n])
		require.ErrorIs(t, err, ErrMalformed, "%d bytes", n)
	}
	for _, flags := range []byte{2, 4, 0xff} {
		bad := slices.Clone(b)
		bad[head+8+2+1+8] = flags
		_, err := ParsePayload(bad)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func TestThoseThatAreGoneAreAllToldInTurnAndNeverTooMany(t *testing.T) {
	p := Payload{Clock: 1 << 60, Report: causal.Report{Least: 1 << 60}}
	for i := range uint64(100) {
		p.Report.Departed.Base.Raise(causal.Dot{Time: 10, Instance: 1000 + i})
		p.Gone.Of = append(p.Gone.Of, Standing{Gone: engine.Gone{Instance: 100 + i, Place: i, Since: 1 + i}, Asks: true})
	}
	p.Gone.Reading = 1 << 60
	told, departed := make(map[uint64]Standing), causal.Seen{}
	for p.turn = range uint64(200) {
		b := p.AppendTo(nil)
		require.LessOrEqual(t, len(b), MaxPayload)
		got, err := ParsePayload(b)
		require.NoError(t, err)
		departed.Merge(&got.Report.Departed)
		for _, s := range got.Gone.Of {
			told[s.Instance] = s
		}
	}
	require.Len(t, told, 100)
	require.Equal(t, p.Report.Departed, departed)
	for _, s := range p.Gone.Of {
		require.Equal(t, s, told[s.Instance])
	}
}

// parsers are all the decoders, each with a good input.
var parsers = map[string]struct {
	good  []byte
	parse func([]byte) error
}{
	"push":    {unhex(goldenPushHex), func(b []byte) error { _, err := ParsePush(b); return err }},
	"ack":     {unhex(goldenAckHex), func(b []byte) error { _, err := ParseAck(b); return err }},
	"holding": {unhex(goldenHoldingHex), func(b []byte) error { _, err := ParseHolding(b); return err }},
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

func TestAnIdleClustersPayloadIsSmall(t *testing.T) {
	const hour = 3_600_000 << 16
	now := uint64(1_700_000_000_000) << 16
	p := Payload{Clock: now, Check: 1, Last: now - 24*hour, Ready: true, Report: causal.Report{Least: now - 2000<<16}}
	require.LessOrEqual(t, len(p.AppendTo(nil)), 24)
}

func TestALeastIsRoundedToTheSafeSide(t *testing.T) {
	for _, behind := range []uint64{0, 1, leastUnit - 1, leastUnit, leastUnit + 1, 1 << 50} {
		p := Payload{Clock: 1 << 52, Report: causal.Report{Least: 1<<52 - behind}}
		got, err := ParsePayload(p.AppendTo(nil))
		require.NoError(t, err)
		require.LessOrEqual(t, got.Report.Least, p.Report.Least)
		require.Less(t, p.Report.Least-got.Report.Least, uint64(leastUnit))
	}
}

func TestMoreDepartedInstancesThanFitGoByTurns(t *testing.T) {
	p := Payload{Clock: 1000}
	for i := range uint64(100) {
		p.Report.Departed.Base.Raise(causal.Dot{Time: i + 1, Instance: i})
		p.Report.Departed.Take(causal.Dot{Time: i + 10, Instance: i}, i+5)
	}
	var heard causal.Seen
	for range 200 {
		p.turn++
		b := p.AppendTo(nil)
		require.LessOrEqual(t, len(b), MaxPayload)
		got, err := ParsePayload(b)
		require.NoError(t, err)
		heard.Merge(&got.Report.Departed)
	}
	require.Equal(t, p.Report.Departed, heard)
}

func TestAPushsCountIsCheckedBeforeAnythingIsAllocated(t *testing.T) {
	for _, count := range []uint32{0, 3, 1000, MaxPushEntries, MaxPushEntries + 1, 1<<32 - 1} {
		b := unhex(goldenPushHex)
		binary.BigEndian.PutUint32(b[34:], count)
		var err error
		allocs := testing.AllocsPerRun(1, func() { _, err = ParsePush(b) })
		require.ErrorIs(t, err, ErrMalformed)
		require.Less(t, allocs, 40.0)
	}
}

func TestAPushWithABadEntryIsRefused(t *testing.T) {
	b := unhex(goldenPushHex)
	b[pushFixed+16+1+4] = 0 // the kind
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
	f.Add((&Payload{Clock: 1000, Gone: GoneReport{Members: 7, Reading: 900, Of: []Standing{
		{Gone: engine.Gone{Instance: 5, Place: 3, Since: 800}, Asks: true}, {Gone: engine.Gone{Instance: 6, Unnamed: 900}},
	}}}).AppendTo(nil))
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

func FuzzParseHolding(f *testing.F) {
	f.Add(unhex(goldenHoldingHex))
	f.Add(KeyHolding{}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHolding(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, b, h.AppendTo(nil))
	})
}

func FuzzParseHeld(f *testing.F) {
	f.Add(unhex(goldenHeldHex))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeld(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, b, h.AppendTo(nil))
	})
}

func FuzzParseForget(f *testing.F) {
	f.Add(ForgetFrame{Instance: 11, Name: "b"}.AppendTo(nil))
	f.Add(ForgotFrame{Reason: "no"}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := ParseForget(b); err == nil {
			require.Equal(t, b, got.AppendTo(nil))
		} else {
			require.ErrorIs(t, err, ErrMalformed)
		}
		if got, err := ParseForgot(b); err == nil {
			require.Equal(t, b, got.AppendTo(nil))
		} else {
			require.ErrorIs(t, err, ErrMalformed)
		}
	})
}
