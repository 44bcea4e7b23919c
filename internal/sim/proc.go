package sim

import "time"

// Proc is a process: code that runs in it stops when it is killed and waits
// while it is paused (SIGSTOP, a long collection, a busy machine), whereas the
// rest of the world goes on.
type Proc struct {
	Name string

	w      *World
	dead   bool
	paused bool
	held   []*Timer // what came due during a pause, in order
}

// Spawn starts a process.
func (w *World) Spawn(name string) *Proc { return &Proc{Name: name, w: w} }

// Alive reports whether the process has not been killed.
func (p *Proc) Alive() bool { return !p.dead }

// Paused reports whether the process is stopped for a while.
func (p *Proc) Paused() bool { return p.paused }

// After schedules f to run in the process.
func (p *Proc) After(d time.Duration, f func()) *Timer { return p.At(p.w.now.Add(d), f) }

// At schedules f to run in the process.
func (p *Proc) At(at time.Time, f func()) *Timer {
	inner := &Timer{f: f}
	p.w.At(at, func() {
		if inner.f != nil {
			p.enter(inner)
		}
	})
	return inner
}

// Do runs f in the process: now, when it resumes, or never.
func (p *Proc) Do(f func()) { p.enter(&Timer{f: f}) }

func (p *Proc) enter(t *Timer) {
	switch {
	case p.dead:
	case p.paused:
		p.held = append(p.held, t)
	default:
		t.run()
	}
}

// Kill ends the process; nothing of it runs afterwards.
func (p *Proc) Kill() {
	p.dead, p.held = true, nil
	p.w.Trace("kill " + p.Name)
	p.w.Logf("%s: killed", p.Name)
}

// Pause stops the process until Resume.
func (p *Proc) Pause() {
	p.paused = true
	p.w.Trace("pause " + p.Name)
	p.w.Logf("%s: paused", p.Name)
}

// Resume lets a paused process go on: what came due meanwhile runs now, in
// order, each as an event of its own.
func (p *Proc) Resume() {
	if !p.paused {
		return
	}
	p.paused = false
	p.w.Trace("resume " + p.Name)
	p.w.Logf("%s: resumed, %d events waited", p.Name, len(p.held))
	held := p.held
	p.held = nil
	for _, t := range held {
		p.w.At(p.w.now, func() { p.enter(t) })
	}
}
