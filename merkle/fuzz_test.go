package merkle

import (
	"encoding/binary"
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
	case frameEndTurn:
		return &endMsg{}
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

// listening is a round that has spoken, and now waits for answers to a claim of
// each kind.
func listening() *Round {
	s := newStore(1, sharedKey)
	fill(100, s)
	r := NewRound(RoundConfig{Source: s, Salt: 1})
	r.key, r.peer.count = s.Key(), 100
	r.phase = phaseHearing
	s.tree.Walk(Range{}, 0, func(_ uint64, e *row) bool {
		r.ear.listed = append(r.ear.listed, e.item())
		return len(r.ear.listed) < 32+16+3
	})
	r.ear.claims = []claim{
		{kind: claimDigests},
		{kind: claimPrints, r: Range{Depth: 1}, span: span{0, 16}},
		{kind: claimHeaders, r: Range{Depth: 1}, span: span{16, 48}},
		{kind: claimDigests, r: Range{Depth: MaxDepth - 1}},
		{kind: claimPrints, r: Range{Depth: 2}, span: span{48, 51}},
		{kind: claimPrints, r: Range{Depth: 3}, span: span{51, 51}},
	}
	return r
}

func FuzzRanges(f *testing.F) {
	f.Add([]byte{leadSame, leadSame, leadSame, leadSame, leadSame, leadSame})
	f.Add([]byte{leadParts, 0x01, 0x80, leadPrints, leadWide + 1, 1, 2, 3, 4, 5, 6, 7, 8, leadWant, 0xff, 0xff, leadWant, 1, 0, 0, 0})
	f.Add([]byte{leadLater, leadHeaders, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, leadSame, leadPrints + 2, 1, 1, 2, 2})
	f.Add([]byte{
		leadSame, leadSame, leadSame, leadSame, leadSame, leadSame,
		leadReopen, 3, 0xab, 0xc0, leadPrints, leadReopen, 2, 0xac, leadDigests, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	})
	f.Fuzz(func(t *testing.T, statements []byte) {
		r := listening()
		err := r.Receive(append([]byte{byte(frameRanges)}, statements...))
		if err != nil {
			require.ErrorIs(t, err, ErrProtocol)
			require.Empty(t, r.mouth.debts)
			return
		}
		wantBounded(t, r)
		// Each debt stands for at least a byte that was sent.
		require.LessOrEqual(t, len(r.mouth.debts), len(statements))
	})
}

func FuzzEntries(f *testing.F) {
	s := newStore(1, sharedKey)
	s.put("key", "value")
	blob := s.AppendEntry(nil, s.rows["key"].item())
	f.Add(appendEntryBlob(nil, blob))
	f.Add(appendEntryBlob(appendEntryBlob(nil, blob), blob))
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
	require.LessOrEqual(t, len(r.ear.listed), (maxPrints+maxHeaders)*(MaxWindow+windowSlack))
	require.LessOrEqual(t, len(r.mouth.items), (maxPrints+maxHeaders)*(MaxWindow+windowSlack))
	require.LessOrEqual(t, len(r.mouth.prints), maxPrints*(MaxWindow+windowSlack))
	require.LessOrEqual(t, len(r.mouth.outbox), pageSize+maxHeaders+maxPrints)
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
