package merkle

import (
	"errors"
	"fmt"
)

// What a round may end with besides an error of its Source.
var (
	// ErrProtocol is for a frame that no honest peer sends.
	ErrProtocol = errors.New("not in the protocol of rounds")
	// ErrVersion is for a peer that speaks another version of the dialogue.
	ErrVersion = errors.New("unknown version of rounds")
	// ErrKeyChanged is for a digest key that another round replaced meanwhile:
	// what both sides said so far cannot be compared any more. Begin anew.
	ErrKeyChanged = errors.New("the digest key changed during the round")
)

const (
	// DefaultMaxFrame is the size past which a frame is closed.
	DefaultMaxFrame = 64 << 10
	// MaxWindow is the most cuts that a turn may leave for the other side to
	// answer. It bounds what a round remembers.
	MaxWindow = 1 << 17

	// windowSlack: the parts of the cut at hand are opened together.
	windowSlack = Fanout
	// maxTurns ends a round that two honest sides would have ended: with full
	// windows it would have listed some hundred million entries.
	maxTurns = 1 << 16
)

// RoundConfig is what a Round is made of.
type RoundConfig struct {
	// Initiator is the side that opened the stream; it speaks first.
	Initiator bool
	// Source is what is compared and completed.
	Source Source
	// Salt is the initiator's draw, a new random one for each round. The
	// responder takes what it is told.
	Salt uint64
	// MaxFrame is the size in bytes past which a frame is closed, default
	// DefaultMaxFrame. A frame exceeds it by at most the larger of one entry
	// and 4 KiB.
	MaxFrame int
	// Window is the most cuts that this side opens in one turn, at most and by
	// default MaxWindow. Those beyond wait for a later turn. A single cut is
	// opened whatever its parts come to.
	Window int
}

// RoundStats says what a round has done so far. Digest bytes are all bytes of
// frames but those of the entries themselves.
type RoundStats struct {
	Equal     bool // the roots were equal at the beginning
	Converged bool // the roots were equal at the end
	Rekeyed   bool // this side took over the peer's digest key

	DigestSent, DigestReceived         uint64 // bytes
	EntryBytesSent, EntryBytesReceived uint64

	EntriesSent, EntriesReceived uint64
	Applied, Refused             uint64 // of those received; Refused has the Parked too

	Turns             int    // of both sides, the open included; two are a round trip
	PeerRoot, OwnRoot Digest // as last stated, and when the round ended
}

// phase says what comes next. In those named "to…" it is this side's frame.
type phase uint8

const (
	phaseToOpen    phase = iota // initiator
	phaseOpened                 // initiator: what does the responder say to it?
	phaseListening              // responder: open
	phaseToEqual                // responder
	phaseToAccept               // responder
	phaseToRequest              // responder: the initiator's key wins
	phaseRequested              // responder: the initiator's key
	phaseToOffer                // either: this side's key wins, or may win
	phaseOffered                // responder: open again, or a key that wins
	phaseSpeaking
	phaseHearing
	phaseFinished
	phaseFailed
)

// Round is one side of a round: a machine without I/O. The two sides take
// turns, so each knows when it is to speak. A Round belongs to one goroutine.
type Round struct {
	// Fixed after construction.
	source    Source
	initiator bool
	maxFrame  int
	window    int

	phase phase
	err   error
	stats RoundStats
	salt  salt
	key   Key      // that this round's statements are made with
	own   standing // as opened or accepted
	peer  standing
	now   uint64 // the later of both clocks when the round began
	// opened are the digests in the initiator's open, which the responder keeps
	// while keys are exchanged.
	opened [Fanout]byte
	keyed  bool // keys were exchanged; once is enough

	ownIdle, peerIdle bool // the last turn left nothing to wait for

	mouth mouth
	ear   ear
	gone  []Item // to be let go at the end of the other side's turn
}

// NewRound makes one side of a round.
func NewRound(c RoundConfig) *Round {
	if c.Window < 0 || c.Window > MaxWindow {
		panic(fmt.Sprintf("merkle: RoundConfig.Window is %d, at most %d", c.Window, MaxWindow))
	}
	r := &Round{
		source:    c.Source,
		initiator: c.Initiator,
		maxFrame:  c.MaxFrame,
		window:    c.Window,
		salt:      salt(c.Salt),
		phase:     phaseListening,
	}
	if r.maxFrame <= 0 {
		r.maxFrame = DefaultMaxFrame
	}
	if r.window == 0 {
		r.window = MaxWindow
	}
	if r.initiator {
		r.phase = phaseToOpen
	}
	return r
}

