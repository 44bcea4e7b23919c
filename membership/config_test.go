package membership

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestZeroFieldsMeanDefaults(t *testing.T) {
	m, err := New(Config{Self: Member{Name: "a", Instance: 1, Started: 100, PeerAddr: "a:1"}, Rand: rand.New(rand.NewPCG(1, 1))})
	require.NoError(t, err)
	require.Equal(t, plain("a", 1), m.Self())
	c := m.cfg
	require.Equal(t, []time.Duration{time.Second, 500 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second, 30 * time.Second, 3 * time.Second, time.Hour},
		[]time.Duration{c.ProbeInterval, c.ProbeTimeout, c.GossipInterval, c.RejoinInterval, c.PushPullInterval, c.PushPullTimeout, c.LeftRetention})
	require.Equal(t, []int{3, 3, 3, 4, 8, 1100}, []int{c.IndirectProbes, c.SuspicionMult, c.GossipFanout, c.RetransmitMult, c.RejoinFanout, c.MaxPacket})
}

func TestEveryWrongFieldIsReported(t *testing.T) {
	self := plain("a", 0)
	self.State, self.ProtoMin, self.ProtoMax = Dead, 2, 3
	_, err := New(Config{
		Self: self, ProbeInterval: time.Millisecond, ProbeTimeout: time.Second, IndirectProbes: 17, SuspicionMult: -1,
		GossipInterval: time.Second, GossipFanout: -1, RetransmitMult: 101, RejoinInterval: time.Hour, RejoinFanout: 17,
		PushPullInterval: 1, PushPullTimeout: 1, LeftRetention: 1, MaxPacket: 1401,
	})
	require.Error(t, err)
	for _, field := range strings.Fields("self: self.state: self.proto: rand: probe-interval: probe-timeout: indirect-probes: suspicion-mult: " +
		"gossip-interval: gossip-fanout: retransmit-mult: rejoin-interval: rejoin-fanout: push-pull-interval: push-pull-timeout: left-retention: max-packet:") {
		require.ErrorContains(t, err, field)
	}
	require.ErrorContains(t, err, "probe-interval: 1ms: 10ms to 1m0s")
}

func TestAConfigurationIsNotChangedByUse(t *testing.T) {
	tags := map[string]string{"k": "v"}
	self := plain("a", 1)
	self.Tags = tags
	cfg := Config{Self: self, Rand: rand.New(rand.NewPCG(1, 1))}
	m, err := New(cfg)
	require.NoError(t, err)
	tags["k"] = "changed"
	require.Equal(t, "v", m.Self().Tags["k"])
	require.Zero(t, cfg.ProbeInterval)
}
