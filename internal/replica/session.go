package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/causal"
	"github.com/tochemey/gokv/merkle"
)

// Session is one side of a round between two nodes: a dialogue about ranges
// (merkle.Round), and around it what the two have seen, so that what one has
// deleted is told from what it never had (docs/deletes.md).
//
//	initiator                                 responder
//
//	hello ──────────────────────────────────►
//	      ◄────────────────────────────────── hello, dead…, turn
//	                                          the contents are equal:
//	dead…, turn ────────────────────────────► over
//	                                          or they are not:
//	dead…, the dialogue about ranges ◄──────►
//	dead…, bye ─────────────────────────────►
//	      ◄────────────────────────────────── dead…, bye
//
// A hello and a bye say what a side holds and has seen at one instant. Dead
// entries, tombstones and expired ones, are not in the ranges: those go over
// that the other side has not seen. What the hello said decides what becomes of
// an entry that one side lacks; it is taken in if the contents were equal at that
// instant, and what the bye says likewise. A side that finds the contents equal, has
// refused nothing, and has been brought nothing since by others that the peer had
// seen, has seen all that the other has.
//
// A Session does no I/O. It is not safe for concurrent use, but the engine is:
// writes, pushes and other sessions go on meanwhile.
type Session struct {
	cfg    SessionConfig
	source *engine.Source
	round  *merkle.Round
	state  sessionState
	mine   engine.State  // as this side last said
	since  *engine.Watch // of it
	keyID  uint64        // of mine
	theirs hello         // as the other side last said
	said   bool          // mine is set
	result SessionResult

	refused        []engine.Version // dead entries
	sentBytes, got uint64           // of frames outside of the dialogue

	part int // of the dead entries, next to go over
	page []engine.Entry
	sent map[engine.Version]struct{} // dead entries that went over
}

// SessionConfig is what a session is made of.
type SessionConfig struct {
	Initiator bool
	Engine    *engine.Engine
	Now       func() int64 // wall time, ms since 1970
	Ready     bool         // this node serves
	Salt      uint64       // an initiator's, drawn at random
	MaxFrame  int          // as merkle.RoundConfig has it
	// Applied, if set, is called with each entry that came and was taken, and
	// with its age in ms. The entry is the callee's for the call alone, its key and
	// value included.
	Applied func(ent *engine.Entry, lag int64)
}

// SessionResult says what a session did.
type SessionResult struct {
	merkle.RoundStats      // of the dialogue about ranges; Equal, if there was none
	PeerReady         bool // the peer serves
	Agreed            bool // the contents were equal, and what the peer has seen was taken in
	DeadSent          int  // dead entries
	DeadReceived      int
}

type sessionState uint8

const (
	sayHello  sessionState = iota // initiator
	hearHello                     // responder; the initiator, once it has said its own
	sayFirst                      // hello and dead entries, or the latter alone
	hearFirst                     // the initiator's wait for dead entries; the responder's, if contents are equal
	talk                          // the dialogue
	sayBye
	hearBye
	over
)

// The kinds of a session's frames; what a dialogue frame begins with is above.
const (
	frameHello = 0xf0
	frameDead  = 0xf1
	frameTurn  = 0xf2
	frameBye   = 0xf3

	helloFixed = 1 + 1 + 8 + 8 + 16 + 8
	helloReady = 1
	deadBytes  = 64 << 10 // a frame of dead entries is closed past so many bytes
)

// NewSession returns a session that has said nothing yet.
func NewSession(cfg SessionConfig) *Session {
	s := &Session{cfg: cfg, state: hearHello, sent: make(map[engine.Version]struct{})}
	if cfg.Initiator {
		s.state = sayHello
	}
	return s
}

// Done reports whether there is nothing left to say or to hear.
func (s *Session) Done() bool { return s.state == over }

// Err is why there will never be: another session has replaced the digest key
// while this side spoke. The session is to be dropped then.
func (s *Session) Err() error {
	if s.round == nil {
		return nil
	}
	return s.round.Err()
}

// Result is what the session has done so far.
func (s *Session) Result() SessionResult {
	res := s.result
	if s.round != nil {
		res.RoundStats = s.round.Stats()
		res.Converged = s.result.Converged
	}
	res.Refused += uint64(len(s.refused))
	res.DigestSent += s.sentBytes
	res.DigestReceived += s.got
	return res
}

// hello is what a hello or a bye says.
type hello struct {
	ready     bool
	clock     uint64
	keyID     uint64
	root      merkle.Digest
	cut       int64
	knowledge causal.Knowledge
}

// Next appends this side's next frame to dst; false: it is the other side's
// turn, or the session is over.
func (s *Session) Next(dst []byte) ([]byte, bool) {
	frame, ok := s.next(dst)
	if ok && frame[len(dst)] >= frameHello {
		s.sentBytes += uint64(len(frame) - len(dst))
	}
	return frame, ok
}

