package merkle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// row is an entry of a store.
type row struct {
	key            string
	value          string
	time, instance uint64
	pos            uint64
	digest         Digest
}

func (r *row) item() Item {
	return Item{Pos: r.pos, Digest: r.digest, Time: r.time, Instance: r.instance, Ref: r}
}

func (r *row) beats(o *row) bool {
	if r.time != o.time {
		return r.time > o.time
	}
	if r.instance != o.instance {
		return r.instance > o.instance
	}
	return r.value > o.value
}

// store is a Source in memory: last writer wins.
type store struct {
	instance uint64
	key      Key
	hasher   Hasher
	tree     *Tree[*row]
	rows     map[string]*row
	clock    uint64

	position func(string) uint64 // overrides the hasher's, to bring about what chance does not
	refuse   func(key string) bool
	expected uint64 // as Expect said
	ignored  int    // entries that came although they are no use
	stale    int    // of these, older than what is held
	rekeyed  int
	observed []uint64
}

var sharedKey = Key{Created: 1000, Secret: [16]byte{7, 7, 7}}

func newStore(instance uint64, key Key) *store {
	s := &store{instance: instance, key: key, rows: map[string]*row{}}
	s.rebuild()
	return s
}

func (s *store) rebuild() {
	s.hasher = NewHasher(s.key)
	s.tree = NewTree((*row).item)
	for _, r := range s.rows {
		s.place(r)
		s.tree.Insert(r.pos, r, r.digest)
	}
}

func (s *store) place(r *row) {
	var fixed [FixedSize]byte
	binary.BigEndian.PutUint64(fixed[:], r.time)
	binary.BigEndian.PutUint64(fixed[8:], r.instance)
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(r.value)) // a hash never fails
	binary.BigEndian.PutUint64(fixed[25:], sum.Sum64())
	r.digest = s.hasher.Entry(r.key, &fixed)
	r.pos = s.hasher.Position(r.key)
	if s.position != nil {
		r.pos = s.position(r.key)
	}
}

func (s *store) put(key, value string) {
	s.clock++
	s.merge(&row{key: key, value: value, time: s.clock, instance: s.instance})
}

func (s *store) putAt(time uint64, key, value string) {
	s.clock = max(s.clock, time)
	s.merge(&row{key: key, value: value, time: time, instance: s.instance})
}

func (s *store) merge(r *row) Outcome {
	if s.refuse != nil && s.refuse(r.key) {
		return Refused
	}
	s.place(r)
	was := s.rows[r.key]
	switch {
	case was == nil:
		s.tree.Insert(r.pos, r, r.digest)
	case !r.beats(was):
		return Ignored
	default:
		s.tree.Replace(r.pos, was, r, was.digest, r.digest)
	}
	s.rows[r.key] = r
	return Applied
}

func (s *store) Key() Key { return s.key }

func (s *store) Rekey(k Key) {
	if !k.Beats(s.key) {
		return
	}
	same := k.Same(s.key)
	s.key = k
	if !same {
		s.rekeyed++
		s.rebuild()
	}
}

func (s *store) Root() (Digest, uint64) { return s.tree.Root() }

func (s *store) Children(r Range, out *[Fanout]Node) { s.tree.Children(r, out) }

func (s *store) Items(r Range, from uint64, dst []Item, limit int) []Item {
	return s.tree.Items(r, from, dst, limit)
}

// Surplus is true: these stores have seen nothing of each other.
func (s *store) Surplus(Item) bool { return true }

func (s *store) Expect(n uint64) { s.expected = n }

func (s *store) LetGo(Item) { panic("all is surplus") }

func (s *store) AppendEntry(dst []byte, it Item) []byte {
	r := s.rows[it.Ref.(*row).key]
	dst = binary.AppendUvarint(dst, uint64(len(r.key)))
	dst = append(dst, r.key...)
	dst = binary.BigEndian.AppendUint64(dst, r.time)
	dst = binary.BigEndian.AppendUint64(dst, r.instance)
	return append(dst, r.value...)
}

var errRow = errors.New("no row")

func (s *store) Apply(b []byte) (Outcome, error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n == 0 || n > 4096 || uint64(len(b)-w) < n+16 {
		return Refused, errRow
	}
	b = b[w:]
	r := &row{key: string(b[:n]), value: string(b[n+16:])}
	r.time, r.instance = binary.BigEndian.Uint64(b[n:]), binary.BigEndian.Uint64(b[n+8:])
	outcome := s.merge(r)
	if outcome == Ignored {
		s.ignored++
		if s.rows[r.key].beats(r) {
			s.stale++
		}
	}
	return outcome, nil
}

func (s *store) Clock() uint64 { return s.clock }

func (s *store) Observe(c uint64) {
	s.observed = append(s.observed, c)
	s.clock = max(s.clock, c)
}

// want fails unless the store holds just these keys and values, in a sound
// tree.
func (s *store) want(t require.TestingT, want map[string]string) {
	require.NoError(t, s.tree.Check())
	got := make(map[string]string, len(s.rows))
	for k, r := range s.rows {
		got[k] = r.value
	}
	require.Equal(t, want, got)
}

