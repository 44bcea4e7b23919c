package replica

import "time"

// activeRound is the round that this node initiates; there is at most one.
type activeRound struct {
	peer   uint64
	reason Reason
	lost   bool // it is to bring what pushes lost
}

// RoundResult says how a round ended, on either side.
type RoundResult struct {
	Initiator bool
	Failed    bool      // broken off: what was applied stays, nothing is known of the rest
	Converged bool      // the roots were equal at the end
	PeerReady bool      // the peer was ready when the round began
	Began     time.Time // when the round began; needed of a responder's
}

// RoundDone takes in a round's end. Each RoundStart must be answered by one
// with Initiator set; rounds that a peer opened are reported too.
func (m *Machine) RoundDone(now time.Time, instance uint64, res RoundResult, out *Effects) {
	p := m.find(instance)
	if p != nil && !p.up {
		p = nil
	}
	var was activeRound
	if res.Initiator {
		if m.round == nil || m.round.peer != instance {
			return
		}
		was, m.round = *m.round, nil
	}
	if p != nil {
		switch {
		case res.Failed && res.Initiator:
			m.onFailed(now, p, was)
		case res.Failed: // the initiator's to repeat
		case res.Converged:
			p.onConverged(res)
		default:
			m.onUnequal(now, p, res, was)
		}
		if !res.Failed {
			p.ready = res.PeerReady
		}
	}
	m.judge(p, res, out)
	m.advance(now, out)
}

func (m *Machine) onFailed(now time.Time, p *peer, was activeRound) {
	p.fails++
	p.retryAt = now.Add(m.backoff(p.fails))
	p.lost = p.lost || was.lost
	if p.owed != ReasonAsked && p.due.Before(p.retryAt) {
		p.due = p.retryAt // what arose meanwhile waits too
	}
	m.owe(now, p, was.reason, p.retryAt)
}

func (p *peer) onConverged(res RoundResult) {
	p.fails, p.retryAt = 0, time.Time{}
	p.calm()
	p.differs = false
	p.settled = true
	// What arose while our own round ran was owed afresh and stays. A round
	// that the peer opened settles what is older than itself.
	if !res.Initiator && p.owed != ReasonAsked && p.since.Before(res.Began) {
		p.settle()
	}
}

func (m *Machine) onUnequal(now time.Time, p *peer, res RoundResult, was activeRound) {
	p.again++
	if p.again >= maxAgain {
		p.settled = true
		p.calmUntil = now.Add(min(m.cfg.SyncInterval<<min(p.again-maxAgain, maxCalmShift), max(maxCalm, m.cfg.SyncInterval)))
	}
	if !res.Initiator {
		m.differ(now, p) // to repeat it at once is the initiator's part
		return
	}
	p.fails, p.retryAt = 0, time.Time{}
	p.lost = p.lost || was.lost
	if p.again < maxAgain {
		m.owe(now, p, ReasonNotConverged, now)
	} else {
		m.differ(now, p)
	}
}

// calm forgets that rounds with the peer came to no end.
func (p *peer) calm() { p.again, p.calmUntil = 0, time.Time{} }

// settle forgets what is owed: the peer has been shown to hold what we hold.
func (p *peer) settle() {
	p.owed, p.lost = ReasonNone, false
	p.due, p.since = time.Time{}, time.Time{}
}

// owe notes that a round is owed and may start at due, or when the backoff
// after failures has passed. The strongest reason and the earliest time stay.
func (m *Machine) owe(now time.Time, p *peer, why Reason, due time.Time) {
	if why != ReasonAsked && due.Before(p.retryAt) {
		due = p.retryAt
	}
	if p.owed == ReasonNone || due.Before(p.due) {
		p.due = due
	}
	p.owed = max(p.owed, why)
	p.since = now
}

// differ notes unequal roots. A difference that has just appeared may be a push
// still under way, and the next report shows it gone: so the round waits a
// quarter to the whole of an interval.
func (m *Machine) differ(now time.Time, p *peer) {
	if !p.differs && !m.anyDiffers() {
		if soon := now.Add(m.spread(m.cfg.SyncInterval, 0.25, 1)); m.nextSync.Before(soon) {
			m.nextSync = soon
		}
	}
	if !p.differs {
		p.differs, p.diverged = true, now
	}
}

