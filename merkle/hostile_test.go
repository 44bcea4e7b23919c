package merkle

import (
	"fmt"
	"maps"
	"math/rand/v2"
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

func rangesFrame(statements ...byte) []byte { return append([]byte{byte(frameRanges)}, statements...) }

func endFrame() []byte { return (&endMsg{}).appendTo(nil) }

func finishFrame() []byte { return (&finishMsg{}).appendTo(nil) }

func TestWhatIsNotInTheProtocolEndsTheRound(t *testing.T) {
	digests := append([]byte{leadDigests}, make([]byte, Fanout)...)
	reopen := func(depth, prefix byte) []byte {
		return append([]byte{leadReopen, depth, prefix}, digests...)
	}
	for name, tc := range map[string]struct {
		frames [][]byte
		want   string
	}{
		"an empty frame":                 {[][]byte{{}}, "an empty frame"},
		"an unknown type":                {[][]byte{{42, 1, 2}}, "frame of unknown type 42 out of turn"},
		"an opening out of turn":         {[][]byte{(&openMsg{version: 1}).appendTo(nil)}, "open out of turn"},
		"no statement":                   {[][]byte{rangesFrame()}, "ends too early"},
		"no entry":                       {[][]byte{{byte(frameEntries)}}, "ends too early"},
		"an entry past the frame":        {[][]byte{{byte(frameEntries), 5, 1}}, "an entry of 5 bytes in the 1 that are left"},
		"an entry of nothing":            {[][]byte{{byte(frameEntries), 0, 1}}, "an entry of 0 bytes"},
		"what the source cannot parse":   {[][]byte{{byte(frameEntries), 1, 1}}, "entry of 1 bytes: no row"},
		"a wrong answer to digests":      {[][]byte{rangesFrame(leadHeaders)}, "lead byte 0x54 in answer to digests"},
		"an unknown lead byte":           {[][]byte{rangesFrame(0xff)}, "lead byte 0xff in answer to digests"},
		"digests in answer to digests":   {[][]byte{rangesFrame(digests...)}, "lead byte 0x40 in answer to digests"},
		"too many fingerprints":          {[][]byte{rangesFrame(leadPrints + maxPrints + 1)}, "lead byte 0x11"},
		"parts, but none":                {[][]byte{rangesFrame(leadParts, 0, 0)}, "a bitmap with nothing in it"},
		"a part with no speech":          {[][]byte{rangesFrame(leadParts, 1, 0)}, "ends too early"},
		"a wrong speech":                 {[][]byte{rangesFrame(leadParts, 1, 0, leadWant)}, "opens range 0"},
		"an answer to nothing":           {[][]byte{rangesFrame(leadSame, leadSame)}, "lead byte 0x50 in answer to nothing"},
		"a depth past the last":          {[][]byte{rangesFrame(leadSame, leadReopen, MaxDepth+1)}, "a range of depth 17"},
		"bits below a prefix":            {[][]byte{rangesFrame(append([]byte{leadSame}, reopen(1, 0x11)...)...)}, "bits below its prefix"},
		"digests of a single position":   {[][]byte{rangesFrame(leadSame, leadReopen, MaxDepth, 1, 2, 3, 4, 5, 6, 7, 8, leadDigests)}, "opens range 0102030405060708"},
		"one range twice":                {[][]byte{rangesFrame(append([]byte{leadSame}, append(reopen(2, 5), reopen(2, 5)...)...)...)}, "range 05 reopened after 05"},
		"ranges that overlap":            {[][]byte{rangesFrame(append([]byte{leadSame}, append(reopen(1, 0x50), reopen(2, 0x5f)...)...)...)}, "range 5f reopened after 5"},
		"ranges that descend":            {[][]byte{rangesFrame(append([]byte{leadSame}, reopen(2, 5)...)...), rangesFrame(reopen(2, 4)...)}, "range 04 reopened after 05"},
		"a turn that asks nothing":       {[][]byte{rangesFrame(leadSame), endFrame()}, "a turn that asks nothing"},
		"a question not answered":        {[][]byte{finishFrame()}, "0 of 1 statements answered"},
		"a finish with questions":        {[][]byte{rangesFrame(append([]byte{leadSame}, reopen(1, 0x50)...)...), finishFrame()}, "questions open at the end"},
		"a finish with a list":           {[][]byte{rangesFrame(leadPrints), finishFrame()}, "questions open at the end"},
		"trailing bytes after an ending": {[][]byte{append(endFrame(), 0)}, "trailing bytes"},
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
	head := []byte{leadSame} // listening()'s first claim
	for name, tc := range map[string]struct {
		statements []byte
		want       string
	}{
		"bits past the list":     {[]byte{leadSame, leadSame, leadSame, leadWant, 0x08}, "stand for nothing"},
		"want nothing":           {[]byte{leadWant, 0, 0}, "nothing in it"},
		"want of nothing":        {[]byte{leadSame, leadSame, leadSame, leadSame, leadWant}, "nothing in it"},
		"no headers":             {[]byte{leadHeaders, 1, 0, 0}, "0 headers"},
		"too many headers":       {[]byte{leadHeaders, 1, 0, 33}, "33 headers"},
		"headers cut short":      {[]byte{leadHeaders, 1, 0, 1, 0, 0, 0, 1, 0}, "ends too early"},
		"headers to headers":     {[]byte{leadSame, leadHeaders}, "in answer to headers"},
		"parts to fingerprints":  {[]byte{leadParts}, "in answer to fingerprints"},
		"speech to fingerprints": {[]byte{leadPrints}, "in answer to fingerprints"},
	} {
		t.Run(name, func(t *testing.T) {
			err := listening().Receive(rangesFrame(append(head, tc.statements...)...))
			require.ErrorIs(t, err, ErrProtocol)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestEveryTruncationOfAStatementIsRefused(t *testing.T) {
	whole := []byte{
		leadParts, 0x03, 0x00, leadWide + 1, 1, 2, 3, 4, 5, 6, 7, 8, leadDigests, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
		leadHeaders, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9,
		leadWant, 1, 0, 0, 0x80,
		leadPrints + 2, 1, 2, 3, 4,
		leadWant, 7,
		leadSame,
		leadReopen, 3, 0xab, 0xc0, leadPrints + 1, 1, 2,
	}
	require.NoError(t, listening().Receive(rangesFrame(whole...)))
	ends := map[int]bool{29: true, 57: true, 62: true, 67: true, 69: true, 70: true}
	for n := 1; n < len(whole); n++ {
		err := listening().Receive(rangesFrame(whole[:n]...))
		if ends[n] {
			require.NoError(t, err, "cut between statements, at %d", n)
			continue
		}
		require.ErrorIs(t, err, errShort, "cut to %d", n)
	}
}

func TestATurnMayOpenSoManyRangesAndNoMore(t *testing.T) {
	r, _ := victim(t, 1000)
	statements := []byte{leadSame}
	for i := range MaxWindow {
		statements = appendRange(append(statements, leadReopen), Range{Prefix: uint64(i) << 48, Depth: 4})
		statements = append(statements, leadPrints)
	}
	require.NoError(t, r.Receive(rangesFrame(statements...)))
	statements = statements[:0]
	for i := range windowSlack + 1 {
		statements = appendRange(append(statements, leadReopen), Range{Prefix: uint64(MaxWindow+i) << 48, Depth: 4})
		statements = append(statements, leadPrints)
	}
	require.ErrorContains(t, r.Receive(rangesFrame(statements...)), "more than 4112 ranges in one turn")
}

// A peer that calls everything different, for ever, costs time and bytes, but
// neither memory nor data.
func TestAPeerThatOpensEverythingIsBounded(t *testing.T) {
	r, s := victim(t, 5000)
	want := union(s)
	rng := rand.New(rand.NewPCG(1, 1))
	fullest := 0
	for range 40 {
		// None of the own questions lead anywhere; as many new ones as fit.
		statements := make([]byte, 0, 64<<10)
		for range r.ear.claims {
			statements = append(statements, leadSame)
		}
		for i := range MaxWindow {
			statements = appendRange(append(statements, leadReopen), Range{Prefix: uint64(i) << 52, Depth: 3})
			statements = append(statements, leadDigests)
			for range Fanout {
				statements = append(statements, byte(rng.Uint32()))
			}
		}
		require.NoError(t, r.Receive(rangesFrame(statements...)))
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

func TestARoundWithoutEndIsEnded(t *testing.T) {
	r, _ := victim(t, 100)
	r.stats.Turns = maxTurns - 20
	var err error
	for range 20 {
		statements := []byte{}
		for range r.ear.claims {
			statements = append(statements, leadSame)
		}
		statements = append(statements, leadReopen, MaxDepth, 1, 2, 3, 4, 5, 6, 7, 8, leadPrints)
		require.NoError(t, r.Receive(rangesFrame(statements...)))
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
	require.PanicsWithValue(t, fmt.Sprintf("merkle: RoundConfig.Window is 5000, at most %d", MaxWindow), func() {
		NewRound(RoundConfig{Window: 5000})
	})
}
