package merkle

import "fmt"

// The opening: which digest key holds, and whether there is anything to do.
//
//	initiator                   responder
//	open ─────────────────────►           same key:
//	     ◄───────────────────── equal        same root, the end
//	     ◄──────────── accept, turn          otherwise the dialogue
//
//	     ◄───────────────── key offer     another key, the responder's wins:
//	open ─────────────────────►              the initiator took it, and so on
//
//	     ◄─────────────── key request     another key, the initiator's wins:
//	key offer ────────────────►              the responder takes it
//	     ◄───────── equal, or accept
//
// Keys of one age are told apart by their secrets, which only their holders
// know: then the responder offers, and an initiator whose key wins offers its
// own in return.

func (r *Round) open(dst []byte) []byte {
	r.key = r.source.Key()
	r.own = r.standing()
	r.phase = phaseOpened
	m := openMsg{version: ProtocolVersion, salt: r.salt, standing: r.own}
	var nodes [Fanout]Node
	r.source.Children(Range{}, &nodes)
	for i, node := range nodes {
		m.parts[i] = r.salt.partByte(cut{}.part(maxFanBits, i), node.Digest)
	}
	return m.appendTo(dst)
}

func (r *Round) standing() standing {
	root, count := r.source.Root()
	return standing{
		clock: r.source.Clock(), keyID: r.key.ID(), created: r.key.Created,
		root: root, count: count,
	}
}

func (r *Round) onOpen(in *reader) error {
	var m openMsg
	if err := m.parse(in); err != nil {
		return malformed(err)
	}
	r.source.Observe(m.clock)
	r.salt, r.peer, r.opened = m.salt, m.standing, m.parts
	r.stats.PeerRoot = m.root
	r.key = r.source.Key()
	if r.key.ID() == m.keyID {
		return r.answerOpen()
	}
	if r.keyed {
		return ErrKeyChanged
	}
	r.keyed = true
	if m.created < r.key.Created {
		r.phase = phaseToRequest
	} else {
		r.phase = phaseToOffer
	}
	return nil
}

// answerOpen goes on once both sides have one key.
func (r *Round) answerOpen() error {
	if err := r.settle(r.peer.created); err != nil {
		return err
	}
	r.own = r.standing()
	if r.own.root == r.peer.root && r.own.count == r.peer.count {
		r.phase = phaseToEqual
		return nil
	}
	r.phase = phaseToAccept
	return nil
}

// settle takes the lower of two ages of one secret. They differ where the
// secret was handed over before its cluster had settled on it.
func (r *Round) settle(created uint64) error {
	if created >= r.key.Created {
		return nil
	}
	return r.take(Key{Created: created, Secret: r.key.Secret})
}

// take makes k the source's key, unless another round has just brought a
// better one.
func (r *Round) take(k Key) error {
	r.source.Rekey(k)
	if r.key = r.source.Key(); !r.key.Same(k) {
		return ErrKeyChanged
	}
	return nil
}

func (r *Round) equal(dst []byte) []byte {
	r.foundEqual()
	m := equalMsg{clock: r.source.Clock(), created: r.key.Created}
	return m.appendTo(dst)
}

func (r *Round) onEqual(in *reader) error {
	var m equalMsg
	if err := m.parse(in); err != nil {
		return malformed(err)
	}
	r.source.Observe(m.clock)
	if err := r.settle(m.created); err != nil {
		return err
	}
	r.stats.PeerRoot = r.own.root
	r.foundEqual()
	return nil
}

func (r *Round) foundEqual() {
	r.stats.Equal = true
	r.finish(r.own.root)
}

// accept goes on to the responder's first turn, which answers the open.
func (r *Round) accept(dst []byte) []byte {
	r.own.clock = r.source.Clock()
	m := acceptMsg{clock: r.own.clock, created: r.own.created, count: r.own.count}
	r.begin()
	if r.peer.count == 0 {
		r.mouth.debts = append(r.mouth.debts, debt{kind: debtPrints}) // a list of nothing
	} else {
		r.mouth.bytes = append(r.mouth.bytes, r.opened[:]...)
		r.mouth.debts = append(r.mouth.debts, debt{kind: debtDigests, k: maxFanBits})
	}
	r.startSpeaking()
	return m.appendTo(dst)
}

func (r *Round) onAccept(in *reader) error {
	var m acceptMsg
	if err := m.parse(in); err != nil {
		return malformed(err)
	}
	r.source.Observe(m.clock)
	if err := r.settle(m.created); err != nil {
		return err
	}
	r.peer = standing{clock: m.clock, count: m.count}
	r.begin()
	r.ear.claims = append(r.ear.claims, claim{kind: claimDigests, n: maxFanBits})
	r.startHearing()
	return nil
}

// fewOf is what part of the peer's entries is little: a node that joins has been
// pushed some before its first round begins.
const fewOf = 8

// begin counts the open as the first turn, fixes the time from which both sides tell
// ages, and has a source that holds little of what the peer does make room.
func (r *Round) begin() {
	r.stats.Turns = 1
	if r.peer.count > 0 && r.own.count <= r.peer.count/fewOf {
		r.source.Expect(r.peer.count)
	}
	r.now = max(r.own.clock, r.peer.clock)
}

func (r *Round) requestKey(dst []byte) []byte {
	r.phase = phaseRequested
	m := requestMsg{clock: r.source.Clock()}
	return m.appendTo(dst)
}

func (r *Round) onRequestKey(in *reader) error {
	var m requestMsg
	if err := m.parse(in); err != nil {
		return malformed(err)
	}
	if r.keyed {
		return fmt.Errorf("%w: a second exchange of keys", ErrProtocol)
	}
	r.keyed = true
	r.source.Observe(m.clock)
	r.phase = phaseToOffer
	return nil
}

func (r *Round) offerKey(dst []byte) []byte {
	r.phase = phaseOffered
	if r.initiator {
		r.phase = phaseOpened
	}
	m := offerMsg{clock: r.source.Clock(), key: r.key}
	return m.appendTo(dst)
}

func (r *Round) onOfferKey(in *reader) error {
	var m offerMsg
	if err := m.parse(in); err != nil {
		return malformed(err)
	}
	if !r.initiator {
		r.source.Observe(m.clock)
		return r.onInitiatorKey(m.key)
	}
	if r.keyed {
		return fmt.Errorf("%w: a second exchange of keys", ErrProtocol)
	}
	r.keyed = true
	r.source.Observe(m.clock)
	return r.onResponderKey(m.key)
}

func (r *Round) onResponderKey(k Key) error {
	now := r.source.Key()
	if !k.Same(now) && !k.Beats(now) {
		if !now.Same(r.key) {
			return ErrKeyChanged
		}
		r.phase = phaseToOffer
		return nil
	}
	if !k.Same(now) {
		r.stats.Rekeyed = true
	}
	if err := r.take(k); err != nil {
		return err
	}
	r.phase = phaseToOpen
	return nil
}

func (r *Round) onInitiatorKey(k Key) error {
	if k.ID() != r.peer.keyID {
		return ErrKeyChanged // the root in the open was made with another one
	}
	now := r.source.Key()
	if !k.Same(now) && !k.Beats(now) {
		return ErrKeyChanged
	}
	if !k.Same(now) {
		r.stats.Rekeyed = true
	}
	if err := r.take(k); err != nil {
		return err
	}
	return r.answerOpen()
}
