package sim

import (
	"slices"
	"time"
)

// Link is what one direction between two addresses does to traffic.
// Probabilities are from 0 to 1.
type Link struct {
	Delay  time.Duration // least
	Jitter time.Duration // added, drawn from 0 up

	// Datagrams.
	Loss      float64
	Duplicate float64
	Reorder   float64       // held back, so that later ones overtake it
	HoldBack  time.Duration // by up to this

	// Messages of streams. Loss delays them too, as a retransmission does.
	Stall    float64 // held up, and all behind it
	StallFor time.Duration
	Break    float64 // breaks the stream both ways
}

// Host is what sits at an address. It is called in its process.
type Host interface {
	// Datagram hands over a datagram; b is the host's to keep.
	Datagram(from string, b []byte)
	// Accept hands over a stream that somebody opened. The host sets its
	// callbacks before it returns.
	Accept(from string, kind byte, s *Stream)
}

// Counts says how often each thing has happened.
type Counts struct {
	Datagrams, Lost, Duplicated, HeldBack uint64
	CutDatagrams                          uint64 // dropped where the network was cut
	Streams, Messages                     uint64
	Stalled, Broken                       uint64
	CutStreams                            uint64 // times a stream waited where the network was cut
}

// Network connects addresses.
type Network struct {
	w      *World
	link   Link // where no other is set
	links  map[direction]Link
	cut    map[direction]bool
	hosts  map[string]*endpoint // a map only to look up: no order comes from it
	counts Counts

	waiting []*flow // held up by a cut, in the order in which it struck them
}

type direction struct{ from, to string }

// endpoint is one process's stay at an address. The next process there is
// another endpoint, and gets nothing that was meant for this one.
type endpoint struct {
	addr    string
	proc    *Proc
	host    Host
	streams []*Stream // open ones, in the order of their opening
}

// NewNetwork returns a network without hosts, whose links are all alike.
func NewNetwork(w *World, link Link) *Network {
	return &Network{
		w: w, link: link,
		links: make(map[direction]Link), cut: make(map[direction]bool),
		hosts: make(map[string]*endpoint),
	}
}

// Counts says what has happened so far.
func (n *Network) Counts() Counts { return n.counts }

// SetLink makes one direction differ from the others.
func (n *Network) SetLink(from, to string, l Link) { n.links[direction{from, to}] = l }

// SetLinks makes all directions alike again.
func (n *Network) SetLinks(l Link) {
	n.link = l
	clear(n.links)
}

func (n *Network) linkOf(d direction) Link {
	if l, ok := n.links[d]; ok {
		return l
	}
	return n.link
}

// Attach puts a host at an address that is free.
func (n *Network) Attach(addr string, p *Proc, h Host) {
	n.hosts[addr] = &endpoint{addr: addr, proc: p, host: h}
	n.w.Trace("attach " + addr)
}

// Detach takes the host away, as a crash does: datagrams to it are lost, and
// the far ends of its streams learn of it some time later.
func (n *Network) Detach(addr string) {
	ep := n.hosts[addr]
	if ep == nil {
		return
	}
	delete(n.hosts, addr)
	n.w.Trace("detach " + addr)
	for _, s := range slices.Clone(ep.streams) {
		s.gone()
	}
}

// Cut stops all traffic one way.
func (n *Network) Cut(from, to string) {
	d := direction{from, to}
	if n.cut[d] {
		return
	}
	n.cut[d] = true
	n.w.Trace("cut " + from + " " + to)
	n.w.Logf("cut %s -> %s", from, to)
}

// Partition stops all traffic, both ways, between two groups.
func (n *Network) Partition(a, b []string) {
	for _, x := range a {
		for _, y := range b {
			n.Cut(x, y)
			n.Cut(y, x)
		}
	}
}

// Mend lets traffic pass one way again. Streams that waited go on after a
// retransmission's time.
func (n *Network) Mend(from, to string) {
	d := direction{from, to}
	if !n.cut[d] {
		return
	}
	delete(n.cut, d)
	n.w.Trace("mend " + from + " " + to)
	n.w.Logf("mend %s -> %s", from, to)
	n.resume(func(f *flow) bool { return f.dir == d })
}

// Heal mends every cut.
func (n *Network) Heal() {
	clear(n.cut)
	n.w.Trace("heal")
	n.w.Logf("all cuts are mended")
	n.resume(func(*flow) bool { return true })
}

func (n *Network) resume(which func(*flow) bool) {
	waiting := n.waiting
	n.waiting = nil
	for _, f := range waiting {
		switch {
		case !f.waits:
		case which(f):
			f.mended()
		default:
			n.waiting = append(n.waiting, f)
		}
	}
}

// IsCut reports whether traffic is stopped one way.
func (n *Network) IsCut(from, to string) bool { return n.cut[direction{from, to}] }

// Send sends a datagram. b is not kept.
func (n *Network) Send(from, to string, b []byte) {
	d := direction{from, to}
	l := n.linkOf(d)
	r := n.w.rand
	n.counts.Datagrams++
	if n.cut[d] {
		n.counts.CutDatagrams++
		return
	}
	if r.Float64() < l.Loss {
		n.counts.Lost++
		n.w.Logf("%s -> %s: datagram lost", from, to)
		return
	}
	copies := 1
	if r.Float64() < l.Duplicate {
		n.counts.Duplicated++
		copies = 2
	}
	dst := n.hosts[to]
	for range copies {
		delay := n.delay(l)
		if r.Float64() < l.Reorder {
			n.counts.HeldBack++
			delay += upTo(r, l.HoldBack)
		}
		data := slices.Clone(b)
		n.w.After(delay, func() { n.arrive(d, dst, data) })
	}
}

func (n *Network) arrive(d direction, dst *endpoint, b []byte) {
	if dst == nil || n.hosts[d.to] != dst {
		return // nobody was there, or whoever was has gone
	}
	if n.cut[d] {
		n.counts.CutDatagrams++
		return
	}
	n.w.Trace("datagram "+d.from+" "+d.to, uint64(len(b)))
	n.w.TraceBytes(b)
	dst.proc.Do(func() { dst.host.Datagram(d.from, b) })
}

func (n *Network) delay(l Link) time.Duration {
	return l.Delay + upTo(n.w.rand, l.Jitter)
}