// Diverged returns for how long the live peer that is longest apart has been
// so: since its root, equal before or never seen, was found to differ. Zero
// when every live peer's last reported root was equal. Writes that stream in
// keep roots apart too.
func (m *Machine) Diverged(now time.Time) time.Duration {
	var longest time.Duration
	for _, p := range m.peers {
		if p.up && p.differs {
			longest = max(longest, now.Sub(p.diverged))
		}
	}
	return longest
}

func (m *Machine) anyDiffers() bool {
	for _, p := range m.peers {
		if p.up && p.differs {
			return true
		}
	}
	return false
}

// advance starts the round that is due, if none is running, and judges whether
// the node has become ready. Every input ends here.
func (m *Machine) advance(now time.Time, out *Effects) {
	m.judge(nil, RoundResult{}, out)
	m.seekReady(now)
	if m.round != nil {
		return
	}
	p, why := m.nextOwed(now), ReasonNone
	if p != nil {
		why = p.owed
	} else if p = m.nextDiffering(now); p != nil {
		why = ReasonDiffers
		m.nextSync = now.Add(m.spread(m.cfg.SyncInterval, 0.9, 1.1))
	}
	if p == nil {
		return
	}
	m.round = &activeRound{peer: p.Instance, reason: why, lost: p.lost}
	p.settle()
	out.Rounds = append(out.Rounds, RoundStart{Peer: p.Instance, Reason: why, Bulk: bulky(why) || !m.ready})
}

// bulky tells the reasons after which much may have to move.
func bulky(why Reason) bool { return why == ReasonPeerUp || why == ReasonQueueDropped }

// nextOwed chooses among the due: whoever can make this node ready first, then
// the longest due.
func (m *Machine) nextOwed(now time.Time) *peer {
	var best *peer
	for _, p := range m.peers {
		if !p.up || p.owed == ReasonNone || p.due.After(now) {
			continue
		}
		if m.fetchesUntil(p).After(now) {
			continue
		}
		better := best == nil || p.due.Before(best.due)
		if best != nil && !m.ready && p.ready != best.ready {
			better = p.ready
		}
		if better {
			best = p
		}
	}
	return best
}

// nextDiffering draws one of the peers whose root differs, when it is time.
func (m *Machine) nextDiffering(now time.Time) *peer {
	if now.Before(m.nextSync) {
		return nil
	}
	var among []*peer
	for _, p := range m.peers {
		if p.up && p.differs && p.owed == ReasonNone && !p.retryAt.After(now) && !p.calmUntil.After(now) && !m.fetchesUntil(p).After(now) {
			among = append(among, p)
		}
	}
	if len(among) == 0 {
		return nil
	}
	return among[m.cfg.Rand.IntN(len(among))]
}

// NextDeadline is when Tick has something to do; zero: nothing is due.
func (m *Machine) NextDeadline() time.Time {
	var next time.Time
	if m.round != nil {
		return next // RoundDone goes on from there
	}
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, p := range m.peers {
		switch {
		case !p.up:
		case p.owed != ReasonNone:
			if until := m.fetchesUntil(p); until.After(p.due) {
				sooner(until)
			} else {
				sooner(p.due)
			}
		case p.differs:
			next := m.nextSync
			for _, t := range []time.Time{p.retryAt, p.calmUntil, m.fetchesUntil(p)} {
				if t.After(next) {
					next = t
				}
			}
			sooner(next)
		}
	}
	return next
}

func (m *Machine) backoff(fails int) time.Duration {
	d := retryFirst << min(fails-1, 16)
	return m.spread(min(d, retryMost), 0.5, 1.5)
}

// spread draws a duration between low and high times d.
func (m *Machine) spread(d time.Duration, low, high float64) time.Duration {
	return time.Duration(float64(d) * (low + (high-low)*m.cfg.Rand.Float64()))
}
