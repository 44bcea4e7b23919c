package merkle

import (
	"fmt"
	"math/bits"
)

// claim is what this side said of a range and the other side must answer.
type claim struct {
	r    Range
	kind claimKind
	span // of its items in ear.listed
}

type claimKind uint8

const (
	claimDigests claimKind = iota + 1 // of the range's sixteen parts
	claimPrints                       // of items
	claimHeaders                      // of items
)

// span is a part of one of the slices that a turn shares.
type span struct{ from, to int32 }

func (s span) len() int { return int(s.to - s.from) }

// ear is what a side needs while the other one speaks.
type ear struct {
	claims   []claim
	answered int
	listed   []Item // what the claims listed

	opened   int  // ranges that the other side opened in this turn
	reopened bool // by their name
	last     Range
	headers  []header // scratch
}

func (r *Round) startHearing() {
	r.ear.answered, r.ear.opened, r.ear.reopened = 0, 0, false
	r.phase = phaseHearing
}

// onRanges turns statements into debts. It touches no entry: what is owed is
// looked up when it is said.
func (r *Round) onRanges(in *reader) error {
	if !r.source.Key().Same(r.key) {
		return ErrKeyChanged
	}
	if len(in.b) == 0 {
		return malformed(errShort)
	}
	for len(in.b) > 0 && in.err == nil {
		r.onStatement(in)
	}
	if in.err != nil {
		return malformed(in.err)
	}
	return nil
}

func (r *Round) onStatement(in *reader) {
	e, lead := &r.ear, in.u8()
	if e.answered == len(e.claims) {
		r.onReopen(in, lead)
		return
	}
	c := e.claims[e.answered]
	e.answered++
	if lead == leadSame {
		return
	}
	switch c.kind {
	case claimDigests:
		r.onAnswerToDigests(in, lead, c)
	case claimPrints:
		r.onAnswerToPrints(in, lead, c)
	case claimHeaders:
		if lead != leadWant {
			in.fail(unexpected(lead, "headers"))
			return
		}
		r.oweListed(c, in.bitmap(c.len()))
	}
}

// onReopen begins with a range by its name. In one turn such ranges ascend and
// do not overlap, so that a turn asks for each entry once at most.
func (r *Round) onReopen(in *reader, lead byte) {
	e := &r.ear
	if lead != leadReopen {
		in.fail(unexpected(lead, "nothing"))
		return
	}
	rg := in.rng()
	if in.err == nil && e.reopened && rg.First() <= e.last.Last() {
		in.fail(fmt.Errorf("range %s reopened after %s", rg, e.last))
		return
	}
	e.reopened, e.last = true, rg
	r.onSpeech(in, in.u8(), rg)
}

// onSpeech takes in what opens the talk about a range.
func (r *Round) onSpeech(in *reader, lead byte, rg Range) {
	if r.ear.opened++; r.ear.opened > MaxWindow+windowSlack {
		in.fail(fmt.Errorf("more than %d ranges in one turn", MaxWindow+windowSlack))
		return
	}
	m := &r.mouth
	if n, wide, ok := printsLead(lead); ok {
		from := len(m.prints)
		m.prints = in.prints(m.prints, n, wide)
		m.debts = append(m.debts, debt{kind: debtPrints, r: rg, wide: wide, span: between(from, len(m.prints))})
		return
	}
	if lead != leadDigests || rg.Depth == MaxDepth {
		in.fail(fmt.Errorf("lead byte %#02x opens range %s", lead, rg))
		return
	}
	m.debts = append(m.debts, debt{kind: debtDigests, r: rg, bytes: in.bytes16()})
}

func (r *Round) onAnswerToDigests(in *reader, lead byte, c claim) {
	switch lead {
	case leadLater:
	case leadParts:
		for set := in.bitmap(Fanout); set != 0 && in.err == nil; set &= set - 1 {
			r.onSpeech(in, in.u8(), c.r.Child(bits.TrailingZeros32(set)))
		}
	default:
		if _, _, ok := printsLead(lead); !ok {
			in.fail(unexpected(lead, "digests"))
			return
		}
		r.onSpeech(in, lead, c.r)
	}
}

