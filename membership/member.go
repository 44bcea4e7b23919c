package membership

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// State is what the cluster believes of a member. The order of the values is
// the order of precedence among claims of one incarnation (see Compare).
type State uint8

const (
	// Alive members are probed, gossiped with, and expected to answer.
	Alive State = iota + 1
	// Suspect members failed a probe and have a bounded time to refute
	// (SWIM §4.2). Until then they count as live.
	Suspect
	// Dead members did not refute in time. They are contacted again every
	// rejoin interval, for they may be on the other side of a partition.
	Dead
	// Left members said that they leave. They are forgotten after a while.
	Left
)

// String returns the state's name as users see it.
func (s State) String() string {
	switch s {
	case Alive:
		return "alive"
	case Suspect:
		return "suspect"
	case Dead:
		return "dead"
	case Left:
		return "left"
	default:
		return fmt.Sprintf("state(%d)", uint8(s))
	}
}

// live tells whether members in this state are probed and counted.
func (s State) live() bool { return s == Alive || s == Suspect }

// Limits on what a member may say of itself. They hold for our own member
// (New refuses it) and for claims off the wire (the decoder refuses them).
const (
	MaxNameBytes = 256
	MaxAddrBytes = 256
	// MaxTagBytes bounds the keys and values of a member's tags together.
	MaxTagBytes = 512
	MaxTags     = 64
	// MaxMemberBytes bounds one member as encoded, so that any update fits
	// into one datagram.
	MaxMemberBytes = 1000

	// maxStarted is the first start time that no claim may carry: 48 bits of
	// milliseconds, as in the store's clock. A field of all ones, as a bug
	// makes it, is far outside and refused.
	maxStarted = int64(1) << 48
	// incarnationSpan is how many incarnations one start has. The first is
	// the start time itself; a member that uses them up takes a later start.
	incarnationSpan = uint64(1) << 32
)

// Member is one claim about a member: who it is, where it is, and what is
// believed of it. A member is identified by (Name, Instance): a process that
// restarts keeps its name and takes a new instance.
type Member struct {
	Name string
	// Instance is drawn at random at each start of a process; never zero.
	Instance uint64
	// Incarnation orders the claims about one instance. Only the member
	// itself raises it, to refute (SWIM §4.2) or to announce a change.
	Incarnation uint64
	// Started is the wall time of the start, in milliseconds since 1970. A
	// name's later start supersedes its earlier ones.
	Started int64
	State   State
	// PeerAddr is where peers send; ClientAddr, which may be empty, is where
	// clients connect.
	PeerAddr, ClientAddr string
	// ProtoMin and ProtoMax are the peer protocol versions that it speaks.
	ProtoMin, ProtoMax uint8
	// Tags are the user's. Nil when there are none.
	Tags map[string]string
}

// clone returns m with nothing shared.
func (m Member) clone() Member {
	m.Tags = maps.Clone(m.Tags)
	return m
}

// Compare orders two claims about one name. The greater one is believed, by
// everyone and in whatever order they arrive: merging claims is taking the
// maximum, hence commutative, associative and idempotent.
//
// The later start comes first (a restarted name supersedes), then the
// instance (only so that the order is total), then the incarnation, then the
// state. SWIM §4.2 lets Confirm override any Alive; here a higher incarnation
// overrides Dead too, or nobody could return from a partition.
func (m Member) Compare(o Member) int {
	return cmp.Or(
		cmp.Compare(m.Started, o.Started),
		cmp.Compare(m.Instance, o.Instance),
		cmp.Compare(m.Incarnation, o.Incarnation),
		cmp.Compare(m.State, o.State),
	)
}

// sameAttributes tells whether what a member says of itself, beyond its
// being alive, is the same in both claims.
func (m Member) sameAttributes(o Member) bool {
	return m.PeerAddr == o.PeerAddr && m.ClientAddr == o.ClientAddr &&
		m.ProtoMin == o.ProtoMin && m.ProtoMax == o.ProtoMax && maps.Equal(m.Tags, o.Tags)
}

// Validate returns what is wrong with the claim, all of it, or nil.
func (m Member) Validate() error {
	var errs []string // one line, for it goes into logs
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Sprintf(format, args...)) }

	switch {
	case m.Name == "":
		wrong("name is empty")
	case len(m.Name) > MaxNameBytes:
		wrong("name is %d bytes, the limit is %d", len(m.Name), MaxNameBytes)
	case !printable(m.Name):
		wrong("name %.40q holds control characters or is not UTF-8", m.Name)
	}
	if m.Instance == 0 {
		wrong("instance is zero")
	}
	switch {
	case m.Started < 0 || m.Started >= maxStarted:
		wrong("started is %d, outside 0 to 2^48 ms", m.Started)
	case m.Incarnation < uint64(m.Started) || m.Incarnation-uint64(m.Started) >= incarnationSpan:
		wrong("incarnation is %d, outside started (%d) to started + 2^32", m.Incarnation, m.Started)
	}
	if m.State < Alive || m.State > Left {
		wrong("state is %d, not one of 1 to 4", m.State)
	}
	if m.PeerAddr == "" {
		wrong("peer address is empty")
	}
	if err := checkAddr(m.PeerAddr); err != nil {
		wrong("peer address: %v", err)
	}
	if err := checkAddr(m.ClientAddr); err != nil {
		wrong("client address: %v", err)
	}
	if m.ProtoMin == 0 || m.ProtoMin > m.ProtoMax {
		wrong("protocol versions are %d to %d", m.ProtoMin, m.ProtoMax)
	}
	if err := checkTags(m.Tags); err != nil {
		wrong("tags: %v", err)
	}
	if size := memberSize(&m); size > MaxMemberBytes {
		wrong("encodes to %d bytes, the limit is %d", size, MaxMemberBytes)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("member %.40q: %s", m.Name, strings.Join(errs, "; "))
}

// checkAddr accepts printable ASCII without spaces, up to the limit; what it
// means is for the transport to say.
func checkAddr(addr string) error {
	if len(addr) > MaxAddrBytes {
		return fmt.Errorf("is %d bytes, the limit is %d", len(addr), MaxAddrBytes)
	}
	for i := range len(addr) {
		if addr[i] <= ' ' || addr[i] > '~' {
			return fmt.Errorf("%.40q holds a character that no address has", addr)
		}
	}
	return nil
}

func checkTags(tags map[string]string) error {
	if len(tags) > MaxTags {
		return fmt.Errorf("there are %d, the limit is %d", len(tags), MaxTags)
	}
	total := 0
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if key == "" {
			return errors.New("a key is empty")
		}
		if !printable(key) || !printable(tags[key]) {
			return fmt.Errorf("%.40q holds control characters or is not UTF-8", key)
		}
		total += len(key) + len(tags[key])
	}
	if total > MaxTagBytes {
		return fmt.Errorf("are %d bytes, the limit is %d", total, MaxTagBytes)
	}
	return nil
}

// printable refuses what would forge lines in a log or break a terminal.
func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}