func (s *Session) next(dst []byte) ([]byte, bool) {
	for {
		switch s.state {
		case sayHello:
			s.state = hearHello
			return s.hello(dst), true
		case sayFirst:
			return s.first(dst)
		case talk:
			if frame, ok := s.round.Next(dst); ok {
				return frame, true
			}
			if !s.round.Done() {
				return dst, false
			}
			s.endTalk()
		case sayBye:
			if frame, ok := s.dead(dst); ok {
				return frame, true
			}
			s.state = hearBye
			if !s.cfg.Initiator {
				s.state = over
			}
			return s.appendMine(dst, frameBye), true
		default:
			return dst, false
		}
	}
}

// first says what comes before the dialogue.
func (s *Session) first(dst []byte) ([]byte, bool) {
	if !s.said {
		return s.hello(dst), true
	}
	if frame, ok := s.dead(dst); ok {
		return frame, true
	}
	switch equal := s.equal(); {
	case s.cfg.Initiator && equal:
		s.result.Equal = true
		s.agree()
		s.state = over
	case s.cfg.Initiator:
		s.begin()
		return s.round.Next(dst)
	case equal:
		s.state = hearFirst
	default:
		s.begin()
	}
	return append(dst, frameTurn), true
}

// begin starts the dialogue about ranges.
func (s *Session) begin() {
	s.cfg.Engine.Unwatch(s.since) // the next statement is what counts
	s.source = s.cfg.Engine.Source(s.cfg.Now).Of(&s.theirs.knowledge.Seen)
	s.source.Applied = s.cfg.Applied
	for _, v := range s.refused {
		s.source.Spare(v)
	}
	s.round = merkle.NewRound(merkle.RoundConfig{
		Initiator: s.cfg.Initiator, Source: s.source, Salt: s.cfg.Salt, MaxFrame: s.cfg.MaxFrame,
	})
	s.state = talk
}

func (s *Session) endTalk() {
	s.part = 0
	if s.state = hearBye; s.cfg.Initiator {
		s.look() // before the dead entries that go with it
		s.state = sayBye
	}
}

func (s *Session) hello(dst []byte) []byte {
	s.look()
	s.said = true
	return s.appendMine(dst, frameHello)
}

// appendMine says what look noted.
func (s *Session) appendMine(dst []byte, kind byte) []byte {
	var flags byte
	if s.cfg.Ready {
		flags |= helloReady
	}
	dst = append(dst, kind, flags)
	dst = binary.BigEndian.AppendUint64(dst, s.cfg.Engine.Clock().Read())
	dst = binary.BigEndian.AppendUint64(dst, s.keyID)
	root := s.mine.Root.Bytes()
	dst = append(dst, root[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.mine.Cut))
	return s.mine.Knowledge.AppendTo(dst)
}

// look notes what this side holds and has seen now, as of the peer's cut if that is
// the later one.
func (s *Session) look() {
	e := s.cfg.Engine
	e.SweepTo(s.cfg.Now(), s.theirs.cut)
	for {
		// A rekey in between would give the root another key than it has.
		s.keyID = e.Key().ID()
		e.Unwatch(s.since)
		if s.mine, s.since = e.Watch(); s.keyID == e.Key().ID() {
			return
		}
	}
}

// dead appends a frame of dead entries that the peer has not seen, if there are
// any left.
func (s *Session) dead(dst []byte) ([]byte, bool) {
	begun := false
	at := len(dst)
	for s.part < engine.DeadParts && len(dst)-at < deadBytes {
		s.page = s.cfg.Engine.Dead(s.part, s.page[:0])
		s.part++
		for i := range s.page {
			ent := &s.page[i]
			v := ent.Version
			if s.theirs.knowledge.Seen.Covers(causal.Dot{Time: v.Time, Instance: v.Instance}) {
				continue
			}
			if _, went := s.sent[v]; went {
				continue
			}
			s.sent[v] = struct{}{}
			if !begun {
				begun = true
				dst = append(dst, frameDead)
			}
			dst = binary.AppendUvarint(dst, uint64(engine.EncodedSize(ent)))
			dst = engine.AppendEntry(dst, ent)
			s.result.DeadSent++
		}
	}
	return dst, begun
}

// equal reports whether the contents were equal by what both sides said.
func (s *Session) equal() bool {
	return s.theirs.keyID == s.keyID && s.theirs.root == s.mine.Root
}

