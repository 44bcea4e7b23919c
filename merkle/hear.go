package merkle

import (
	"fmt"
	"math/bits"
)

// claim is what this side said of a cut and the other side must answer.
type claim struct {
	cut
	kind claimKind
	n    uint8  // claimDigests: of 2^n parts; otherwise of so many entries
	from uint32 // of ear.listed
}

// listed is an entry that a claim is about.
type listed struct {
	pos uint64
	// mark is the low half of its digest if no other entry of the claim has its
	// fingerprint: if it is asked for, it is this one that the other side lacks.
	mark uint64
}

type claimKind uint8

const (
	claimDigests claimKind = iota + 1 // of the cut's parts
	claimPrints                       // of all entries in the cut
	claimHeaders                      // of some of them
)

// ear is what a side needs while the other one speaks.
type ear struct {
	claims   []claim
	answered int
	// listed are the positions of the entries that the claims are about. Handles
	// would hold on to what is overwritten meanwhile, and take more room.
	listed []listed

	opened   int  // cuts that the other side opened in this turn
	reopened bool // by their name
	last     cut

	// Scratch.
	headers, own []header
	item         []Item
}

func (r *Round) startHearing() {
	r.ear.answered, r.ear.opened, r.ear.reopened = 0, 0, false
	r.phase = phaseHearing
}

// onRanges turns statements into debts. What is owed is looked up when it is said.
func (r *Round) onRanges(body []byte, odd bool) error {
	if !r.source.Key().Same(r.key) {
		return ErrKeyChanged
	}
	in := newNibbleReader(body, odd)
	if in.size == 0 {
		in.fail(errShort)
	}
	for in.more() {
		r.onStatement(&in)
	}
	if in.err != nil {
		return malformed(in.err)
	}
	return nil
}

func (r *Round) onStatement(in *nibbleReader) {
	e := &r.ear
	if e.answered == len(e.claims) {
		r.onReopen(in)
		return
	}
	c := &e.claims[e.answered]
	e.answered++
	switch c.kind {
	case claimDigests:
		r.onAnswerToDigests(in, c)
	case claimPrints:
		r.onAnswerToPrints(in, c)
	case claimHeaders:
		r.oweEntries(c, in.takeBits(int(c.n)))
	}
}

// onReopen begins with a cut by its name. In one turn such cuts ascend and do
// not overlap, so that a turn asks for each entry once at most.
func (r *Round) onReopen(in *nibbleReader) {
	e := &r.ear
	c := in.takeCut()
	if in.err == nil && e.reopened && c.first <= e.last.last() {
		in.fail(fmt.Errorf("cut %s reopened after %s", c, e.last))
		return
	}
	e.reopened, e.last = true, c
	r.onSpeech(in, c)
}

// onSpeech takes in what opens the talk about a cut.
func (r *Round) onSpeech(in *nibbleReader, c cut) {
	if r.ear.opened++; r.ear.opened > MaxWindow+windowSlack {
		in.fail(fmt.Errorf("more than %d cuts in one turn", MaxWindow+windowSlack))
		return
	}
	m := &r.mouth
	code := in.take(1)
	d := debt{cut: c}
	switch {
	case code <= speechWide:
		d.kind, d.from = debtPrints, uint32(len(m.prints))
		n, wide := in.takeList(code)
		d.n, d.wide = uint8(n), wide
		if wide {
			n *= 4
		}
		for range n {
			size := printSize
			if wide {
				size = wideSize / 4
			}
			m.prints = append(m.prints, uint16(in.take(size)))
		}
	case code == speechDigests || int(c.bits)+int(code-speechDigests) > positionBits:
		in.fail(fmt.Errorf("code %#x opens cut %s", code, c))
	default:
		d.kind, d.k, d.from = debtDigests, uint8(code-speechDigests), uint32(len(m.bytes))
		for range 1 << d.k {
			m.bytes = append(m.bytes, byte(in.take(2)))
		}
	}
	if in.err == nil {
		m.debts = append(m.debts, d)
	}
}

func (r *Round) onAnswerToDigests(in *nibbleReader, c *claim) {
	code := in.take(1)
	if code == answerSame || code == answerLater {
		return
	}
	for set := in.takeParts(code, c.n); set != 0 && in.err == nil; set &= set - 1 {
		r.onSpeech(in, c.part(c.n, bits.TrailingZeros64(set)))
	}
}

func (r *Round) onAnswerToPrints(in *nibbleReader, c *claim) {
	switch code := in.take(1); code {
	case answerSame:
	case answerHeaders, answerPair:
		set, n := in.takeHeads(code, int(c.n))
		e := &r.ear
		e.headers = e.headers[:0]
		for range n {
			if in.err != nil {
				return
			}
			e.headers = append(e.headers, in.takeHeader(n))
		}
		if in.err == nil {
			r.oweHeaders(c, set, e.headers)
		}
	default:
		r.oweEntries(c, in.takeWant(code, int(c.n)))
	}
}