func (r *Round) onAnswerToPrints(in *reader, lead byte, c claim) {
	switch lead {
	case leadWant:
		r.oweListed(c, in.bitmap(c.len()))
	case leadHeaders:
		set := in.bitmap(c.len())
		r.ear.headers = in.headers(r.ear.headers[:0])
		if in.err == nil {
			r.owe(c, set, r.ear.headers)
		}
	default:
		in.fail(unexpected(lead, "fingerprints"))
	}
}

// surplus are those of a claim's entries, asked for by the other side, that are to
// be sent to it. Of two that share a fingerprint nobody knows which it lacks.
func (r *Round) surplus(c claim, lacked uint32) uint32 {
	if c.kind != claimPrints {
		return lacked
	}
	listed := r.ear.listed[c.from:c.to]
	for set := lacked; set != 0; set &= set - 1 {
		i := bits.TrailingZeros32(set)
		print := r.salt.print(listed[i].Digest, false)
		alone := true
		for j := range listed {
			alone = alone && (j == i || r.salt.print(listed[j].Digest, false) != print)
		}
		if alone && !r.source.Surplus(listed[i]) {
			lacked &^= 1 << i
		}
	}
	return lacked
}

// oweListed owes the entries of a claim that the other side asked for.
func (r *Round) oweListed(c claim, set uint32) {
	if set == 0 {
		return
	}
	m, from := &r.mouth, len(r.mouth.items)
	set = r.surplus(c, set)
	for listed := r.ear.listed[c.from:c.to]; set != 0; set &= set - 1 {
		m.items = append(m.items, listed[bits.TrailingZeros32(set)])
	}
	m.debts = append(m.debts, debt{kind: debtEntries, span: between(from, len(m.items))})
}

// owe compares the entries of a claim that the other side lacks (set) with the
// headers of those that this side seems to lack. Of two with one position the
// newer goes over; what stands alone goes over anyway.
func (r *Round) owe(c claim, set uint32, theirs []header) {
	mine := r.ear.listed[c.from:c.to]
	set = r.surplus(c, set)
	send, want := set, uint32(1)<<len(theirs)-1
	for j, h := range theirs {
		i, alone := r.counterpart(mine, set, theirs, j)
		switch {
		case !alone:
		case mine[i].Time > h.time:
			want &^= 1 << j
		case mine[i].Time < h.time:
			send &^= 1 << i
		}
	}
	m, from := &r.mouth, len(r.mouth.items)
	for ; send != 0; send &= send - 1 {
		m.items = append(m.items, mine[bits.TrailingZeros32(send)])
	}
	m.debts = append(m.debts, debt{
		kind: debtHeaders, want: want, listed: uint8(len(theirs)), span: between(from, len(m.items)),
	})
}

// counterpart finds the one item of set that has the position of header j. It
// reports false where there is none, or where several on either side look
// alike: then nobody can tell which replaces which, and all go over.
func (r *Round) counterpart(mine []Item, set uint32, theirs []header, j int) (at int, alone bool) {
	for k := range theirs {
		if k != j && theirs[k].tag == theirs[j].tag {
			return 0, false
		}
	}
	for ; set != 0; set &= set - 1 {
		i := bits.TrailingZeros32(set)
		if r.salt.tag(mine[i].Pos) != theirs[j].tag {
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
	for whole.entry() != nil && len(whole.b) > 0 {
	}
	if whole.err != nil {
		return malformed(whole.err)
	}
	for len(in.b) > 0 {
		entry := in.entry()
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
		case Refused:
			r.stats.Refused++
		}
	}
	return nil
}

func (r *Round) onEndTurn(in *reader) error {
	var m endMsg
	if err := m.parse(in); err != nil {
		return malformed(err)
	}
	if len(r.mouth.debts) == 0 {
		return fmt.Errorf("%w: a turn that asks nothing", ErrProtocol)
	}
	return r.endHearing(m.clock, false)
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
	return r.endHearing(m.clock, true)
}

func (r *Round) endHearing(clock uint64, idle bool) error {
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
	r.source.Observe(clock)
	r.peerIdle = idle
	clear(e.listed) // lets go of the entries
	e.claims, e.listed = e.claims[:0], e.listed[:0]
	if r.peerIdle && r.ownIdle {
		own, _ := r.source.Root()
		r.finish(own)
		return nil
	}
	r.startSpeaking()
	return nil
}

func between(from, to int) span { return span{int32(from), int32(to)} }

func unexpected(lead byte, to string) error {
	return fmt.Errorf("lead byte %#02x in answer to %s", lead, to)
}
