package causal

import "slices"

// The smallest cluster in which all of the histories of docs/deletes.md happen.
const slots = 3

// kind of a write.
const (
	put      uint8 = iota
	shortPut       // with a TTL, and not yet expired
	expired
	tombstone
)

// set is a set of writes, by their place in state.writes.
type set uint16

func (s set) has(w uint8) bool { return s&(1<<w) != 0 }

// write is one write that was made, and its pushes that are on their way.
type write struct {
	dot    Dot
	over   Dot
	prev   uint64
	hidden Vector
	key    uint8
	kind   uint8
	past   set   // of its key, what its issuer had seen when it wrote
	onWay  uint8 // the slots that a push of it is on its way to
}

// node is a member, in one life of its process.
type node struct {
	instance uint64
	clock    uint64
	last     uint64 // time of its last write
	know     Knowledge
	held     [2]uint8 // by key: the write that it holds, plus one
	ready    bool

	// No rule reads these. purged are the tombstones that went somewhere while this
	// node counted and had not seen them; retired, the instances that it has retired,
	// or forgotten since, and forgot what it had seen of them.
	purged, forgot set
	retired        uint8
}

// session is one side's way to what the other knows, in progress: it lists key
// by key what it holds, or states that and what it knows in one, as a hello and
// a bye do, and then sends what it holds that is dead.
type session struct {
	active   bool
	claim    bool
	phase    phase // of a claim
	from, to uint8
	know     Knowledge // of from, at the start or as it states; Hidden is that of the last list
	heard    uint8     // the keys that to has heard of
	list     uint8     // the key on its way, plus one
	held     [2]uint8  // what from held, of the key on its way, or of all if a claim
	looked   [2]uint8  // what to held as it looked, if a claim
	came     set       // live writes that others have brought to since the start, or since it looked
}

// phase is how far a claim is.
type phase uint8

const (
	stated phase = 1 << iota // from has said what it holds and knows
	looked                   // to has noted what it holds, and watches from then on
	sent                     // the dead entries are on their way
	merged                   // they have come
)

// state is a cluster, all messages on their way, and what may still happen.
type state struct {
	nodes   [slots]node
	writes  []write
	session session
	next    uint64 // the next instance
	dead    uint8  // instances that crashed and still count, as a set
	left    budget
	clear   uint8 // instances that may be retired: nobody held any of their writes
	forgot  set   // what somebody had seen of those
	ended   set   // dead entries that went where they were held, but not seen
	gaveUp  bool  // somebody was given up, so concurrent puts may survive a delete
	scratch *state
}

// budget is how often each thing may happen in one history.
type budget struct {
	keys                             uint8
	puts, shortPuts, deletes         uint8
	crashes, giveUps, skips, retires uint8
	probes                           uint8 // apart from those before a purge
	unseen                           uint8 // pushes that are merged without having been seen
	sessions                         uint8 // those that take their time, one at once
}

func start(b budget) *state {
	s := &state{left: b, next: slots + 1}
	for i := range s.nodes {
		s.nodes[i] = node{instance: uint64(i) + 1, ready: true}
	}
	return s
}

// clone is a copy to change, which the next call of clone overwrites.
func (s *state) clone() *state {
	if s.scratch == nil {
		s.scratch = &state{}
	}
	c := s.scratch
	writes, nodes := c.writes, c.nodes
	*c = *s
	c.scratch = nil
	c.writes = append(writes[:0], s.writes...) // what they hold never changes
	for i := range c.nodes {
		to, from := &nodes[i].know, &s.nodes[i].know
		c.nodes[i].know = Knowledge{
			Seen: Seen{
				Base:    append(to.Seen.Base[:0], from.Seen.Base...),
				Ahead:   append(to.Seen.Ahead[:0], from.Seen.Ahead...),
				Retired: append(to.Seen.Retired[:0], from.Seen.Retired...),
			},
			Hidden: append(to.Hidden[:0], from.Hidden...),
		}
	}
	return c
}

func (s *state) dot(held uint8) Dot {
	if held == 0 {
		return Dot{}
	}
	return s.writes[held-1].dot
}

func (s *state) isDead(held uint8) bool { return held != 0 && s.writes[held-1].kind >= expired }

func (s *state) live(held uint8) uint8 {
	if s.isDead(held) {
		return 0
	}
	return held
}

// saw reports whether node i has seen a write, whether or not it still knows.
func (s *state) saw(i, w uint8) bool {
	n, d := &s.nodes[i], s.writes[w].dot
	return n.forgot.has(w) || !n.know.Seen.retired(d.Instance) && n.know.Seen.Covers(d)
}

// seenBy are the writes of one key that node i has seen.
func (s *state) seenBy(i, key uint8) set {
	var all set
	for w := range s.writes {
		if s.writes[w].key == key && s.saw(i, uint8(w)) {
			all |= 1 << w
		}
	}
	return all
}

// coder writes a state as bytes, or reads it back: one walk for both.
type coder struct {
	b       []byte
	reading bool
}

func (c *coder) u8(x *uint8) {
	if !c.reading {
		c.b = append(c.b, *x)
		return
	}
	*x, c.b = c.b[0], c.b[1:]
}

