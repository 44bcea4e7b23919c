package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tochemey/gokv/membership"
)

// smallMembership is the large simulation in a few seconds.
func smallMembership() membershipOptions {
	o := defaultMembership
	o.members, o.slowOf, o.seeds, o.crashes = 70, 60, 2, 2
	o.loss, o.sizes = []float64{0.01}, []int{5, 70}
	o.calm, o.slowFor, o.split, o.idle = 5*time.Minute, time.Minute, 2*time.Minute, 2*time.Minute
	o.anomaly = []anomaly{{8192 * time.Millisecond, 512 * time.Millisecond, false}, {8192 * time.Millisecond, 512 * time.Millisecond, true}}
	return o
}

func TestASmallSimulationMeetsTheTargets(t *testing.T) {
	o := smallMembership()
	figures, err := measureMembership(t.Context(), o)
	require.NoError(t, err)
	targets := 0
	value := func(workload, name string) float64 {
		for _, f := range figures {
			if f.Workload == workload && f.Name == name {
				return f.Value
			}
		}
		require.Fail(t, "no such figure", "%s: %s", workload, name)
		return 0
	}
	for _, f := range figures {
		if f.Target > 0 {
			targets++
			require.LessOrEqual(t, f.Value, f.Target, f.Name)
		}
	}
	require.Equal(t, 2+2+2+1, targets, "crashes, idle bytes, changes, a restart")
	require.Zero(t, value("gokv", "live members of 70 declared dead, 1 % loss"))
	require.Zero(t, value("gokv", "one in twenty slow, all of these: healthy members declared dead"))
	require.Greater(t, value("hasty SWIM", "one in twenty slow, all of these: healthy members declared dead"), 50.0, "the anomalies strike")
	require.Zero(t, value("gokv", "all 70 restart: live members declared dead"))
	for _, size := range []string{"5", "70"} {
		require.Zero(t, value("gokv", "halves of "+size+" meet after 2m0s: wrong beliefs half a minute later"))
		require.Less(t, value("gokv", "halves of "+size+" meet after 2m0s: one view after"), 10.0)
	}
}

func TestASimulationIsTheSameForTheSameSeed(t *testing.T) {
	run := func(seed uint64) (uint64, float64) {
		w := newWorldOf(lifeguard, seed, 70)
		w.loss = 0.1
		w.settled()
		w.nodes[3].crash()
		w.slowly(anomaly{2 * time.Second, time.Second, false})
		w.run(30 * time.Second)
		return w.trace, w.bytes
	}
	trace, bytes := run(1)
	again, bytesAgain := run(1)
	require.Equal(t, trace, again)
	require.Equal(t, bytes, bytesAgain)
	other, _ := run(2)
	require.NotEqual(t, trace, other)
}

// The model of what is on the wire adds up to what was measured.
func TestAProbeAndItsAckOf64BytesAre228BytesOfUDPPayload(t *testing.T) {
	w := newMemberWorld(1, 2, nil)
	for _, n := range w.nodes {
		n.boot()
	}
	a, b := w.nodes[0], w.nodes[1]
	a.links[b.id], b.links[a.id] = true, true
	probe := &membership.Probe{Seq: 1, From: 1, To: 2, Payload: make([]byte, 40)}
	ack := &membership.Ack{Seq: 1, From: 2, Payload: make([]byte, 47)}
	require.Equal(t, 64, w.size(probe))
	require.Equal(t, 64, w.size(ack))
	w.charge(a, b, probe)
	w.charge(b, a, ack)
	require.Equal(t, 3, w.packets)
	require.Equal(t, 228.0+3*ipUDP, w.bytes)
}

func TestAnUnknownExperimentIsRefused(t *testing.T) {
	o := smallMembership()
	o.only = []string{"crash", "crush"}
	_, err := measureMembership(t.Context(), o)
	require.ErrorContains(t, err, `experiment "crush"`)
}

func TestPlotsAreDrawnOfTheFiguresThatThereAre(t *testing.T) {
	plots := membershipPlots([]figure{
		{Workload: "gokv", Name: "idle, 5 members: sent by each", Value: 315},
		{Workload: "gokv", Name: "idle, 1,000 members: sent by each", Value: 320},
		{Workload: "gokv", Name: "crash among 1,000, 0 % loss: known to all", Value: 4},
		{Workload: "gokv", Name: "crash among 1,000, 1 % loss: known to all", Value: 5},
		{Workload: "plain SWIM", Name: "crash among 1,000, 1 % loss: known to all", Value: 15},
		{Workload: "plain SWIM", Name: anomaly{time.Second, time.Second, true}.String() + ": healthy members declared dead", Value: 1234},
	})
	require.Len(t, plots, 3)
	require.Contains(t, string(plots["membership-crash-1000.svg"]), "plain SWIM")
	require.Equal(t, 3, strings.Count(string(plots["membership-crash-1000.svg"]), "<circle"))
	require.Equal(t, 2, strings.Count(string(plots["membership-idle.svg"]), "<circle"))
	require.Contains(t, string(plots["membership-slow.svg"]), "frozen, 1s of every 2s")
	require.Contains(t, string(plots["membership-slow.svg"]), "1,234")
}
