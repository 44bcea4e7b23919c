package merkle

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// message is what every message of fixed form has.
type message interface {
	appendTo([]byte) []byte
	parse(*reader) error
}

// messageOf is an empty message of that type, or nil.
func messageOf(t frameType) message {
	switch t {
	case frameOpen:
		return &openMsg{}
	case frameEqual:
		return &equalMsg{}
	case frameAccept:
		return &acceptMsg{}
	case frameOfferKey:
		return &offerMsg{}
	case frameRequestKey:
		return &requestMsg{}
	case frameFinish:
		return &finishMsg{}
	}
	return nil
}

// What a decoder takes, it writes again as the same bytes: each message has one
// form.
func FuzzMessage(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.msg.appendTo(nil))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) == 0 {
			return
		}
		m := messageOf(frameType(frame[0]))
		if m == nil || m.parse(&reader{b: frame[1:]}) != nil {
			return
		}
		require.Equal(t, frame, m.appendTo(nil))
	})
}

// listening is a round that has spoken, and now waits for answers to claims of
// each kind.
func listening() *Round {
	s := newStore(1, sharedKey)
	fill(100, s)
	r := NewRound(RoundConfig{Source: s, Salt: 1})
	r.key, r.own.count, r.peer.count = s.Key(), 100, 100
	r.phase = phaseHearing
	s.tree.Walk(Range{}, 0, func(pos uint64, _ *row) bool {
		r.ear.listed = append(r.ear.listed, listed{pos: pos})
		return len(r.ear.listed) < 16+32+3
	})
	r.ear.claims = []claim{
		{kind: claimDigests, n: 4},
		{kind: claimPrints, cut: cut{bits: 4}, n: 16},
		{kind: claimHeaders, cut: cut{bits: 4}, n: 32, from: 16},
		{kind: claimDigests, cut: cut{bits: 60}, n: 4},
		{kind: claimPrints, cut: cut{bits: 8}, n: 3, from: 48},
		{kind: claimPrints, cut: cut{bits: 12}, from: 51},
		{kind: claimDigests, cut: cut{bits: 5}, n: 1},
	}
	return r
}

// allSame answers each claim of listening with the least.
const allSame = "0" + "0" + "00000000" + "0" + "0" + "0" + "0"

// halves packs statements that are written as half bytes, one a digit.
func halves(digits ...string) (b []byte, odd bool) {
	var w nibbles
	for _, d := range strings.Join(digits, "") {
		if d == ' ' {
			continue
		}
		v, err := strconv.ParseUint(string(d), 16, 4)
		if err != nil {
			panic(err)
		}
		w.put(v, 1)
	}
	return w.b, w.odd
}

// rangesFrame is a frame of these.
func rangesFrame(digits ...string) []byte {
	b, odd := halves(digits...)
	return framed(&nibbles{b: b, odd: odd})
}

func framed(w *nibbles) []byte {
	t := byte(frameRanges)
	if w.odd {
		t |= frameOdd
	}
	return append([]byte{t}, w.b...)
}

func FuzzRanges(f *testing.F) {
	for _, digits := range []string{
		allSame,
		"2 0180 0 a1 0102030405060708" + "1 1111" + "10000000",
		"1" + "2 1000 1 123 01234 456 01234" + "00000000" + "3 2 111 222",
		"0" + "f 2 ab 01234" + "00000000" + "5 d 01020304" + "3" + "0" + "2 3 0 0",
		allSame + "0c abc 0 0d abd8 f 0102030405060708090a0b0c0d0e0f10",
	} {
		b, odd := halves(digits)
		f.Add(b, odd)
	}
	f.Fuzz(func(t *testing.T, statements []byte, odd bool) {
		r := listening()
		err := r.Receive(framed(&nibbles{b: statements, odd: odd}))
		if err != nil {
			require.ErrorIs(t, err, ErrProtocol)
			require.Empty(t, r.mouth.debts)
			return
		}
		wantBounded(t, r)
		// Each debt stands for at least a half byte that was sent.
		require.LessOrEqual(t, len(r.mouth.debts), 2*len(statements))
	})
}

