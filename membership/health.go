package membership

import "time"

// maxHealth is the local health score at most: the S of Lifeguard (Dadgar,
// Phillips, Currey: "Lifeguard: Local Health Awareness for More Accurate
// Failure Detection", arXiv 1707.00788, Local Health Aware Probe), with the
// value that the paper gives it.
const maxHealth = 8

// health is how far this member doubts itself, 0 (well) to maxHealth. It
// doubts more for a probe that failed and of which its helpers said nothing
// either, for having to refute, for a step that came late, and for datagrams
// that wait on our own side; less for each probe that was answered. The
// first three and the last are Lifeguard's local health multiplier; the
// others are ours: what a process knows of its own delays it need not infer.
type health struct {
	score int
}

func (h *health) worse() { h.score = min(h.score+1, maxHealth) }

func (h *health) better() { h.score = max(h.score-1, 0) }

// Health returns the local health score, 0 (well) to 8. Probes take that many
// times longer, and accusations that nobody confirms as well.
func (m *Machine) Health() int { return m.health.score }

// doubt lowers the own health, which plain SWIM has none of.
func (m *Machine) doubt() {
	if !m.cfg.Plain {
		m.health.worse()
	}
}

// stretch makes a duration longer by the own health (Lifeguard, Local Health
// Aware Probe: interval and time-out times score + 1).
func (m *Machine) stretch(d time.Duration) time.Duration {
	return d * time.Duration(m.health.score+1)
}

// heldUp tells whether datagrams wait on our own side for so long that a
// probe which was not answered says nothing about its target.
func (m *Machine) heldUp() bool {
	return !m.cfg.Plain && m.cfg.SendDelay != nil && m.cfg.SendDelay() >= m.cfg.ProbeTimeout/2
}