// time is a clock reading or an instance: all of them are small.
func (c *coder) time(x *uint64) {
	y := uint8(*x)
	c.u8(&y)
	*x = uint64(y)
}

func (c *coder) set(x *set) {
	lo, hi := uint8(*x), uint8(*x>>8)
	c.u8(&lo)
	c.u8(&hi)
	*x = set(lo) | set(hi)<<8
}

func (c *coder) flags(all ...*bool) {
	var f uint8
	for i, x := range all {
		if *x {
			f |= 1 << i
		}
	}
	c.u8(&f)
	for i, x := range all {
		*x = f&(1<<i) != 0
	}
}

func (c *coder) dot(d *Dot) {
	c.time(&d.Time)
	c.time(&d.Instance)
}

func (c *coder) length(n int) int {
	l := uint8(n)
	c.u8(&l)
	return int(l)
}

func (c *coder) vector(v *Vector) {
	if n := c.length(len(*v)); c.reading {
		*v = slices.Grow((*v)[:0], n)[:n]
	}
	for i := range *v {
		c.dot(&(*v)[i])
	}
}

func (c *coder) knowledge(k *Knowledge) {
	c.vector(&k.Seen.Base)
	c.vector(&k.Hidden)
	if n := c.length(len(k.Seen.Ahead)); c.reading {
		k.Seen.Ahead = slices.Grow(k.Seen.Ahead[:0], n)[:n]
	}
	for i := range k.Seen.Ahead {
		c.dot(&k.Seen.Ahead[i].Dot)
		c.time(&k.Seen.Ahead[i].Prev)
	}
	if n := c.length(len(k.Seen.Retired)); c.reading {
		k.Seen.Retired = slices.Grow(k.Seen.Retired[:0], n)[:n]
	}
	for i := range k.Seen.Retired {
		c.time(&k.Seen.Retired[i])
	}
}

// core is what check reads.
func (c *coder) core(s *state) {
	for i := range s.nodes {
		n := &s.nodes[i]
		c.time(&n.instance)
		c.time(&n.clock)
		c.time(&n.last)
		c.knowledge(&n.know)
		c.u8(&n.held[0])
		c.u8(&n.held[1])
		c.flags(&n.ready)
		c.set(&n.purged)
		c.set(&n.forgot)
		c.u8(&n.retired)
	}
	if n := c.length(len(s.writes)); c.reading {
		s.writes = slices.Grow(s.writes[:0], n)[:n]
	}
	for i := range s.writes {
		w := &s.writes[i]
		c.dot(&w.dot)
		c.dot(&w.over)
		c.time(&w.prev)
		c.vector(&w.hidden)
		c.u8(&w.key)
		c.u8(&w.kind)
		c.set(&w.past)
	}
	c.set(&s.ended)
	c.u8(&s.clear)
	c.set(&s.forgot)
	c.flags(&s.gaveUp)
}

// rest is what may still come.
func (c *coder) rest(s *state) {
	for i := range s.writes {
		c.u8(&s.writes[i].onWay)
	}
	c.time(&s.next)
	c.u8(&s.dead)
	b := &s.left
	for _, x := range []*uint8{&b.keys, &b.puts, &b.shortPuts, &b.deletes, &b.crashes, &b.giveUps, &b.skips, &b.retires, &b.probes, &b.unseen, &b.sessions} {
		c.u8(x)
	}
	x := &s.session
	c.flags(&x.active, &x.claim)
	if x.active {
		c.u8(&x.from)
		c.u8(&x.to)
		c.knowledge(&x.know)
		c.u8(&x.heard)
		c.u8(&x.list)
		c.u8(&x.held[0])
		c.u8(&x.held[1])
		c.u8((*uint8)(&x.phase))
		c.u8(&x.looked[0])
		c.u8(&x.looked[1])
		c.set(&x.came)
	}
}

// encode is the state as bytes. A push that has been seen where it goes would
// change nothing any more, so it counts as arrived.
func (s *state) encode(dst []byte) []byte {
	for w := range s.writes {
		for i := range s.nodes {
			if s.nodes[i].know.Seen.Covers(s.writes[w].dot) {
				s.writes[w].onWay &^= 1 << i
			}
		}
	}
	s.session.forgetNoise(s.writes)
	c := coder{b: dst}
	c.core(s)
	c.rest(s)
	return c.b
}

// forgetNoise makes one state of those that differ only in what came to a session
// of which it makes no difference.
func (x *session) forgetNoise(writes []write) {
	if !x.active || x.came == 0 || x.claim && x.phase&stated == 0 {
		return
	}
	if x.came = x.tripped(writes); x.came != 0 {
		x.came = 1
	}
}

// tripped is what has come that the other side had seen.
func (x *session) tripped(writes []write) (came set) {
	for w := range writes {
		if x.came.has(uint8(w)) && x.know.Seen.Covers(writes[w].dot) {
			came |= 1 << w
		}
	}
	return came
}

// decode is the inverse of encode. It reuses what s has, and returns how long the
// core is.
func (s *state) decode(b []byte) (core int) {
	c := coder{b: b, reading: true}
	if s.session.active {
		s.session = session{}
	}
	c.core(s)
	core = len(b) - len(c.b)
	c.rest(s)
	return core
}
