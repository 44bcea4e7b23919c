package bootstrap

import (
	"slices"
	"time"
)

// Answered takes in how the provider's answer ended. Addresses that come with
// a failure are dialled too, but the answer is none. addrs is the caller's.
func (m *Machine) Answered(now time.Time, addrs []string, failed bool, out *Effects) {
	m.asking = false
	named := m.choose(addrs)
	if !failed {
		m.forget(named)
	}
	for _, addr := range named {
		s := m.seeds[addr]
		if s == nil {
			if failed && len(m.seeds) >= MaxSeeds {
				continue // failures in a row name ever more, and nothing is forgotten
			}
			s = new(seed)
			m.seeds[addr] = s
		}
		s.named = true
		if !s.queued && !s.dialing && s.outcome != Own {
			s.queued = true
			m.queue = append(m.queue, addr)
		}
	}
	m.answered = !failed
	m.countNobody(now, failed)
	m.schedule(now, failed)
	m.Tick(now, out)
}

// choose returns the addresses of an answer in random order, each once,
// without the own, and no more than are kept.
func (m *Machine) choose(addrs []string) []string {
	named := make([]string, 0, min(len(addrs), MaxSeeds))
	seen := make(map[string]bool, len(addrs))
	for _, i := range m.cfg.Rand.Perm(len(addrs)) {
		addr := addrs[i]
		if addr == "" || addr == m.cfg.Addr || seen[addr] {
			continue
		}
		seen[addr] = true
		if named = append(named, addr); len(named) == MaxSeeds {
			break
		}
	}
	return named
}

// forget drops the addresses that are no longer named, but for those of which
// a dial has not ended yet.
func (m *Machine) forget(named []string) {
	for _, s := range m.seeds {
		s.named = false
	}
	for _, addr := range named {
		if s := m.seeds[addr]; s != nil {
			s.named = true
		}
	}
	for addr, s := range m.seeds {
		if !s.named && !s.dialing {
			delete(m.seeds, addr)
		}
	}
	m.queue = slices.DeleteFunc(m.queue, func(addr string) bool { return m.seeds[addr] == nil })
}

// isLive reports whether a live member is at the address, under this or
// another name of it.
func (m *Machine) isLive(addr string, s *seed) bool {
	return m.addrs[addr] || s.outcome == Met && m.live[s.instance]
}

// countNobody follows how often in a row the provider has said that nobody
// else is there, and over how long.
func (m *Machine) countNobody(now time.Time, failed bool) {
	switch {
	case failed || m.others() > 0:
		m.nobody, m.span = 0, 0
	case m.nobody == 0:
		m.nobody, m.since = 1, now
	default:
		m.nobody++
		m.span = now.Sub(m.since)
	}
}

// alone reports whether the provider has said often and long enough that
// nobody else is there. Time that passes while it says nothing does not count.
func (m *Machine) alone() bool { return m.nobody >= nobodyTimes && m.span >= Patience }

// others counts the named addresses that are not known to be the own.
func (m *Machine) others() int {
	n := 0
	for _, s := range m.seeds {
		if s.named && s.outcome != Own {
			n++
		}
	}
	return n
}

// schedule sets the time of the next question after an answer.
func (m *Machine) schedule(now time.Time, failed bool) {
	m.nextAsk = now.Add(settledPause/2 + m.upTo(settledPause))
	if m.again {
		m.again, m.pauses = false, 0
		m.soon(now)
		return
	}
	if !m.urgent(failed) {
		m.pauses = 0
		return
	}
	limit := lastPause
	if m.pauses < 7 { // 0.1 s doubled seven times is more than the last
		limit = firstPause << m.pauses
		m.pauses++
	}
	m.nextAsk = now.Add(m.upTo(limit))
	// The answers that make a node alone come within its patience, whatever is
	// drawn.
	if !m.ready && m.nobody > 0 && !m.alone() {
		m.noLater(m.since.Add(Patience * time.Duration(min(m.nobody, nobodyTimes)) / nobodyTimes))
	}
}

// urgent reports whether the next question should come soon.
func (m *Machine) urgent(failed bool) bool {
	if failed || !m.ready || m.lost() {
		return true
	}
	for addr, s := range m.seeds {
		if s.named && s.outcome != Own && s.outcome != Foreign && !m.isLive(addr, s) {
			return true
		}
	}
	return false
}
