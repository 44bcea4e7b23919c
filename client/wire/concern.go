package wire

import "fmt"

// Concern is which members must hold a write before it is answered. Members are all
// that have not left, been forgotten or been replaced under their name: those believed
// dead too, so that the two halves of a split never both have a quorum.
type Concern uint8

// The concerns, weakest first.
const (
	ConcernLocal  Concern = iota // the node that takes it
	ConcernOne                   // one member more
	ConcernQuorum                // more than half of the members
	ConcernAll
)

var concernNames = [...]string{"local", "one", "quorum", "all"}

// String is the concern's name on command lines.
func (c Concern) String() string {
	if int(c) < len(concernNames) {
		return concernNames[c]
	}
	return fmt.Sprintf("concern(%d)", uint8(c))
}

// Needs is how many members must hold a write, of so many.
func (c Concern) Needs(members int) int {
	switch c {
	case ConcernOne:
		return 2
	case ConcernQuorum:
		return members/2 + 1
	case ConcernAll:
		return members
	}
	return 1
}