// union is what both stores must hold in the end.
func union(stores ...*store) map[string]string {
	best := map[string]*row{}
	for _, s := range stores {
		for k, r := range s.rows {
			if was := best[k]; was == nil || r.beats(was) {
				best[k] = r
			}
		}
	}
	out := make(map[string]string, len(best))
	for k, r := range best {
		out[k] = r.value
	}
	return out
}

// fill gives every store the same n entries.
func fill(n int, stores ...*store) {
	for i := range n {
		key := fmt.Sprintf("key-%07d", i)
		for _, s := range stores {
			s.merge(&row{key: key, value: "a common value", time: uint64(i + 1), instance: 99})
		}
	}
	for _, s := range stores {
		s.clock = max(s.clock, uint64(n))
	}
}

// side is a Round with the frames on their way to it.
type side struct {
	*Round
	inbox [][]byte
}

// talk is two rounds and what is between them.
type talk struct {
	t      require.TestingT
	a, b   *side
	frames int
	// Bounds of what was seen.
	maxFrame, maxClaims, maxLater int
	// between, if set, is called before each step.
	between func()
}

func newTalk(t require.TestingT, a, b *store, salt uint64, c RoundConfig) *talk {
	ca, cb := c, c
	ca.Initiator, ca.Source, ca.Salt = true, a, salt
	cb.Source, cb.Salt = b, 0
	return &talk{t: t, a: &side{Round: NewRound(ca)}, b: &side{Round: NewRound(cb)}}
}

// speak lets one side make its next frame.
func (k *talk) speak(from, to *side) bool {
	frame, ok := from.Next(nil)
	if ok {
		to.inbox = append(to.inbox, frame)
		k.frames++
		k.maxFrame = max(k.maxFrame, len(frame))
		k.maxClaims = max(k.maxClaims, len(from.ear.claims))
		k.maxLater = max(k.maxLater, len(from.mouth.later))
	}
	return ok
}

// hear delivers one frame.
func (k *talk) hear(to *side) bool {
	if len(to.inbox) == 0 {
		return false
	}
	frame := slices.Clone(to.inbox[0])
	to.inbox = to.inbox[1:]
	require.NoError(k.t, to.Receive(frame))
	for i := range frame {
		frame[i] = 0xee // the frame stays the caller's
	}
	return true
}

// run drives the talk frame by frame to its end.
func (k *talk) run() {
	for more := true; more; {
		if k.between != nil {
			k.between()
		}
		more = k.speak(k.a, k.b)
		more = k.hear(k.b) || more
		more = k.speak(k.b, k.a) || more
		more = k.hear(k.a) || more
	}
	k.wantDone()
}

// runRandomly drives it with any number of frames in flight.
func (k *talk) runRandomly(rng *rand.Rand) {
	steps := []func() bool{
		func() bool { return k.speak(k.a, k.b) },
		func() bool { return k.speak(k.b, k.a) },
		func() bool { return k.hear(k.a) },
		func() bool { return k.hear(k.b) },
	}
	for idle := 0; idle < 200; idle++ {
		if k.between != nil {
			k.between()
		}
		if steps[rng.IntN(len(steps))]() {
			idle = 0
		}
	}
	k.wantDone()
}

func (k *talk) wantDone() {
	require.Empty(k.t, k.a.inbox)
	require.Empty(k.t, k.b.inbox)
	require.True(k.t, k.a.Done(), "the initiator is not done")
	require.True(k.t, k.b.Done(), "the responder is not done")
	a, b := k.a.Stats(), k.b.Stats()
	require.Equal(k.t, a.DigestSent, b.DigestReceived)
	require.Equal(k.t, b.DigestSent, a.DigestReceived)
	require.Equal(k.t, a.EntryBytesSent, b.EntryBytesReceived)
	require.Equal(k.t, b.EntryBytesSent, a.EntryBytesReceived)
	require.Equal(k.t, a.EntriesSent, b.EntriesReceived)
	require.Equal(k.t, b.EntriesSent, a.EntriesReceived)
	require.Equal(k.t, a.Turns, b.Turns)
	require.Equal(k.t, a.Equal, b.Equal)
}

// digestBytes is what a round cost beyond the entries.
func (k *talk) digestBytes() int {
	return int(k.a.Stats().DigestSent + k.b.Stats().DigestSent)
}

// converge runs rounds until the roots agree, and returns how many it took.
func converge(t testing.TB, a, b *store, salt uint64, c RoundConfig) int {
	t.Helper()
	want := union(a, b)
	for n := 1; n <= 5; n++ {
		k := newTalk(t, a, b, salt+uint64(n)*0x9e3779b97f4a7c15, c)
		k.run()
		require.Equal(t, k.a.Stats().Converged, k.b.Stats().Converged)
		if k.a.Stats().Converged {
			a.want(t, want)
			b.want(t, want)
			return n
		}
	}
	t.Fatalf("no convergence in 5 rounds from salt %d", salt)
	return 0
}
