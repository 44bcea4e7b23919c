package simcluster

import (
	"time"

	"github.com/tochemey/gokv/internal/bootstrap"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/membership"
)

// search is how a node finds its peers: the bootstrap machine, driven as the
// root package's finder drives it.
type search struct {
	machine  *bootstrap.Machine
	timer    alarm
	done     bool
	told     bool // to take in who is a member
	answered bool // the service has answered, and not failed
}

func (n *node) beginSearch() {
	machine, err := bootstrap.New(n.c.world.Now(), bootstrap.Config{Addr: n.host.addr, Rand: n.c.world.Fork()})
	if err != nil {
		n.c.failf("%s: %v", n.host.name, err)
		return
	}
	n.search = &search{machine: machine}
	n.look(machine.Tick)
}

// look steps the bootstrap machine and does what it asks for.
func (n *node) look(input func(now time.Time, out *bootstrap.Effects)) {
	var out bootstrap.Effects
	s := n.search
	input(n.c.world.Now(), &out)
	if out.Ask {
		n.c.ask(n, func(addrs []string, failed bool) {
			s.answered = s.answered || !failed
			n.look(func(now time.Time, out *bootstrap.Effects) { s.machine.Answered(now, addrs, failed, out) })
		})
	}
	for _, addr := range out.Dials {
		n.contact(addr)
	}
	if n.replica.Ready() {
		s.machine.Ready()
	}
	if done := s.machine.Done(n.c.world.Now()); done != s.done {
		s.done = done
		n.replicate(func(now time.Time, out *replica.Effects) { n.replica.Searched(now, done, out) })
	}
	n.set(&s.timer, s.machine.NextDeadline(), func() { n.look(s.machine.Tick) })
}

// contact exchanges tables with whoever is at an address.
func (n *node) contact(addr string) {
	n.exchange(addr, n.members.Request(n.c.world.Now()), func(answer *membership.PushPull) {
		outcome, instance := bootstrap.Silent, uint64(0)
		if answer != nil {
			outcome, instance = bootstrap.Met, answer.From
			n.meet(func(now time.Time, out *membership.Effects) { n.members.Contacted(now, addr, answer, out) })
		}
		n.c.count("contacts " + map[bool]string{true: "met", false: "silent"}[answer != nil])
		n.look(n.takeMembers) // the machine has to know them first
		n.look(func(now time.Time, out *bootstrap.Effects) {
			n.search.machine.Dialled(now, addr, outcome, instance, out)
		})
	})
}

// membersChanged makes the search take in who is a member, once the event that
// runs is over.
func (n *node) membersChanged() {
	if s := n.search; s != nil && !s.told {
		s.told = true
		n.proc.After(0, func() {
			s.told = false
			n.look(n.takeMembers)
		})
	}
}

func (n *node) takeMembers(now time.Time, out *bootstrap.Effects) {
	var live []bootstrap.Live
	known := 0
	for _, m := range n.members.Members() {
		if m.Instance == n.instance || m.State == membership.Left {
			continue
		}
		known++
		if m.State != membership.Dead {
			live = append(live, bootstrap.Live{Instance: m.Instance, Addr: m.PeerAddr})
		}
	}
	n.search.machine.Members(now, live, known, out)
}

// checkBeginning demands that a node which begins a cluster with nobody there
// was told so by the service: one that failed has said nothing.
func (n *node) checkBeginning() {
	if n.search == nil || len(n.peers) > 0 {
		return
	}
	n.c.count("clusters of one")
	if !n.search.answered {
		n.c.failf("%s is ready, and empty, though discovery has only failed", n.host.name)
	}
	if expect := n.c.history.expect(false); expect > 1 {
		n.c.failf("%s is ready alone, though %d members are expected", n.host.name, expect)
	}
}