func FuzzEntries(f *testing.F) {
	s := newStore(1, sharedKey)
	s.put("key", "value")
	blob := s.AppendEntry(nil, s.rows["key"].item())
	f.Add(appendEntryBlob(nil, blob, 0))
	f.Add(appendEntryBlob(appendEntryBlob(nil, blob, 0), blob, len(blob)))
	f.Add([]byte{})
	f.Add([]byte{0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1})
	f.Fuzz(func(t *testing.T, entries []byte) {
		r := listening()
		before := len(r.source.(*store).rows)
		err := r.Receive(append([]byte{byte(frameEntries)}, entries...))
		st := r.Stats()
		require.LessOrEqual(t, st.EntryBytesReceived, uint64(len(entries)))
		if err == nil {
			require.Positive(t, st.EntriesReceived)
			require.Equal(t, uint64(len(entries)+1), st.EntryBytesReceived+st.DigestReceived)
		}
		require.LessOrEqual(t, len(r.source.(*store).rows), before+int(st.Applied))
	})
}

// FuzzRound feeds arbitrary frames to both roles. The input is a list of frames
// with two bytes of length in front; the first byte of all chooses the role.
func FuzzRound(f *testing.F) {
	for _, initiator := range []bool{false, true} {
		f.Add(recorded(initiator))
	}
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) == 0 {
			return
		}
		s := newStore(1, sharedKey)
		fill(200, s)
		s.put("mine", "v")
		r := NewRound(RoundConfig{Initiator: in[0]&1 == 1, Source: s, Salt: 1, MaxFrame: 512})
		in = in[1:]
		for len(in) >= 2 {
			drain(t, r)
			n := min(int(binary.BigEndian.Uint16(in)), len(in)-2)
			if r.Receive(in[2:2+n]) != nil {
				break
			}
			wantBounded(t, r)
			in = in[2+n:]
		}
		drain(t, r)
		require.NoError(t, s.tree.Check())
	})
}

// The seeds reach the end of a round, so that the fuzzer begins from there.
func TestTheRecordedRoundsAreWhole(t *testing.T) {
	for _, initiator := range []bool{false, true} {
		in := recorded(initiator)
		s := newStore(1, sharedKey)
		fill(200, s)
		s.put("mine", "v")
		r := NewRound(RoundConfig{Initiator: initiator, Source: s, Salt: 1, MaxFrame: 512})
		for in = in[1:]; len(in) > 0; {
			drain(t, r)
			n := int(binary.BigEndian.Uint16(in))
			require.NoError(t, r.Receive(in[2:2+n]))
			in = in[2+n:]
		}
		drain(t, r)
		require.True(t, r.Done())
		require.True(t, r.Stats().Converged)
	}
}

// drain takes all frames that a round has to send. One turn answers at most as
// much as one turn may ask.
func drain(t *testing.T, r *Round) {
	for n := 0; ; n++ {
		require.Less(t, n, 10_000)
		frame, ok := r.Next(nil)
		if !ok {
			return
		}
		require.NotEmpty(t, frame)
		require.Less(t, len(frame), 512+(4<<10))
		wantBounded(t, r)
	}
}

func wantBounded(t *testing.T, r *Round) {
	require.LessOrEqual(t, len(r.ear.claims), MaxWindow+windowSlack)
	require.LessOrEqual(t, len(r.mouth.debts), 2*(MaxWindow+windowSlack))
	require.LessOrEqual(t, len(r.ear.listed), maxListed)
	require.LessOrEqual(t, len(r.mouth.owed), maxListed)
	require.LessOrEqual(t, len(r.mouth.prints), 4*maxWide*(MaxWindow+windowSlack))
	require.LessOrEqual(t, len(r.mouth.bytes), Fanout*(MaxWindow+windowSlack))
	require.LessOrEqual(t, len(r.mouth.outbox), 5*pageSize)
	require.LessOrEqual(t, len(r.mouth.later), maxLater)
}

// recorded is what FuzzRound's store received in an honest round, in FuzzRound's
// form.
func recorded(initiator bool) []byte {
	mine, theirs := newStore(1, sharedKey), newStore(2, sharedKey)
	fill(200, mine, theirs)
	mine.put("mine", "v")
	theirs.put("theirs", "v")
	theirs.put("key-0000003", "newer")
	out := []byte{0}
	a, b := theirs, mine
	if initiator {
		out[0], a, b = 1, mine, theirs
	}
	k := newTalk(panicker{}, a, b, 1, RoundConfig{MaxFrame: 512})
	to := k.b
	if initiator {
		to = k.a
	}
	for k.speak(k.a, k.b) || k.speak(k.b, k.a) {
		if len(to.inbox) > 0 {
			out = binary.BigEndian.AppendUint16(out, uint16(len(to.inbox[0])))
			out = append(out, to.inbox[0]...)
		}
		k.hear(k.a)
		k.hear(k.b)
	}
	k.wantDone()
	return out
}

type panicker struct{}

func (panicker) Errorf(string, ...any) { panic("a recorded round failed") }
func (panicker) FailNow()              { panic("a recorded round failed") }
