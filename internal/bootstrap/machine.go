package bootstrap

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// MaxDials is how many addresses are dialled at a time.
	MaxDials = 16
	// MaxSeeds is how many addresses of an answer are kept: a random choice of
	// those that there are, another with each answer.
	MaxSeeds = 10_000
)

const (
	// Patience is how long nobody must have been found, or an address have been
	// silent, before the search for it is over.
	Patience = 3 * time.Second
	// nobodyTimes is how many answers in a row must have named nobody.
	nobodyTimes = 3

	// The pause before the next question is drawn from zero to a limit that
	// doubles from the first to the last of these ("full jitter"). One that is
	// settled asks far less often, so that two clusters find each other in the
	// end.
	firstPause   = 100 * time.Millisecond
	lastPause    = 10 * time.Second
	settledPause = 30 * time.Second
)

// Config is fixed for a Machine's life.
type Config struct {
	Addr string     // the own address, as peers dial it
	Rand *rand.Rand // order and jitter; required, used by the machine alone
}

// Live is another member that is alive.
type Live struct {
	Instance uint64
	Addr     string
}

// Outcome is how a dial ended.
type Outcome uint8

// The outcomes; see the package comment.
const (
	Silent Outcome = iota + 1
	Met
	Own
	Foreign
	Refused
)

// Effects is what a step wants done. The caller owns it, carries it out and
// resets it.
type Effects struct {
	Ask   bool     // ask the provider once; its end is told to Answered
	Dials []string // each end is told to Dialled
}

// Reset empties e and keeps its memory.
func (e *Effects) Reset() { e.Ask, e.Dials = false, e.Dials[:0] }

// Machine is one node's search for peers. See the package comment.
type Machine struct {
	cfg     Config
	ready   bool
	stepped time.Time // when the last step ran

	asking   bool
	again    bool // the answer may have changed since it was asked for
	lastAsk  time.Time
	nextAsk  time.Time
	pauses   int           // since things last changed for the worse
	answered bool          // the last answer was one
	nobody   int           // answers in a row that named nobody else
	since    time.Time     // of the first of them
	span     time.Duration // from the first of them to the last

	seeds   map[string]*seed
	queue   []string // to be dialled, in random order
	dialing int

	live  map[uint64]bool // other members that are alive, by instance
	addrs map[string]bool // where they are
	known int             // other members that have not left, dead ones included
}

// seed is one address that discovery named.
type seed struct {
	named    bool // by the last answer
	queued   bool
	dialing  bool
	first    time.Time // of the dials since one of ours was there
	outcome  Outcome   // of the last dial; 0: none has ended
	instance uint64    // who was met
}

// none reports whether the last dial found no node of this cluster.
func (s *seed) none() bool { return s.outcome == Silent || s.outcome == Foreign }

// New returns a machine that asks at its first Tick.
func New(now time.Time, cfg Config) (*Machine, error) {
	if cfg.Rand == nil {
		return nil, errors.New("bootstrap: rand: required")
	}
	return &Machine{
		cfg: cfg, nextAsk: now, seeds: make(map[string]*seed),
		live: make(map[uint64]bool), addrs: make(map[string]bool),
	}, nil
}

// Tick does what is due at now.
func (m *Machine) Tick(now time.Time, out *Effects) {
	m.stepped = now
	if !m.asking && !now.Before(m.nextAsk) {
		m.asking, m.lastAsk = true, now
		out.Ask = true
	}
	m.dial(now, out)
}

// NextDeadline returns when the next Tick, or Done, may say something new;
// zero when nothing will before another input.
func (m *Machine) NextDeadline() time.Time {
	var next time.Time
	if !m.asking {
		next = m.nextAsk
	}
	if m.ready {
		return next
	}
	for _, s := range m.seeds {
		if !s.none() {
			continue
		}
		if at := s.first.Add(Patience); at.After(m.stepped) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// Changed says that the provider's answer may have changed.
func (m *Machine) Changed(now time.Time, out *Effects) {
	if m.asking {
		m.again = true
	} else {
		m.soon(now)
	}
	m.Tick(now, out)
}

// Ready says that the node serves: a search that is not done holds nothing up
// from here on.
func (m *Machine) Ready() { m.ready = true }

// Members says who else is alive, and how many others there are that have not
// left. Who is alone all of a sudden, or has lost most members, asks soon.
func (m *Machine) Members(now time.Time, live []Live, known int, out *Effects) {
	before := m.lost()
	clear(m.live)
	clear(m.addrs)
	for _, l := range live {
		m.live[l.Instance], m.addrs[l.Addr] = true, true
	}
	m.known = known
	if m.lost() && !before {
		m.pauses = 0
		if !m.asking { // the answer that is to come is as good as another
			m.soon(now.Add(m.upTo(firstPause)))
		}
	}
	m.Tick(now, out)
}

// soon makes the next question come at a time, yet not right after the last
// one: who signals changes without end is asked ten times a second.
func (m *Machine) soon(at time.Time) {
	if earliest := m.lastAsk.Add(firstPause); at.Before(earliest) {
		at = earliest
	}
	m.noLater(at)
}

func (m *Machine) noLater(at time.Time) {
	if at.Before(m.nextAsk) {
		m.nextAsk = at
	}
}

// lost reports whether the node is alone, or most members are out of reach.
func (m *Machine) lost() bool { return len(m.live) == 0 || 2*len(m.live) < m.known }

// upTo draws a time from zero to d.
func (m *Machine) upTo(d time.Duration) time.Duration {
	return time.Duration(m.cfg.Rand.Int64N(int64(d) + 1))
}
