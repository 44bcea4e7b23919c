package membership

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// TestTranscripts plays the dialogues in testdata/*.txt with one machine;
// -rewrite records them anew. The commands:
//
//	machine [name=a] [instance=1] [started=100] [payload=p] [exchange=1h]
//	    a new machine, alone, at time 0; the interval of periodic exchanges
//	    is long, as they would run through every dialogue
//	step from=ADDR
//	    one message a line, as printed in the output
//	advance D
//	    lets time pass and ticks at each deadline; late: one tick at the end
//	join ADDR…, leave
//	answered id=N from=INSTANCE, then one member a line; failed id=N [self]
//	members, deadline
//
// A member is NAME/INSTANCE STATE [start=S] [+INCARNATION] [at=ADDR]; what is
// left out is start=100, +0 and NAME:1.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		s := &script{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return s.run(d)
		})
	})
}

type script struct {
	t   *testing.T
	m   *Machine
	now time.Time
	out Effects
	b   strings.Builder
}

func (s *script) run(d *datadriven.TestData) string {
	s.b.Reset()
	switch d.Cmd {
	case "machine":
		s.machine(d)
	case "step":
		var from string
		d.ScanArgs(s.t, "from", &from)
		for line := range strings.Lines(d.Input) {
			s.m.Step(s.now, from, parseMessage(s.t, line), &s.out)
			s.effects()
		}
	case "advance":
		s.advance(d)
	case "join":
		var addrs []string
		for _, arg := range d.CmdArgs {
			addrs = append(addrs, arg.Key)
		}
		if err := s.m.Join(s.now, addrs, &s.out); err != nil {
			fmt.Fprintf(&s.b, "error: %v\n", err)
		}
		s.effects()
	case "leave":
		s.m.Leave(s.now, &s.out)
		s.effects()
	case "answered":
		var id, from uint64
		d.ScanArgs(s.t, "id", &id)
		d.ScanArgs(s.t, "from", &from)
		s.m.Answered(s.now, id, &PushPull{Reply: true, From: from, Members: parseMembers(s.t, d.Input)}, &s.out)
		s.effects()
	case "failed":
		var id uint64
		d.ScanArgs(s.t, "id", &id)
		s.m.Failed(s.now, id, d.HasArg("self"), &s.out)
		s.effects()
	case "members":
		for _, m := range s.m.Members() {
			fmt.Fprintln(&s.b, formatMember(m))
		}
	case "deadline":
		if next := s.m.NextDeadline(); next.IsZero() {
			fmt.Fprintln(&s.b, "none")
		} else {
			fmt.Fprintln(&s.b, next.Sub(simStart))
		}
	default:
		d.Fatalf(s.t, "unknown command %s", d.Cmd)
	}
	require.NoError(s.t, checkTable(s.m))
	if s.b.Len() == 0 {
		return "nothing\n"
	}
	return s.b.String()
}

func (s *script) machine(d *datadriven.TestData) {
	name, payload, exchange, instance, started := "a", "", "1h", uint64(1), int64(100)
	d.MaybeScanArgs(s.t, "name", &name)
	d.MaybeScanArgs(s.t, "instance", &instance)
	d.MaybeScanArgs(s.t, "started", &started)
	d.MaybeScanArgs(s.t, "payload", &payload)
	d.MaybeScanArgs(s.t, "exchange", &exchange)
	every, err := time.ParseDuration(exchange)
	require.NoError(s.t, err)
	m, err := New(Config{
		Self: Member{Name: name, Instance: instance, Started: started, PeerAddr: name + ":1"},
		Rand: rand.New(rand.NewPCG(1, 1)), PushPullInterval: every,
		Payload: func() []byte { return []byte(payload) },
	})
	require.NoError(s.t, err)
	m.seq = 0 // so that numbers in transcripts are small
	s.m, s.now = m, simStart
}

func (s *script) advance(d *datadriven.TestData) {
	by, err := time.ParseDuration(d.CmdArgs[0].Key)
	require.NoError(s.t, err)
	until := s.now.Add(by)
	for !d.HasArg("late") {
		next := s.m.NextDeadline()
		if next.IsZero() || next.After(until) {
			break
		}
		s.now = next
		s.m.Tick(s.now, &s.out)
		s.effects()
	}
	s.now = until
	s.m.Tick(s.now, &s.out)
	s.effects()
}

// effects prints what the last step asked for.
func (s *script) effects() {
	at := s.now.Sub(simStart).Truncate(time.Millisecond)
	for _, e := range s.out.Events {
		fmt.Fprintf(&s.b, "%s event %s", at, e.Kind)
		if e.Member.Name != "" {
			fmt.Fprintf(&s.b, " %s", formatMember(e.Member))
		}
		if e.Probe != "" {
			fmt.Fprintf(&s.b, " %s", e.Probe)
		}
		if e.Fatal {
			fmt.Fprint(&s.b, " fatal")
		}
		if e.Err != nil {
			fmt.Fprintf(&s.b, " %v", e.Err)
		}
		fmt.Fprintln(&s.b)
	}
	for _, p := range s.out.Payloads {
		fmt.Fprintf(&s.b, "%s payload of %s: %s\n", at, p.Member.Name, p.Payload)
	}
	for _, p := range s.out.Packets {
		fmt.Fprintf(&s.b, "%s to %s: %s\n", at, p.To, formatMessage(p.Msg))
	}
	for _, c := range s.out.PushPulls {
		fmt.Fprintf(&s.b, "%s call %d to %s: %s\n", at, c.ID, c.To, formatMessage(c.Req))
	}
	for _, r := range s.out.Replies {
		fmt.Fprintf(&s.b, "%s reply to %s: %s\n", at, r.To, formatMessage(r.Msg))
	}
	s.out.Reset()
}