// Done reports whether the round has ended as it should. A round that has
// failed never does.
func (r *Round) Done() bool { return r.phase == phaseFinished }

// Stats is what the round has done so far.
func (r *Round) Stats() RoundStats { return r.stats }

// Receive takes in a frame of the peer, which stays the caller's. An error
// ends the round, and is returned again by later calls. A malformed frame has
// changed nothing in the source; only the entries that stood before an entry
// that the source could not parse are in, as they would be had the stream
// broken there.
func (r *Round) Receive(frame []byte) error {
	if r.err != nil {
		return r.err
	}
	if err := r.receive(frame); err != nil {
		r.fail(err)
	}
	return r.err
}

func (r *Round) fail(err error) {
	r.err = fmt.Errorf("round: %w", err)
	r.phase = phaseFailed
	r.mouth, r.ear, r.gone = mouth{}, ear{}, nil
}

// Err is what the round has failed with, nil if it has not.
func (r *Round) Err() error { return r.err }

func (r *Round) receive(frame []byte) error {
	if len(frame) == 0 {
		return fmt.Errorf("%w: an empty frame", ErrProtocol)
	}
	t, flags := frameType(frame[0]&^(frameLast|frameOdd)), frame[0]&(frameLast|frameOdd)
	if flags != 0 && t != frameRanges && t != frameEntries || flags&frameOdd != 0 && t != frameRanges {
		t, flags = frameType(frame[0]), 0 // unknown
	}
	if !r.expects(t) {
		return fmt.Errorf("%w: %s out of turn", ErrProtocol, t)
	}
	r.stats.DigestReceived += uint64(len(frame))
	err := r.dispatch(t, frame[1:], flags&frameOdd != 0)
	if err == nil && flags&frameLast != 0 {
		err = r.onEndTurn()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t, err)
	}
	return nil
}

func (r *Round) expects(t frameType) bool {
	switch r.phase {
	case phaseListening:
		return t == frameOpen
	case phaseOpened:
		return t == frameEqual || t == frameAccept || t == frameOfferKey || t == frameRequestKey
	case phaseRequested:
		return t == frameOfferKey
	case phaseOffered:
		return t == frameOpen || t == frameOfferKey
	case phaseHearing:
		return t == frameRanges || t == frameEntries || t == frameEndTurn || t == frameFinish
	default:
		return false
	}
}

func (r *Round) dispatch(t frameType, body []byte, odd bool) error {
	in := &reader{b: body}
	switch t {
	case frameOpen:
		return r.onOpen(in)
	case frameEqual:
		return r.onEqual(in)
	case frameAccept:
		return r.onAccept(in)
	case frameOfferKey:
		return r.onOfferKey(in)
	case frameRequestKey:
		return r.onRequestKey(in)
	case frameRanges:
		return r.onRanges(body, odd)
	case frameEntries:
		return r.onEntries(in)
	case frameEndTurn:
		if err := in.end(); err != nil {
			return malformed(err)
		}
		return r.onEndTurn()
	default:
		return r.onFinish(in)
	}
}

// Next appends the next frame to send to dst. False: there is nothing to send
// before something is received. Entries are read from the source as frames are
// asked for, so that a round of any size holds one frame at a time. If the digest
// key has changed meanwhile, the frame is not to be said: what it leaves out, the
// other side would take for lacking. The round has failed then (Err).
func (r *Round) Next(dst []byte) ([]byte, bool) {
	begin := len(dst)
	switch r.phase {
	case phaseToOpen:
		dst = r.open(dst)
	case phaseToEqual:
		dst = r.equal(dst)
	case phaseToAccept:
		dst = r.accept(dst)
	case phaseToRequest:
		dst = r.requestKey(dst)
	case phaseToOffer:
		dst = r.offerKey(dst)
	case phaseSpeaking:
		dst = r.speak(dst)
		if !r.source.Key().Same(r.key) {
			r.fail(ErrKeyChanged)
			return dst[:begin], false
		}
	default:
		return dst, false
	}
	r.stats.DigestSent += uint64(len(dst) - begin)
	return dst, true
}

// finish ends the round at the second of two idle turns in a row.
func (r *Round) finish(own Digest) {
	r.stats.OwnRoot = own
	r.stats.Converged = own == r.stats.PeerRoot
	r.phase = phaseFinished
	r.mouth, r.ear, r.gone = mouth{}, ear{}, nil
}

func malformed(err error) error { return fmt.Errorf("%w: %w", ErrProtocol, err) }