// agree takes in what the peer has seen, now that the contents were equal by what
// both said. Who has refused a dead entry lacks what does not show in the contents.
func (s *Session) agree() {
	s.result.Converged = true
	if s.Result().Refused > 0 {
		s.cfg.Engine.Unwatch(s.since)
		return
	}
	s.result.Agreed = s.cfg.Engine.Accept(&s.theirs.knowledge, s.since)
}

// Receive takes in a frame of the other side. An error is for what no honest
// peer says; the session is to be dropped then.
func (s *Session) Receive(frame []byte) error {
	if len(frame) == 0 {
		return fmt.Errorf("session: empty frame: %w", ErrMalformed)
	}
	if s.state == talk && s.round.Done() {
		s.endTalk()
	}
	kind := frame[0]
	if kind >= frameHello {
		s.got += uint64(len(frame))
	}
	switch {
	case kind == frameHello && s.state == hearHello:
		return s.onHello(frame)
	case kind == frameDead && (s.state == hearFirst || s.state == hearBye || s.state == talk && s.fresh()):
		return s.onDead(frame[1:])
	case kind == frameTurn && s.state == hearFirst && len(frame) == 1:
		s.onTurn()
		return nil
	case kind == frameBye && s.state == hearBye:
		return s.onBye(frame)
	case kind < frameHello && s.state == talk:
		return s.round.Receive(frame)
	}
	return fmt.Errorf("session: frame of kind %#x in state %d: %w", kind, s.state, ErrMalformed)
}

// fresh reports whether a responder's dialogue has not begun yet: the
// initiator's dead entries come first.
func (s *Session) fresh() bool { return !s.cfg.Initiator && s.round.Stats().Turns == 0 }

func (s *Session) onHello(frame []byte) error {
	if err := s.parse(frame); err != nil {
		return err
	}
	s.result.PeerReady = s.theirs.ready
	if s.state = sayFirst; s.cfg.Initiator {
		s.state = hearFirst
	}
	return nil
}

func (s *Session) onTurn() {
	if !s.cfg.Initiator { // the contents were equal, and all dead entries are here
		s.result.Equal = true
		s.agree()
		s.state = over
		return
	}
	s.state = sayFirst
}

func (s *Session) onBye(frame []byte) error {
	if err := s.parse(frame); err != nil {
		return err
	}
	if s.look(); s.equal() {
		s.agree()
	}
	s.cfg.Engine.Unwatch(s.since)
	if s.state = sayBye; s.cfg.Initiator {
		s.state = over
	}
	return nil
}

func (s *Session) parse(frame []byte) error {
	if len(frame) < helloFixed {
		return fmt.Errorf("session: hello of %d bytes, at least %d: %w", len(frame), helloFixed, ErrMalformed)
	}
	if frame[1]&^helloReady != 0 {
		return fmt.Errorf("session: hello has unknown flags %08b: %w", frame[1], ErrMalformed)
	}
	h := hello{
		ready: frame[1]&helloReady != 0,
		clock: binary.BigEndian.Uint64(frame[2:]),
		keyID: binary.BigEndian.Uint64(frame[10:]),
		root:  merkle.DigestFrom([16]byte(frame[18:34])),
		cut:   int64(binary.BigEndian.Uint64(frame[34:])),
	}
	var rest []byte
	var err error
	if h.knowledge, rest, err = causal.ParseKnowledge(frame[helloFixed:]); err != nil {
		return fmt.Errorf("session: hello: %w: %w", err, ErrMalformed)
	}
	if len(rest) != 0 {
		return fmt.Errorf("session: %d bytes after a hello: %w", len(rest), ErrMalformed)
	}
	s.theirs = h // the dialogue, which judged by the hello, is over when a bye comes
	_ = s.cfg.Engine.Clock().Observe(s.cfg.Now(), h.clock)
	return nil
}

func (s *Session) onDead(b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("session: no dead entries: %w", ErrMalformed)
	}
	e := s.cfg.Engine
	for len(b) > 0 {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return fmt.Errorf("session: dead entry of %d bytes, %d are left: %w", n, len(b), ErrMalformed)
		}
		ent, err := engine.ParseEntry(b[used:][:n], 0)
		if err != nil {
			return fmt.Errorf("session: dead entry: %w", err)
		}
		b = b[used+int(n):]
		if ent.LiveAt(0) {
			return fmt.Errorf("session: %q is not dead: %w", ent.Key, ErrMalformed)
		}
		s.result.DeadReceived++
		outcome, lag := e.Merge(s.cfg.Now(), ent, &s.theirs.knowledge.Seen)
		switch {
		case outcome == merkle.Refused, outcome == merkle.Parked:
			s.refused = append(s.refused, ent.Version)
			if s.source != nil {
				s.source.Spare(ent.Version)
			}
		case outcome == merkle.Applied && s.cfg.Applied != nil:
			s.cfg.Applied(ent, lag)
		}
	}
	return nil
}
