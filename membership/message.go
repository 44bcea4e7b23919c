package membership

// Message is what members say to each other: Probe, Ack, PingReq, Nack and
// Gossip as datagrams, PushPull and NameTaken over a stream. codec.go has
// their bytes.
type Message interface {
	// AppendTo appends the message's encoding.
	AppendTo(dst []byte) []byte
}

// MaxPayloadBytes bounds what the driver may put into a message.
const MaxPayloadBytes = 256

// Probe asks one instance whether it is alive (SWIM §3.1, ping).
type Probe struct {
	Seq  uint32
	From uint64 // instance of the sender
	To   uint64 // instance that is asked; another one must not answer
	// Payload is the driver's; opaque here.
	Payload []byte
	Updates []Member
}

// Ack answers a Probe, directly or through the member that was asked to
// probe in our place.
type Ack struct {
	Seq     uint32
	From    uint64 // instance that is alive
	Relayed bool   // came by way of a PingReq
	Payload []byte
	Updates []Member
}

// PingReq asks a third member to probe the target (SWIM §3.1, ping-req).
type PingReq struct {
	Seq    uint32
	From   uint64 // instance that asks
	Target uint64 // sent to where the third member knows it to be
	// WantNack asks for a Nack when the target does not answer in time.
	WantNack bool
	Updates  []Member
}

// Nack says that the sender received a PingReq, and no answer from its
// target. Version 1 reserves it: received ones are accepted and do nothing.
type Nack struct {
	Seq  uint32
	From uint64
}

// Gossip carries updates alone, when no probe can take them soon enough.
type Gossip struct {
	From    uint64
	Updates []Member
}

// PushPull is one side's whole table. The request and its reply have the same
// form; they travel over a stream, as they may be large.
type PushPull struct {
	Reply   bool
	From    uint64
	Payload []byte
	Members []Member
}

// NameTaken answers the PushPull request of a process that has just started:
// an older process bears its name, and has just answered.
type NameTaken struct {
	From   uint64 // instance that says so
	Holder Member
}
