package membership

// Effects is what a step wants done. The caller owns it, carries it out and
// reuses it; nothing in it aliases what the machine will change. (The tags of
// members in messages are shared with the table, which never changes a map.)
type Effects struct {
	Packets   []Packet
	PushPulls []PushPullCall
	Replies   []Reply
	Payloads  []PayloadEvent
	Events    []Event
}

// Packet is a datagram to send. It may be lost.
type Packet struct {
	To  string // peer address
	Msg Message
}

// PushPullCall is a request to send over a stream. The driver tells the
// machine how it ended with Answered or Failed, once, under the call's ID.
type PushPullCall struct {
	ID  uint64
	To  string
	Req *PushPull
}

// Reply answers the PushPull request that was stepped in.
type Reply struct {
	To  string
	Msg *PushPull
}

// PayloadEvent hands out the payload of a message from a live member.
type PayloadEvent struct {
	Member  Member
	Payload []byte
}

// EventKind says what an Event tells.
type EventKind uint8

const (
	// EventJoined: a member is alive that was unknown, dead or left before,
	// or a new instance took over a name.
	EventJoined EventKind = iota + 1
	// EventSuspected: a live member did not answer and must refute.
	EventSuspected
	// EventRecovered: a suspect refuted.
	EventRecovered
	// EventFailed: a live member is believed dead, or a live instance was
	// superseded by a restart of its name.
	EventFailed
	// EventLeft: a live member left by its own will.
	EventLeft
	// EventUpdated: a live member changed what it says of itself.
	EventUpdated
	// EventProbe: a probe of the own member ended, with Probe as the result.
	EventProbe
	// EventAccused: the own member was believed suspect, dead or left by
	// somebody, and refuted.
	EventAccused
	// EventConflict: another live process uses the own name. Member is the
	// rival. Fatal set: the own member has given the name up and takes no
	// further part; the driver should stop it and say why.
	EventConflict
	// EventLeaveDone: the own leave has been told; the driver may stop.
	EventLeaveDone
	// EventBadMessage: a message or a claim in it was refused; Err says why.
	// It changed nothing.
	EventBadMessage
	// EventNameTaken: a process that has just started was refused, because
	// Holder bears its name and still answers.
	EventNameTaken
	// EventTableFull: a member was not taken in because all MaxMembers rows
	// are live.
	EventTableFull
)

// String returns the kind's name.
func (k EventKind) String() string {
	names := [...]string{
		EventJoined: "joined", EventSuspected: "suspected", EventRecovered: "recovered",
		EventFailed: "failed", EventLeft: "left", EventUpdated: "updated",
		EventProbe: "probe", EventAccused: "accused", EventConflict: "conflict",
		EventLeaveDone: "leave-done", EventBadMessage: "bad-message", EventNameTaken: "name-taken",
		EventTableFull: "table-full",
	}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return "unknown"
}

// ProbeResult is how a probe ended. The values are metric labels.
type ProbeResult string

const (
	ProbeAck         ProbeResult = "ack"
	ProbeIndirectAck ProbeResult = "indirect_ack"
	ProbeTimeout     ProbeResult = "timeout"
)

// Event is something that happened, for logs, metrics and whoever follows
// the membership.
type Event struct {
	Kind   EventKind
	Member Member      // whom it is about; zero for BadMessage
	Probe  ProbeResult // EventProbe
	Holder Member      // EventNameTaken
	Fatal  bool        // EventConflict
	From   string      // EventBadMessage, EventAccused: address it came from
	Err    error       // EventBadMessage
}

// Reset empties e and keeps its memory.
func (e *Effects) Reset() {
	clear(e.Packets)
	clear(e.PushPulls)
	clear(e.Replies)
	clear(e.Payloads)
	clear(e.Events)
	e.Packets, e.PushPulls, e.Replies = e.Packets[:0], e.PushPulls[:0], e.Replies[:0]
	e.Payloads, e.Events = e.Payloads[:0], e.Events[:0]
}

func (e *Effects) send(to string, msg Message) {
	e.Packets = append(e.Packets, Packet{To: to, Msg: msg})
}

func (e *Effects) event(ev Event) {
	ev.Member = ev.Member.clone()
	e.Events = append(e.Events, ev)
}
