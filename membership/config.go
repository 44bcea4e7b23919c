package membership

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Config is fixed at New. A zero field means its default.
type Config struct {
	// Self is the own member. Name, Instance, Started and PeerAddr are
	// required. Incarnation defaults to Started, State to Alive, the protocol
	// versions to the one that this package speaks.
	Self Member

	// Rand is the only source of randomness. Required.
	Rand *rand.Rand

	// Payload returns what goes with the next outgoing probe, ack or
	// push-pull: at most MaxPayloadBytes, which are copied; anything longer
	// is not sent. Called from within Step, Tick and the local commands.
	// Nil: nothing.
	Payload func() []byte

	// ProbeInterval is the time between two probes, SWIM's protocol period.
	// 10 ms to 1 min, default 1 s.
	ProbeInterval time.Duration
	// ProbeTimeout is how long a direct answer may take before others are
	// asked to probe. Less than ProbeInterval, default half of it.
	ProbeTimeout time.Duration
	// IndirectProbes is how many members are asked (SWIM's k). 1 to 16,
	// default 3.
	IndirectProbes int
	// SuspicionMult times log10 of the cluster's size (at least 1) times
	// ProbeInterval is how long a suspect may take to refute. 1 to 100,
	// default 3.
	SuspicionMult int
	// GossipInterval is the time between two rounds of gossip while there
	// is something to tell. 1 ms to ProbeInterval, default a fifth of
	// ProbeInterval.
	GossipInterval time.Duration
	// GossipFanout is how many members a round of gossip goes to. 1 to 16,
	// default 3.
	GossipFanout int
	// RetransmitMult times log10 of the cluster's size is how often an
	// update is told before it is let go (SWIM §4.1, λ log n). 1 to 100,
	// default 4.
	RetransmitMult int
	// RejoinInterval is the time between two attempts at dead members and
	// unanswered join addresses. 10 ms to 1 min, default 2 s.
	RejoinInterval time.Duration
	// RejoinFanout is how many addresses one attempt contacts at most. 1 to
	// 16, default 8.
	RejoinFanout int
	// PushPullInterval is the time between two exchanges of whole tables
	// with a random member, in a cluster of up to 64; it grows in proportion
	// beyond. After an exchange that held news the next few come sooner.
	// 100 ms to 1 h, default 30 s.
	PushPullInterval time.Duration
	// PushPullTimeout is how long the driver lets a push-pull take. 10 ms to
	// 1 min, default 3 s.
	PushPullTimeout time.Duration
	// LeftRetention is how long a member that left is remembered. 1 s to
	// 1000 h, default 1 h.
	LeftRetention time.Duration
	// MaxPacket is the size of a datagram at most. 1,050 to 1,400 bytes,
	// default 1,100.
	MaxPacket int
}

// ProtoVersion is the peer protocol version that this package speaks.
const ProtoVersion = 1

func (c Config) withDefaults() Config {
	if c.Self.State == 0 {
		c.Self.State = Alive
	}
	if c.Self.Incarnation == 0 && c.Self.Started > 0 {
		c.Self.Incarnation = uint64(c.Self.Started)
	}
	if c.Self.ProtoMin == 0 && c.Self.ProtoMax == 0 {
		c.Self.ProtoMin, c.Self.ProtoMax = ProtoVersion, ProtoVersion
	}
	c.Self = c.Self.clone()
	orDuration(&c.ProbeInterval, time.Second)
	orDuration(&c.ProbeTimeout, c.ProbeInterval/2)
	orInt(&c.IndirectProbes, 3)
	orInt(&c.SuspicionMult, 3)
	orDuration(&c.GossipInterval, c.ProbeInterval/5)
	orInt(&c.GossipFanout, 3)
	orInt(&c.RetransmitMult, 4)
	orDuration(&c.RejoinInterval, 2*time.Second)
	orInt(&c.RejoinFanout, 8)
	orDuration(&c.PushPullInterval, 30*time.Second)
	orDuration(&c.PushPullTimeout, 3*time.Second)
	orDuration(&c.LeftRetention, time.Hour)
	orInt(&c.MaxPacket, 1100)
	return c
}

func orDuration(field *time.Duration, def time.Duration) {
	if *field == 0 {
		*field = def
	}
}

func orInt(field *int, def int) {
	if *field == 0 {
		*field = def
	}
}

// Validate reports every wrong field, defaults taken into account.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	wrong := func(field string, got any, want string) {
		errs = append(errs, fmt.Errorf("%s: %v: %s", field, got, want))
	}
	duration := func(field string, got, low, high time.Duration) {
		if got < low || got > high {
			wrong(field, got, fmt.Sprintf("%s to %s", low, high))
		}
	}
	number := func(field string, got, low, high int) {
		if got < low || got > high {
			wrong(field, got, fmt.Sprintf("%d to %d", low, high))
		}
	}

	if err := c.Self.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("self: %w", err))
	}
	if c.Self.State != Alive {
		wrong("self.state", c.Self.State, "alive")
	}
	if c.Self.ProtoMin > ProtoVersion || c.Self.ProtoMax < ProtoVersion {
		wrong("self.proto", fmt.Sprintf("%d to %d", c.Self.ProtoMin, c.Self.ProtoMax), fmt.Sprintf("must hold %d", ProtoVersion))
	}
	if c.Rand == nil {
		errs = append(errs, errors.New("rand: required"))
	}
	duration("probe-interval", c.ProbeInterval, 10*time.Millisecond, time.Minute)
	if c.ProbeTimeout <= 0 || c.ProbeTimeout >= c.ProbeInterval {
		wrong("probe-timeout", c.ProbeTimeout, "more than 0, less than the probe interval")
	}
	number("indirect-probes", c.IndirectProbes, 1, 16)
	number("suspicion-mult", c.SuspicionMult, 1, 100)
	duration("gossip-interval", c.GossipInterval, time.Millisecond, c.ProbeInterval)
	number("gossip-fanout", c.GossipFanout, 1, 16)
	number("retransmit-mult", c.RetransmitMult, 1, 100)
	duration("rejoin-interval", c.RejoinInterval, 10*time.Millisecond, time.Minute)
	number("rejoin-fanout", c.RejoinFanout, 1, 16)
	duration("push-pull-interval", c.PushPullInterval, 100*time.Millisecond, time.Hour)
	duration("push-pull-timeout", c.PushPullTimeout, 10*time.Millisecond, time.Minute)
	duration("left-retention", c.LeftRetention, time.Second, 1000*time.Hour)
	number("max-packet", c.MaxPacket, MaxMemberBytes+50, maxDatagram)
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("membership configuration: %w", errors.Join(errs...))
}
