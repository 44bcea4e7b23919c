package causal

import "slices"

// Knowledge is what a node knows of writes beyond the entries that it holds. The
// zero Knowledge is that of a process that has just started. It must change
// together with the entries: after each method that returns what becomes of an
// entry, the caller does that before anybody else sees either.
type Knowledge struct {
	// Seen are the writes that were merged or superseded here.
	Seen Seen
	// Hidden covers each write that was seen, is no longer held, and was neither
	// replaced by a local write nor named by the push that replaced it. Whoever
	// takes a push from here must have seen those writes too: nobody could tell
	// it about them afterwards.
	Hidden Vector
}

// Push is one write on its way to another member, as far as the rule reads it.
// Over, Prev and Hidden are as they were at the issuer when it wrote.
type Push struct {
	Write  Dot
	Over   Dot    // of the same key, replaced by the write; zero if the issuer held none
	Prev   uint64 // the time of the issuer's write before, of any key
	Hidden Vector
}

// Verdict is what becomes of a push.
type Verdict uint8

// The verdicts.
const (
	Ignored  Verdict = iota // seen before: nothing changes
	Held                    // what it builds upon has not been seen: later, or after a round
	Replaces                // it takes the place of what is held
	Loses                   // it is superseded by what is held
)

// Own notes a local write. It replaces whatever the node held of its key.
func (k *Knowledge) Own(write Dot) { k.Seen.Take(write, 0) }

// Over is what a local write names as replaced, of what the node held of its key: that,
// if it has been seen. Else what it builds upon may not have been, and whoever took the
// write for all that came before would be wrong: then it is hidden instead, before the
// write goes out.
func (k *Knowledge) Over(held Dot) (over Dot) {
	if held == (Dot{}) || k.Seen.Covers(held) {
		return held
	}
	k.hide(held, loserNotHidden)
	return Dot{}
}

// Judge says what becomes of a push, and takes it in unless it is Held. held is
// the write that the node holds of the same key, zero if none.
func (k *Knowledge) Judge(p *Push, held Dot) Verdict {
	switch {
	case k.Seen.Covers(p.Write):
		return Ignored
	case !k.Seen.Covers(p.Over) && !broken(pushOverUnseen),
		!k.Seen.CoversAll(p.Hidden) && !broken(pushOverHidden),
		!k.Seen.HasRoom(p.Write, p.Prev):
		return Held
	}
	k.Seen.Take(p.Write, p.Prev)
	switch {
	case held == p.Write: // a round brought it first
		return Ignored
	case !supersedes(p.Write, held):
		k.hide(p.Write, loserNotHidden)
		return Loses
	case held != p.Over:
		k.hide(held, loserNotHidden)
	}
	return Replaces
}

// supersedes is the merge rule.
func supersedes(arriving, held Dot) bool {
	if broken(lastArrivalWins) {
		return true
	}
	return arriving.Compare(held) > 0
}

// Listing is what becomes of one key when a peer has listed what it holds of it.
type Listing struct {
	Drop bool // what this node holds goes
	Want bool // what the peer holds is to be merged: Merge says how
}

// Listed compares what this node holds of a key, zero if nothing, with what a
// peer holds of it, likewise. theirs is what the peer had seen when the list was
// made, or before. An entry that one side holds and the other lacks stays only if
// the other has not seen it.
func (k *Knowledge) Listed(theirs *Seen, listed, held Dot) Listing {
	var l Listing
	if held != listed {
		l.Drop = !held.IsZero() && theirs.Covers(held) && !broken(lastWriterWins) || !held.IsZero() && broken(dropsUnseen)
		l.Want = !listed.IsZero() && (!k.Seen.Covers(listed) || broken(wantsSeen) || broken(lastWriterWins))
	}
	if l.Drop {
		k.hide(held, none)
	}
	return l
}

// Merge reports whether an entry that a round brought takes the place of the one
// held, zero if none. That the round brought it does not mean that it has been
// seen with all that it builds upon: only Accept says so.
func (k *Knowledge) Merge(arriving, held Dot) (replaces bool) {
	if broken(mergedIsSeen) {
		k.Seen.Take(arriving, arriving.Time-1)
	}
	replaces = supersedes(arriving, held)
	loser := arriving
	if replaces {
		loser = held
	}
	k.hide(loser, mergeLoserNotHidden)
	return replaces
}

