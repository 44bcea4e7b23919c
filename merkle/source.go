package merkle

// Node is what is known of a range without looking into it.
type Node struct {
	Digest Digest
	Count  uint64
}

// Item is an entry as a round sees it.
type Item struct {
	Pos    uint64
	Digest Digest
	// Time and Instance are the entry's version. Versions order by Time, then
	// by Instance.
	Time, Instance uint64
	// Ref is the source's own handle of the entry.
	Ref any
}

// Outcome is what became of an entry that a peer sent.
type Outcome uint8

const (
	// Applied: the entry was new or beat what was there.
	Applied Outcome = iota + 1
	// Ignored: what is there is the same or beats it.
	Ignored
	// Refused: the entry is not taken in here and now. The ranges that hold it
	// stay different.
	Refused
	// Held: the entry builds upon others that have not come yet, and nothing was
	// done.
	Held
	// Unseen: the entry was merged although it builds upon others that have not
	// come. A round has to bring those.
	Unseen
	// Parked: the entry's version is ahead of the time, and it will be merged when
	// it is due. Until then the ranges that hold it stay different.
	Parked
)

// String names the outcome.
func (o Outcome) String() string {
	switch o {
	case Applied:
		return "applied"
	case Ignored:
		return "ignored"
	case Refused:
		return "refused"
	case Held:
		return "held"
	case Unseen:
		return "unseen"
	case Parked:
		return "parked"
	default:
		return "unknown"
	}
}

// Source is the set of entries that a round compares and completes. Its
// methods may be called while others write: a round needs no snapshot, only
// that each call by itself is consistent.
type Source interface {
	// Key is the digest key that the source's positions and digests are made
	// with.
	Key() Key
	// Rekey takes over a key that beats the one in use, and rebuilds every
	// position and digest, in one step; any other key it ignores, because
	// rounds with several peers end in any order. A key with the secret in use
	// changes Created alone, which costs nothing.
	Rekey(Key)

	// Root is the digest and the number of all entries.
	Root() (Digest, uint64)
	// Children are the sixteen parts of a range that is not of MaxDepth.
	Children(r Range, out *[Fanout]Node)
	// Items appends entries of r with positions at or above from to dst, in
	// ascending order of position, and stops once it has appended limit of
	// them. Entries of one position come together, even past the limit: a
	// caller goes on at the last position plus one.
	Items(r Range, from uint64, dst []Item, limit int) []Item

	// Expect says that up to so many entries may come: the peer has them, and the
	// source had few. It is a hint, and may be wrong.
	Expect(entries uint64)
	// Surplus reports whether an entry that the peer lacks is to be sent to it. If
	// not, the source is to let it go, or will by itself.
	Surplus(it Item) bool
	// LetGo drops an entry that is not Surplus, unless it has been replaced.
	LetGo(it Item)
	// AppendEntry appends the entry's wire form. It may append the form of
	// what has replaced the entry meanwhile, or nothing if it is gone.
	AppendEntry(dst []byte, it Item) []byte
	// Apply merges an entry in its wire form, which is the caller's and must
	// not be kept. An error means bytes that no honest peer sends; the round
	// ends with it.
	Apply(entry []byte) (Outcome, error)

	// Clock is the reading that goes with what is sent.
	Clock() uint64
	// Observe takes in a peer's reading. It judges by itself whether the
	// reading is credible.
	Observe(reading uint64)
}
