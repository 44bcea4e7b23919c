package replica

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Offsets compares this node's wall clock with those of its peers, by what their
// payloads say of their wall time (Payload.Wall). It keeps what a peer's clock would
// show now, by this node's monotonic clock: a step of the own wall clock shows at
// once, before anybody is heard again.
//
// A payload that was under way for long makes its sender's clock look slow, never
// fast. So of a peer's last samples the one counts by which its clock is the furthest
// ahead, as in a clock filter that takes the sample of the least delay (RFC 5905,
// section 10), several are needed to call it slow, and what comes to a process that
// was paused, and has waited for it, is not taken at all.
//
// Safe for concurrent use.
type Offsets struct {
	limit  int64 // ms, over which a clock is off
	origin time.Time

	mu     sync.Mutex
	peers  map[uint64]*clockSamples
	ticked time.Time
	deaf   time.Time // until then
	lowest [2]int64  // wall less monotonic time, in this minute and the one before
	minute time.Time // when this one began

	judged atomic.Pointer[judgement]
}

// Offset is how this node's wall clock compares with those of its peers.
type Offset struct {
	// Median is that of the peers' clocks, ahead of this node's where it is above
	// zero; of an even number the lower one of the two in the middle.
	Median time.Duration
	Peers  int // that have been heard lately
	// Fenced: more than half of the peers, and two at least, have a clock that is
	// further from this node's than 80 % of the allowed skew.
	Fenced bool

	stepped time.Duration // forward within the last minute, at least zero
	skew    time.Duration // that is allowed
}

// Sweep is the wall time up to which expiry may be judged once and for all, as the
// value of what has expired is dropped for good: no later than the peers' clocks show
// or, where none is known, than the own one showed a minute ago and would show by now.
// What is within the allowed skew the cut of expiry, which stands twice that behind,
// makes up for.
func (o Offset) Sweep(wall int64) int64 {
	wrong := -o.Median
	if o.Peers == 0 {
		wrong = o.stepped
	}
	if wrong > o.skew {
		return wall - wrong.Milliseconds()
	}
	return wall
}

const (
	keptSamples = 8
	slowSamples = 4 // without which nobody is called slow
	// A node that was not told the time for pausedAfter was paused: it hears
	// nothing for as long as deafFor, in which it takes in what has waited.
	pausedAfter = time.Second
	deafFor     = 2 * time.Second
	// staleAfter is how long ago a peer may have been heard for its clock to be
	// judged by.
	staleAfter = time.Minute
	// Fenced nodes come back below 60 % of the skew: no flapping at the limit.
	fencePercent, unfencePercent = 80, 60
	// sameStep is how far, in ms, wall and monotonic clock may part before the
	// judgement is made anew.
	sameStep = 5
)

type clockSamples struct {
	bases [keptSamples]int64 // wall less monotonic time, ms
	n     int                // taken in all
	heard time.Time
	gone  bool
}

// judgement is what was found when wall less monotonic time was base.
type judgement struct {
	base  int64
	until time.Time // somebody's samples are stale then
	is    Offset
}

// NewOffsets returns one that has heard nobody. skew is how far ahead of the wall
// clock a version may be.
func NewOffsets(skew time.Duration, now time.Time) *Offsets {
	o := &Offsets{limit: skew.Milliseconds(), origin: now, ticked: now, peers: make(map[uint64]*clockSamples)}
	o.judged.Store(&judgement{until: now.Add(staleAfter)})
	return o
}

// Heard takes in a peer's wall time, in ms since 1970, that came now; now is a
// monotonic time.
func (o *Offsets) Heard(now time.Time, instance uint64, wall int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tickLocked(now); now.Before(o.deaf) {
		return
	}
	p := o.peers[instance]
	if p == nil {
		p = new(clockSamples)
		o.peers[instance] = p
	}
	p.gone = false
	p.bases[p.n%keptSamples] = wall - o.mono(now)
	p.n++
	p.heard = now
	o.doubtLocked(now)
}

// Gone says that a peer does not count until it is heard again.
func (o *Offsets) Gone(now time.Time, instance uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.peers[instance]; p != nil {
		p.gone = true
		o.doubtLocked(now)
	}
}

// Tick is Judge, and has to be called several times a second.
func (o *Offsets) Tick(now time.Time, wall int64) Offset {
	o.mu.Lock()
	o.tickLocked(now)
	base := wall - o.mono(now)
	switch {
	case o.minute.IsZero():
		o.lowest, o.minute = [2]int64{base, base}, now
	case now.Sub(o.minute) >= time.Minute:
		o.lowest, o.minute = [2]int64{base, o.lowest[0]}, now
	default:
		o.lowest[0] = min(o.lowest[0], base)
	}
	stepped := time.Duration(base-min(o.lowest[0], o.lowest[1])) * time.Millisecond
	o.mu.Unlock()
	is := o.Judge(now, wall)
	is.stepped, is.skew = stepped, time.Duration(o.limit)*time.Millisecond
	return is
}

func (o *Offsets) tickLocked(now time.Time) {
	if now.Sub(o.ticked) > pausedAfter {
		o.deaf = now.Add(deafFor)
	}
	o.ticked = now
}

// doubtLocked has the next Judge look again.
func (o *Offsets) doubtLocked(now time.Time) {
	j := *o.judged.Load()
	j.until = now
	o.judged.Store(&j)
}

// Judge compares the own wall clock, which shows wall at the monotonic time now.
func (o *Offsets) Judge(now time.Time, wall int64) Offset {
	base := wall - o.mono(now)
	j := o.judged.Load()
	if d := base - j.base; -sameStep <= d && d <= sameStep && now.Before(j.until) {
		return j.is
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.judgeLocked(now, base)
}

func (o *Offsets) judgeLocked(now time.Time, base int64) Offset {
	was := o.judged.Load().is.Fenced
	limit := o.limit * fencePercent / 100
	if was {
		limit = o.limit * unfencePercent / 100
	}
	j := &judgement{base: base, until: now.Add(staleAfter)}
	offsets := make([]int64, 0, len(o.peers))
	off := 0
	for instance, p := range o.peers {
		stale := p.heard.Add(staleAfter)
		if !now.Before(stale) {
			delete(o.peers, instance)
			continue
		}
		if p.gone {
			continue
		}
		if stale.Before(j.until) {
			j.until = stale
		}
		d := p.base() - base
		if d < -limit && p.n < slowSamples {
			continue
		}
		offsets = append(offsets, d)
		if d > limit || d < -limit {
			off++
		}
	}
	if j.is.Peers = len(offsets); j.is.Peers > 0 {
		slices.Sort(offsets)
		j.is.Median = time.Duration(offsets[(len(offsets)-1)/2]) * time.Millisecond
	}
	j.is.Fenced = off >= 2 && 2*off > len(offsets)
	o.judged.Store(j)
	return j.is
}

func (o *Offsets) mono(now time.Time) int64 { return now.Sub(o.origin).Milliseconds() }

// base is the greatest of the last samples.
func (p *clockSamples) base() int64 {
	return slices.Max(p.bases[:min(p.n, keptSamples)])
}
