package merkle

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// victim is a responder that has said its first turn to a peer which may say
// anything.
func victim(t *testing.T, n int) (*Round, *store) {
	s := newStore(1, sharedKey)
	fill(n, s)
	r := NewRound(RoundConfig{Source: s})
	open := openMsg{version: 1, salt: 1, standing: standing{keyID: sharedKey.ID(), created: sharedKey.Created, count: 1_000_000}}
	require.NoError(t, r.Receive(open.appendTo(nil)))
	drain64k(r)
	require.Equal(t, phaseHearing, r.phase)
	return r, s
}

func drain64k(r *Round) (frames [][]byte) {
	for {
		frame, ok := r.Next(nil)
		if !ok {
			return frames
		}
		frames = append(frames, frame)
	}
}

// answered answers the victim's first turn, which opens all sixteen parts.
const answered = "0000 0000 0000 0000"

func endFrame() []byte { return []byte{byte(frameEndTurn)} }

func finishFrame() []byte { return (&finishMsg{}).appendTo(nil) }

func TestWhatIsNotInTheProtocolEndsTheRound(t *testing.T) {
	for name, tc := range map[string]struct {
		frames [][]byte
		want   string
	}{
		"an empty frame":                 {[][]byte{{}}, "an empty frame"},
		"an unknown type":                {[][]byte{{42, 1, 2}}, "frame of unknown type 42 out of turn"},
		"a flag where there is none":     {[][]byte{{byte(frameEndTurn) | frameLast}}, "frame of unknown type 136 out of turn"},
		"padding where there is none":    {[][]byte{{byte(frameEntries) | frameOdd}}, "frame of unknown type 71 out of turn"},
		"an opening out of turn":         {[][]byte{(&openMsg{version: 1}).appendTo(nil)}, "open out of turn"},
		"no statement":                   {[][]byte{rangesFrame()}, "ends too early"},
		"padding of nothing":             {[][]byte{{byte(frameRanges) | frameOdd}}, "ends too early"},
		"padding that says something":    {[][]byte{{byte(frameRanges) | frameOdd, 0x01}}, "bits that stand for nothing"},
		"no entry":                       {[][]byte{{byte(frameEntries)}}, "ends too early"},
		"an entry past the frame":        {[][]byte{{byte(frameEntries), 10, 1}}, "an entry of 5 bytes in the 1 that are left"},
		"an entry of nothing":            {[][]byte{{byte(frameEntries), 0, 1}}, "an entry of 0 bytes"},
		"an entry of less":               {[][]byte{{byte(frameEntries), 1, 1}}, "an entry of -1 bytes"},
		"what the source cannot parse":   {[][]byte{{byte(frameEntries), 2, 1}}, "entry of 1 bytes: no row"},
		"an unknown speech":              {[][]byte{rangesFrame("3 b")}, "code 0xb opens cut"},
		"too many fingerprints":          {[][]byte{rangesFrame("3 9 29")}, "41 fingerprints counted"},
		"a count that has a code":        {[][]byte{rangesFrame("3 9 08")}, "8 fingerprints counted"},
		"wide fingerprints, but none":    {[][]byte{rangesFrame("3 a 0")}, "not in its shortest form"},
		"parts, but none":                {[][]byte{rangesFrame("2 0000")}, "a bitmap with nothing in it"},
		"one part as if it were several": {[][]byte{rangesFrame("2 0010 0")}, "not in its shortest form"},
		"a part with no speech":          {[][]byte{rangesFrame("3")}, "ends too early"},
		"an answer to nothing":           {[][]byte{rangesFrame(answered, "41")}, "a cut of 65 bits, at most 64"},
		"bits below a prefix":            {[][]byte{rangesFrame(answered, "03 1 0")}, "a cut of 3 bits with bits below its prefix"},
		"digests of a single position":   {[][]byte{rangesFrame(answered, "40 0102030405060708 c 0102")}, "code 0xc opens cut 0102030405060708/64"},
		"digests of less than one":       {[][]byte{rangesFrame(answered, "3e 0102030405060708 e")}, "code 0xe opens cut"},
		"one cut twice":                  {[][]byte{rangesFrame(answered, "08 05 0", "08 05 0")}, "cut 0500000000000000/8 reopened after 0500000000000000/8"},
		"cuts that overlap":              {[][]byte{rangesFrame(answered, "04 5 0", "08 5f 0")}, "cut 5f00000000000000/8 reopened after 5000000000000000/4"},
		"cuts that descend":              {[][]byte{rangesFrame(answered, "08 05 0"), rangesFrame("08 04 0")}, "cut 0400000000000000/8 reopened after"},
		"a turn that asks nothing":       {[][]byte{rangesFrame(answered), endFrame()}, "a turn that asks nothing"},
		"a question not answered":        {[][]byte{finishFrame()}, "0 of 16 statements answered"},
		"a finish with questions":        {[][]byte{rangesFrame(answered, "04 5 c 0102"), finishFrame()}, "questions open at the end"},
		"a finish with a list":           {[][]byte{rangesFrame(answered, "04 5 0"), finishFrame()}, "questions open at the end"},
		"trailing bytes after an ending": {[][]byte{append(endFrame(), 0)}, "trailing bytes"},
		"a last frame that asks nothing": {[][]byte{append([]byte{byte(frameRanges) | frameLast}, rangesFrame(answered)[1:]...)}, "a turn that asks nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := victim(t, 1000)
			rows, observed := maps.Clone(s.rows), len(s.observed)
			var err error
			for i, frame := range tc.frames {
				err = r.Receive(frame)
				if i < len(tc.frames)-1 {
					require.NoError(t, err)
				}
			}
			require.ErrorContains(t, err, tc.want)
			if name != "what the source cannot parse" {
				require.ErrorIs(t, err, ErrProtocol)
			}
			require.Equal(t, rows, s.rows)
			require.Len(t, s.observed, observed)
			require.Equal(t, err, r.Receive(finishFrame()), "a failed round stays failed")
			require.False(t, r.Done())
			require.Empty(t, drain64k(r))
		})
	}
}