func formatMember(m Member) string {
	s := fmt.Sprintf("%s/%d %s", m.Name, m.Instance, m.State)
	if m.Started != 100 {
		s += fmt.Sprintf(" start=%d", m.Started)
	}
	if inc := m.Incarnation - uint64(m.Started); inc != 0 {
		s += fmt.Sprintf(" +%d", inc)
	}
	if m.PeerAddr != m.Name+":1" {
		s += " at=" + m.PeerAddr
	}
	return s
}

func formatMembers(members []Member) string {
	parts := make([]string, len(members))
	for i, m := range members {
		parts[i] = formatMember(m)
	}
	return strings.Join(parts, ", ")
}

// formatMessage and parseMessage are each other's inverse:
// KIND key=value… | member, member…
func formatMessage(msg Message) string {
	var b strings.Builder
	payload := func(p []byte) {
		if len(p) > 0 {
			fmt.Fprintf(&b, " payload=%s", p)
		}
	}
	var members []Member
	switch m := msg.(type) {
	case *Probe:
		fmt.Fprintf(&b, "probe seq=%d from=%d to=%d", m.Seq, m.From, m.To)
		payload(m.Payload)
		members = m.Updates
	case *Ack:
		fmt.Fprintf(&b, "ack seq=%d from=%d", m.Seq, m.From)
		if m.Relayed {
			b.WriteString(" relayed=1")
		}
		payload(m.Payload)
		members = m.Updates
	case *PingReq:
		fmt.Fprintf(&b, "ping-req seq=%d from=%d target=%d", m.Seq, m.From, m.Target)
		members = m.Updates
	case *Nack:
		fmt.Fprintf(&b, "nack seq=%d from=%d", m.Seq, m.From)
	case *Gossip:
		fmt.Fprintf(&b, "gossip from=%d", m.From)
		members = m.Updates
	case *PushPull:
		kind := "request"
		if m.Reply {
			kind = "reply"
		}
		fmt.Fprintf(&b, "%s from=%d", kind, m.From)
		payload(m.Payload)
		members = m.Members
	}
	if len(members) > 0 {
		b.WriteString(" | " + formatMembers(members))
	}
	return b.String()
}

func parseMessage(t *testing.T, line string) Message {
	head, tail, _ := strings.Cut(strings.TrimSpace(line), " | ")
	fields := strings.Fields(head)
	values := make(map[string]string)
	for _, f := range fields[1:] {
		key, value, ok := strings.Cut(f, "=")
		require.True(t, ok, "%q", line)
		values[key] = value
	}
	number := func(key string) uint64 {
		v, err := strconv.ParseUint(values[key], 10, 64)
		require.NoError(t, err, "%s in %q", key, line)
		return v
	}
	members := parseMembers(t, strings.ReplaceAll(tail, ", ", "\n"))
	switch fields[0] {
	case "probe":
		return &Probe{Seq: uint32(number("seq")), From: number("from"), To: number("to"), Payload: []byte(values["payload"]), Updates: members}
	case "ack":
		return &Ack{Seq: uint32(number("seq")), From: number("from"), Relayed: values["relayed"] == "1", Payload: []byte(values["payload"]), Updates: members}
	case "ping-req":
		return &PingReq{Seq: uint32(number("seq")), From: number("from"), Target: number("target"), Updates: members}
	case "nack":
		return &Nack{Seq: uint32(number("seq")), From: number("from")}
	case "gossip":
		return &Gossip{From: number("from"), Updates: members}
	case "request", "reply":
		return &PushPull{Reply: fields[0] == "reply", From: number("from"), Payload: []byte(values["payload"]), Members: members}
	}
	require.Fail(t, "no such message", line)
	return nil
}

func parseMembers(t *testing.T, text string) []Member {
	var members []Member
	for line := range strings.Lines(text) {
		m, err := parseMember(strings.Fields(line))
		require.NoError(t, err, "%q", line)
		members = append(members, m)
	}
	return members
}

func parseMember(fields []string) (Member, error) {
	if len(fields) < 2 {
		return Member{}, errors.New("want NAME/INSTANCE STATE")
	}
	name, instance, _ := strings.Cut(fields[0], "/")
	m := Member{Name: name, Started: 100, PeerAddr: name + ":1", ProtoMin: 1, ProtoMax: 1}
	var err error
	if m.Instance, err = strconv.ParseUint(instance, 10, 64); err != nil {
		return m, err
	}
	for s := Alive; s <= Left; s++ {
		if s.String() == fields[1] {
			m.State = s
		}
	}
	var inc uint64
	for _, f := range fields[2:] {
		switch {
		case strings.HasPrefix(f, "start="):
			m.Started, err = strconv.ParseInt(f[len("start="):], 10, 64)
		case strings.HasPrefix(f, "+"):
			inc, err = strconv.ParseUint(f[1:], 10, 64)
		case strings.HasPrefix(f, "at="):
			m.PeerAddr = f[len("at="):]
		default:
			err = fmt.Errorf("unknown %q", f)
		}
		if err != nil {
			return m, err
		}
	}
	m.Incarnation = uint64(m.Started) + inc
	return m, m.Validate()
}