// oweEntries owes the entries of a claim that the other side asked for.
func (r *Round) oweEntries(c *claim, set uint64) {
	d := debt{kind: debtEntries, cut: c.cut}
	if r.owe(&d, c, set); d.n > 0 {
		r.mouth.debts = append(r.mouth.debts, d)
	}
}

func (r *Round) owe(d *debt, c *claim, set uint64) {
	m := &r.mouth
	d.from, d.n = uint32(len(m.owed)), uint8(bits.OnesCount64(set))
	for listed := r.ear.listed[c.from:]; set != 0; set &= set - 1 {
		m.owed = append(m.owed, listed[bits.TrailingZeros64(set)])
	}
}

// oweHeaders owes an answer to headers. Entries of the claim that the other side
// lacks (set) are compared with the headers of those that this side seems to lack.
func (r *Round) oweHeaders(c *claim, set uint64, theirs []header) {
	e := &r.ear
	e.own = e.own[:0]
	for _, l := range e.listed[c.from:][:c.n] {
		var h header
		if set&(1<<len(e.own)) != 0 {
			it := Item{Pos: l.pos}
			if e.item = r.at(l.pos, e.item[:0]); len(e.item) > 0 {
				it = e.item[0]
			}
			h = r.salt.header(&it, r.now, len(theirs))
		}
		e.own = append(e.own, h)
	}
	send, want := judge(e.own, set, theirs)
	d := debt{kind: debtHeaders, cut: c.cut, m: uint8(len(theirs)), want: want}
	r.owe(&d, c, send)
	r.mouth.debts = append(r.mouth.debts, d)
}

// judge decides which of the own entries in set go over, and which of theirs are
// wanted. Of two with one position the newer one does; what stands alone goes over
// anyway.
func judge(own []header, set uint64, theirs []header) (send, want uint64) {
	send, want = set, 1<<len(theirs)-1
	for j, h := range theirs {
		i, alone := counterpart(own, set, theirs, j)
		switch {
		case !alone:
		case own[i].age < h.age:
			want &^= 1 << j
		case own[i].age > h.age:
			send &^= 1 << i
		}
	}
	return send, want
}

// counterpart finds the one entry of set that has the position of header j. It
// reports false where there is none, or where several on either side look
// alike: then nobody can tell which replaces which, and all go over.
func counterpart(own []header, set uint64, theirs []header, j int) (at int, alone bool) {
	for k := range theirs {
		if k != j && theirs[k].tag == theirs[j].tag {
			return 0, false
		}
	}
	for ; set != 0; set &= set - 1 {
		i := bits.TrailingZeros64(set)
		if own[i].tag != theirs[j].tag {
			continue
		}
		if alone {
			return 0, false
		}
		at, alone = i, true
	}
	return at, alone
}

func (r *Round) onEntries(in *reader) error {
	// The frame's form is checked before the first entry is merged.
	whole := *in
	for size := 0; whole.err == nil; {
		size = len(whole.entry(size))
		if len(whole.b) == 0 {
			break
		}
	}
	if whole.err != nil {
		return malformed(whole.err)
	}
	for size := 0; len(in.b) > 0; {
		entry := in.entry(size)
		size = len(entry)
		outcome, err := r.source.Apply(entry)
		if err != nil {
			return fmt.Errorf("entry of %d bytes: %w", len(entry), err)
		}
		r.stats.EntriesReceived++
		r.stats.EntryBytesReceived += uint64(len(entry))
		r.stats.DigestReceived -= uint64(len(entry))
		switch outcome {
		case Applied:
			r.stats.Applied++
		case Refused, Parked:
			r.stats.Refused++
		}
	}
	return nil
}

func (r *Round) onEndTurn() error {
	if len(r.mouth.debts) == 0 {
		return fmt.Errorf("%w: a turn that asks nothing", ErrProtocol)
	}
	return r.endHearing(false)
}

func (r *Round) onFinish(in *reader) error {
	var m finishMsg
	if err := m.parse(in); err != nil {
		return malformed(err)
	}
	for i := range r.mouth.debts {
		if r.mouth.debts[i].kind != debtEntries {
			return fmt.Errorf("%w: questions open at the end", ErrProtocol)
		}
	}
	r.stats.PeerRoot = m.root
	return r.endHearing(true)
}

func (r *Round) endHearing(idle bool) error {
	e := &r.ear
	if e.answered < len(e.claims) {
		return fmt.Errorf("%w: %d of %d statements answered", ErrProtocol, e.answered, len(e.claims))
	}
	if !r.source.Key().Same(r.key) {
		return ErrKeyChanged
	}
	if r.stats.Turns++; r.stats.Turns > maxTurns {
		return fmt.Errorf("%w: more than %d turns", ErrProtocol, maxTurns)
	}
	r.dropGone()
	r.peerIdle = idle
	e.claims, e.listed = e.claims[:0], e.listed[:0]
	if r.peerIdle && r.ownIdle {
		own, _ := r.source.Root()
		r.finish(own)
		return nil
	}
	r.startSpeaking()
	return nil
}