// Accept takes in what a peer knew at an instant, after all of its entries of
// that instant, or what superseded them at the peer, have become this node's
// too, and none is left here that the peer had seen and lacked. It reports false,
// with nothing changed, if that is more than there is room for.
func (k *Knowledge) Accept(theirs *Knowledge) bool {
	if k.Seen.joint(&theirs.Seen) > mostAhead {
		return false
	}
	k.Seen.Merge(&theirs.Seen)
	if !broken(acceptWithoutHidden) {
		k.Seen.raise(&k.Hidden, theirs.Hidden)
	}
	return true
}

// Purged notes that a dead entry is no longer held.
func (k *Knowledge) Purged(write Dot) {
	k.hide(write, purgedNotHidden)
}

// hide notes a write that is no longer held, unless the bug is planted.
func (k *Knowledge) hide(write Dot, unless bug) {
	if !broken(unless) && !broken(nothingHidden) && !k.Seen.retired(write.Instance) {
		k.Hidden.Raise(write)
	}
}

// Report is what each member tells the others now and then, so that they know
// which dead entries may go. While a member takes part in a round, its report stays
// what it was before: lists that are on their way are older than what it sees
// meanwhile.
type Report struct {
	// Least is the time up to which the member has seen every write of every
	// instance that it counts. Its own clock stands for itself.
	Least uint64
	// Departed is what it has seen of instances that it does not count any more.
	Departed Seen
}

// Report is this node's. clock is its own, counted are the instances that it
// counts, itself included or not.
func (k *Knowledge) Report(self, clock uint64, counted []uint64) Report {
	r := Report{Least: clock, Departed: k.Seen.Clone()}
	for _, o := range counted {
		if o != self {
			r.Least = min(r.Least, k.Seen.Base.At(o))
		}
		r.Departed.Forget(o)
	}
	return r
}

// Purgeable reports whether a dead entry that this node holds may go: every member
// that counts, this node included, has seen every write before it of every
// instance that counts, and has seen it too if this node has. (It has not if a
// round brought the entry and then broke off. If the issuer died as well, nobody
// may ever be able to say that he has.) An expired entry must also be dead by every
// member's clock, which the caller sees to.
func (k *Knowledge) Purgeable(write Dot, issuerCounts bool, own Report, others []Report) bool {
	if broken(lastWriterWins) {
		return true
	}
	if write.Time > own.Least {
		return false
	}
	mustBeSeen := !issuerCounts && k.Seen.Covers(write) && !broken(purgesUnseenDeparted)
	for _, r := range others {
		switch {
		case broken(purgesAlone):
		case write.Time > r.Least, mustBeSeen && !r.Departed.Covers(write):
			return false
		}
	}
	return true
}

// Retire drops what is known of an instance whose process is gone for good, once
// there was an instant at which all members that may return had seen the same of
// it, none held any of its writes, and no push or round was bringing one: docs/deletes.md, Retirement of instances.
// Until Forget all its writes count as seen, and statements that still name it do
// not bring it back. Not while this node takes part in a round.
func (k *Knowledge) Retire(instance uint64) {
	k.Seen.retire(instance)
	k.Hidden.Forget(instance)
}

// Forget drops the last word on a retired instance, once no member that may return
// names it any more. Not while this node takes part in a round.
func (k *Knowledge) Forget(instance uint64) {
	if i, ok := slices.BinarySearch(k.Seen.Retired, instance); ok {
		k.Seen.Retired = slices.Delete(k.Seen.Retired, i, i+1)
	}
}

// Names reports whether anything is kept of an instance that is not retired.
func (k *Knowledge) Names(instance uint64) bool {
	return k.Seen.Base.At(instance) != 0 || k.Hidden.At(instance) != 0 ||
		k.Seen.AheadOf(instance)
}

// KeepNamed drops from s all instances of which nothing is kept here.
func (k *Knowledge) KeepNamed(s *Seen) {
	s.Base = slices.DeleteFunc(s.Base, func(d Dot) bool { return !k.Names(d.Instance) })
	s.Ahead = slices.DeleteFunc(s.Ahead, func(a Ahead) bool { return !k.Names(a.Instance) })
}

// Clone is a copy that shares nothing with k.
func (k *Knowledge) Clone() Knowledge {
	return Knowledge{k.Seen.Clone(), k.Hidden.Clone()}
}
