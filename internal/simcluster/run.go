package simcluster

import (
	"fmt"
	"time"
)

// Report is what a history came to.
type Report struct {
	TraceHash uint64 // of every event, message and write
	Events    uint64
	Virtual   time.Duration
	Counts    map[string]int // how often each thing happened
}

// Replay is the command that runs a seed again and shows what happens.
func Replay(seed uint64) string {
	return fmt.Sprintf("go test ./internal/simcluster -run TestSimulation -sim.seed=%d -v", seed)
}

// Options change how a history is played, never what happens in it.
type Options struct {
	// Log gets a line for each thing that happens; nil: nobody does.
	Log func(line string)
	// EndOnly leaves out the checks after each event, so that only what is
	// wrong in the end is found.
	EndOnly bool
}

// Run plays the history of a seed: faults and writes, then rest. The error says
// what should not have happened and when; the report is filled in either way.
func Run(seed uint64, o Options) (Report, error) {
	c := newCluster(draw(seed))
	c.endOnly = o.EndOnly
	c.world.LogTo(o.Log)
	err := c.play()
	if err != nil {
		err = fmt.Errorf("seed %d, after %v and %d events: %w", seed, c.world.Elapsed(), c.world.Steps(), err)
	}
	c.countNetwork()
	return Report{
		TraceHash: c.world.TraceHash(), Events: c.world.Steps(), Virtual: c.world.Elapsed(), Counts: c.counts,
	}, err
}

func (c *cluster) play() error {
	c.schedule()
	if err := c.run(c.history.faultsFor); err != nil {
		return err
	}
	c.stopFaults()
	if err := c.converge(); err != nil {
		return err
	}
	if err := c.stayIdle(); err != nil {
		return err
	}
	return c.checkEnd()
}

func (c *cluster) countNetwork() {
	n := c.net.Counts()
	for what, k := range map[string]uint64{
		"datagrams sent": n.Datagrams, "datagrams lost": n.Lost, "datagrams duplicated": n.Duplicated,
		"datagrams held back": n.HeldBack, "datagrams cut off": n.CutDatagrams,
		"streams opened": n.Streams, "stream messages": n.Messages, "streams stalled": n.Stalled,
		"streams broken": n.Broken, "streams cut off": n.CutStreams,
	} {
		c.counts[what] += int(k)
	}
}
