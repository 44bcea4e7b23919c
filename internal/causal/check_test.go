package causal

import (
	"fmt"
	"math/bits"
)

// check says what is wrong with a state, or nothing: what must hold at any time,
// what must hold in the end if all faults stop here, and, if wanted, the lemma that
// all of it rests on.
func (s *state) check(lemma bool) string {
	if wrong := s.checkServed(); wrong != "" {
		return wrong
	}
	if wrong := s.checkRetired(); wrong != "" {
		return wrong
	}
	if wrong := s.checkEnd(); wrong != "" {
		return wrong
	}
	if lemma {
		return s.checkClosed()
	}
	return ""
}

// checkClosed is lemma 1 of docs/deletes.md: who has seen a write has seen what it
// had seen, but for what nobody holds and nobody will.
func (s *state) checkClosed() string {
	for i := range uint8(slots) {
		for w := range uint8(len(s.writes)) {
			if !s.saw(i, w) {
				continue
			}
			for m := s.writes[w].past &^ s.forgot; m != 0; m &= m - 1 {
				if e := uint8(bits.TrailingZeros16(uint16(m))); !s.saw(i, e) {
					return fmt.Sprintf("%c has seen w%d, but not w%d, which it had seen", 'A'+i, w, e)
				}
			}
		}
	}
	return ""
}

// checkServed: no node serves what something that has reached it had deleted or
// overwritten, nor what was deleted by a tombstone that went while it counted.
func (s *state) checkServed() string {
	for i := range s.nodes {
		n := &s.nodes[i]
		for key := range s.left.keys {
			h := s.live(n.held[key])
			if h == 0 {
				continue
			}
			for w := range uint8(len(s.writes)) {
				over := &s.writes[w]
				if over.key != key || !over.past.has(h-1) {
					continue
				}
				switch {
				case s.saw(uint8(i), w):
					return fmt.Sprintf("%c serves w%d, and says that it has seen w%d, which had seen it", 'A'+i, h-1, w)
				case n.purged.has(w):
					return fmt.Sprintf("%c serves w%d, and the tombstone w%d, which had seen it, has been purged", 'A'+i, h-1, w)
				}
			}
		}
	}
	return ""
}

// checkEnd: whatever is on its way is lost, and every two nodes do whole rounds until
// nothing changes any more. Then all are equal, they hold
// the greatest write that had reached any of them, and every tombstone goes.
func (s *state) checkEnd() string {
	e := s.clone()
	e.session, e.dead = session{}, 0
	for w := range e.writes {
		e.writes[w].onWay = 0
	}
	e.roundsToRest()
	if wrong := e.checkServed(); wrong != "" {
		return "in the end " + wrong
	}
	for i := range e.nodes {
		if e.nodes[i].held != e.nodes[0].held {
			return fmt.Sprintf("in the end A holds other entries than %c", 'A'+i)
		}
	}
	for key := range s.left.keys {
		var seen set
		for i := range uint8(slots) {
			seen |= s.seenBy(i, key)
			if h := s.nodes[i].held[key]; h != 0 {
				seen |= 1 << (h - 1)
			}
		}
		live := e.live(e.nodes[0].held[key])
		if wrong := e.checkWinner(key, seen, live); wrong != "" && e.checkWinner(key, seen|s.ended|s.forgot, live) != "" {
			return fmt.Sprintf("in the end k%d: %s", key, wrong)
		}
	}
	if wrong := e.checkPurged(); wrong != "" || s.clear == 0 {
		return wrong
	}
	return e.checkGone()
}

func (s *state) roundsToRest() {
	for again := true; again; {
		before := s.nodes
		var held [slots]Vector
		for i := range s.nodes {
			held[i] = s.nodes[i].know.Seen.Base.Clone()
		}
		for i := range uint8(slots) {
			for j := range i {
				s.tell(i, j)
				s.tell(j, i)
			}
		}
		again = false
		for i := range s.nodes {
			n := &s.nodes[i]
			again = again || n.held != before[i].held ||
				!held[i].CoversAll(n.know.Seen.Base)
		}
	}
}

// checkWinner compares what all hold of a key, live, with the writes of it that
// somebody had seen, or held, who survived.
func (s *state) checkWinner(key uint8, seen set, live uint8) string {
	var greatest uint8
	for w := range uint8(len(s.writes)) {
		if !seen.has(w) || s.writes[w].key != key {
			continue
		}
		if live != 0 && s.writes[w].past.has(live-1) {
			return fmt.Sprintf("w%d is live, and w%d had seen it", live-1, w)
		}
		if greatest == 0 || s.dot(greatest).Compare(s.writes[w].dot) < 0 {
			greatest = w + 1
		}
	}
	switch {
	case s.live(greatest) == live:
		return ""
	case s.isDead(greatest) && s.gaveUp:
		return "" // the tombstone went before a write that it had not seen came back
	}
	return fmt.Sprintf("%s is live, and the greatest write that survived is %s", called(live), called(greatest))
}

// checkRetired: who has retired an instance does not name it again.
func (s *state) checkRetired() string {
	for i := range s.nodes {
		n := &s.nodes[i]
		for o := uint64(1); o < s.next; o++ {
			if n.retired&(1<<o) != 0 && n.know.Names(o) {
				return fmt.Sprintf("%c names instance %d again, which it had retired", 'A'+i, o)
			}
		}
	}
	return ""
}

// checkGone: in the end all retire what may be retired, and forget it, and nobody hears of
// it again.
func (s *state) checkGone() string {
	for o := uint64(1); o < 8; o++ {
		for i := range uint8(slots) {
			if s.isClear(o) {
				s.retire(i, o)
			}
		}
		for i := range s.nodes {
			if !s.named(o) {
				s.nodes[i].know.Forget(o)
			}
		}
	}
	s.roundsToRest()
	for o := uint64(1); o < 8; o++ {
		if s.isClear(o) && (s.named(o) || s.nodes[0].know.Seen.retired(o)) {
			return fmt.Sprintf("in the end instance %d is not forgotten", o)
		}
	}
	return ""
}

func (s *state) checkPurged() string {
	for i := range uint8(slots) {
		for key := range s.left.keys {
			if s.isDead(s.nodes[i].held[key]) && !s.purgeable(i, key, counting{}) {
				return fmt.Sprintf("in the end %c can't purge %s", 'A'+i, called(s.nodes[i].held[key]))
			}
		}
	}
	return ""
}