func TestAnswersToListsAreChecked(t *testing.T) {
	for name, tc := range map[string]struct{ statements, want string }{
		"bits past the list":         {"0 0 00000000 0 1 8", "stand for nothing"},
		"want nothing":               {"0 1 0000", "nothing in it"},
		"want one at length":         {"0 1 1000", "not in its shortest form"},
		"want past the list":         {"0 0 00000000 0 6", "entry 3 of 3"},
		"want of nothing":            {"0 0 00000000 0 0 3", "entry 0 of 0"},
		"headers and no want":        {"0 2 0000 1", "nothing in it"},
		"headers that have a code":   {"0 2 1000 0", "not in its shortest form"},
		"headers counted at length":  {"0 2 1000 f 0f", "15 headers counted"},
		"too many headers":           {"0 2 1000 f 29", "41 headers counted"},
		"headers cut short":          {"0 2 1000 1 000 00000", "ends too early"},
		"a header past the list":     {"0 0 00000000 0 f 3 12 12345", "past the 3 listed"},
		"headers of nothing":         {"0 0 00000000 0 0 2 0", "nothing in it"},
		"a part past the last":       {"0 0 00000000 0 0 0 5", "part 2 of 2"},
		"bits past the parts":        {"0 0 00000000 0 0 0 2 7", "stand for nothing"},
		"parts beyond a position":    {"0 0 00000000 3 c 0102", "opens cut"},
		"all answered, and one more": {allSame + "0", "ends too early"},
	} {
		t.Run(name, func(t *testing.T) {
			err := listening().Receive(rangesFrame(tc.statements))
			require.ErrorIs(t, err, ErrProtocol)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestEveryTruncationOfAStatementIsRefused(t *testing.T) {
	pieces := []string{
		"2 0300 a1 0102030405060708 f 0102030405060708090a0b0c0d0e0f10",
		"2 1000 1 123 01234 456 01234",
		"80000000",
		"3 2 123 456",
		"f 1 12 01234",
		"0",
		"2 3 9 09 111222333444555666777888999 1 123",
		"0c abc 1 123",
		"0e abd4 d 01020304",
	}
	whole := strings.ReplaceAll(strings.Join(pieces, ""), " ", "")
	require.NoError(t, listening().Receive(rangesFrame(whole)))
	ends, at := map[int]bool{}, 0
	for _, piece := range pieces {
		at += len(strings.ReplaceAll(piece, " ", ""))
		ends[at] = true
	}
	for n := 1; n < len(whole); n++ {
		err := listening().Receive(rangesFrame(whole[:n]))
		if ends[n] {
			require.NoError(t, err, "cut between statements, at %d", n)
			continue
		}
		require.ErrorIs(t, err, errShort, "cut to %d", n)
	}
}

func TestATurnMayOpenSoManyCutsAndNoMore(t *testing.T) {
	r, _ := victim(t, 1000)
	open := func(from, n int) []byte {
		var w nibbles
		if from == 0 {
			w.put(0, Fanout)
		}
		for i := range n {
			w.putCut(cut{first: uint64(from+i) << 44, bits: 20})
			w.putList(0, false)
		}
		return framed(&w)
	}
	require.NoError(t, r.Receive(open(0, MaxWindow)))
	require.ErrorContains(t, r.Receive(open(MaxWindow, windowSlack+1)), "more than 131088 cuts in one turn")
}

// A peer that calls everything different, for ever, costs time and bytes, but
// neither memory nor data.
func TestAPeerThatOpensEverythingIsBounded(t *testing.T) {
	r, s := victim(t, 500)
	want := union(s)
	rng := rand.New(rand.NewPCG(1, 1))
	fullest := 0
	for range 5 {
		// None of the own questions lead anywhere; as many new ones as fit.
		var w nibbles
		answerNothing(&w, r)
		for i := range MaxWindow {
			w.putCut(cut{first: uint64(i) << 47, bits: 17})
			w.put(speechDigests+maxFanBits, 1)
			for range Fanout {
				w.put(uint64(rng.Uint32()&0xff), 2)
			}
		}
		require.NoError(t, r.Receive(framed(&w)))
		wantBounded(t, r)
		require.NoError(t, r.Receive(endFrame()))
		for range 1_000_000 {
			_, ok := r.Next(nil)
			if !ok {
				break
			}
			wantBounded(t, r)
			fullest = max(fullest, len(r.mouth.later))
		}
		require.Equal(t, phaseHearing, r.phase)
	}
	require.Equal(t, maxLater, fullest, "the fault struck")
	s.want(t, want)
}

// answerNothing answers each claim of r with the least.
func answerNothing(w *nibbles, r *Round) {
	for _, c := range r.ear.claims {
		if c.kind == claimHeaders {
			w.putBits(0, int(c.n))
		} else {
			w.put(answerSame, 1)
		}
	}
}

func TestARoundWithoutEndIsEnded(t *testing.T) {
	r, _ := victim(t, 100)
	r.stats.Turns = maxTurns - 20
	var err error
	for range 20 {
		var w nibbles
		answerNothing(&w, r)
		w.putCut(cut{first: 0x0102030405060708, bits: positionBits})
		w.putList(0, false)
		require.NoError(t, r.Receive(framed(&w)))
		if err = r.Receive(endFrame()); err != nil {
			break
		}
		drain64k(r)
	}
	require.ErrorIs(t, err, ErrProtocol)
	require.ErrorContains(t, err, "more than 65536 turns")
}

func TestDamagedFramesDoNoHarm(t *testing.T) {
	refused := 0
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 3))
		a, b := newStore(1, sharedKey), newStore(2, sharedKey)
		fill(300, a, b)
		diverge(rng, 60, 300, a, b)
		k := newTalk(t, a, b, seed, RoundConfig{MaxFrame: 200})
		strike := rng.IntN(25)
		ends := func(from, to *side) bool {
			if !k.speak(from, to) {
				return false
			}
			frame := to.inbox[0]
			to.inbox = nil
			if k.frames == strike {
				frame = damaged(rng, frame)
			}
			if to.Receive(frame) != nil {
				refused++
				return true
			}
			return false
		}
		// A damaged frame may also leave both waiting; the shell's deadline ends
		// that.
		for before := -1; before != k.frames; {
			before = k.frames
			if ends(k.a, k.b) || ends(k.b, k.a) {
				break
			}
		}
		require.NoError(t, a.tree.Check())
		require.NoError(t, b.tree.Check())
		require.LessOrEqual(t, converge(t, a, b, seed, RoundConfig{}), 3)
	}
	require.Greater(t, refused, 40, "the fault struck")
}

func damaged(rng *rand.Rand, frame []byte) []byte {
	switch rng.IntN(4) {
	case 0:
		return frame[:rng.IntN(len(frame))]
	case 1:
		return append(frame, byte(rng.Uint32()))
	case 2:
		frame[rng.IntN(len(frame))] ^= 1 << rng.IntN(8)
		return frame
	default:
		junk := make([]byte, rng.IntN(100))
		for i := range junk {
			junk[i] = byte(rng.Uint32())
		}
		return junk
	}
}

func TestKeysAreExchangedOnceAtMost(t *testing.T) {
	younger := Key{Created: 2000, Secret: [16]byte{1}}
	open := func(k Key) []byte {
		m := openMsg{version: 1, standing: standing{keyID: k.ID(), created: k.Created}}
		return m.appendTo(nil)
	}
	offer := func(k Key) []byte { m := offerMsg{key: k}; return m.appendTo(nil) }
	request := func() []byte { m := requestMsg{}; return m.appendTo(nil) }
	oldest := Key{Created: 1, Secret: [16]byte{2}}
	for name, tc := range map[string]struct {
		initiator bool
		frames    [][]byte
		want      error
	}{
		"initiator, two offers":          {true, [][]byte{offer(younger), offer(younger)}, ErrProtocol},
		"initiator, two requests":        {true, [][]byte{request(), request()}, ErrProtocol},
		"initiator, offer then request":  {true, [][]byte{offer(oldest), request()}, ErrProtocol},
		"responder, opened with a third": {false, [][]byte{open(younger), open(Key{Created: 3000, Secret: [16]byte{5}})}, ErrKeyChanged},
		"responder, another than opened": {false, [][]byte{open(oldest), offer(Key{Created: 1, Secret: [16]byte{5}})}, ErrKeyChanged},
		"responder, a key that loses":    {false, [][]byte{open(younger), offer(younger)}, ErrKeyChanged},
		"responder, an age that was a lie": {false, [][]byte{
			(&openMsg{version: 1, standing: standing{keyID: younger.ID(), created: 1}}).appendTo(nil), offer(younger),
		}, ErrKeyChanged},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(1, sharedKey)
			r := NewRound(RoundConfig{Initiator: tc.initiator, Source: s})
			var err error
			for _, frame := range tc.frames {
				require.NoError(t, err)
				drain64k(r)
				err = r.Receive(frame)
			}
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestAWindowPastTheLimitIsAMistakeOfOurs(t *testing.T) {
	require.PanicsWithValue(t, fmt.Sprintf("merkle: RoundConfig.Window is %d, at most %d", MaxWindow+1, MaxWindow), func() {
		NewRound(RoundConfig{Window: MaxWindow + 1})
	})
}
