// Package sim runs processes and a network in virtual time, on one goroutine,
// from one seed: the same seed gives the same run, event by event. It knows
// nothing of what the processes are; internal/simcluster puts gokv nodes in it.
//
// [World] is the clock, the heap of events and the trace. [Proc] is a process:
// what it has scheduled dies with it, and waits while it is paused. [Network]
// carries datagrams (lost, delayed, repeated, out of order) and streams (in
// order, but they may stall or break) between addresses, and can be cut
// one way between any two of them.
//
//	w := sim.NewWorld(seed)
//	n := sim.NewNetwork(w, sim.Link{Delay: time.Millisecond, Loss: 0.1})
//	p := w.Spawn("a")
//	n.Attach("a", p, host)
//	n.Partition([]string{"a"}, []string{"b", "c"})
//	w.RunFor(10 * time.Second)
//	fmt.Printf("%016x\n", w.TraceHash())
//
// Everything that happens is mixed into the trace hash: a test that runs a seed
// twice and compares the hashes proves that no map order, clock or goroutine
// has had a say.
//
// What it does not model: bandwidth, congestion, and datagrams that arrive
// damaged (the transport is authenticated: a damaged packet is a lost one).
package sim
