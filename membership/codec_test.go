package membership

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sample is a member with every field set.
func sample() Member {
	return Member{
		Name: "n1", Instance: 0x1112131415161718, Started: 0x18e0a0b0c0d, Incarnation: 0x18e0a0b0c0d + 3, State: Suspect,
		PeerAddr: "10.0.0.1:7946", ClientAddr: "10.0.0.1:7947", ProtoMin: 1, ProtoMax: 2,
		Tags: map[string]string{"zone": "b", "rack": ""},
	}
}

// plain is a member with what is required.
func plain(name string, instance uint64) Member {
	return Member{Name: name, Instance: instance, Started: 100, Incarnation: 100, State: Alive, PeerAddr: name + ":1", ProtoMin: 1, ProtoMax: 1}
}

const (
	sampleHex = "02" + "01" + "02" + "1112131415161718" + "0000018e0a0b0c0d" + "00000003" +
		"02" + "6e31" + "0d" + "31302e302e302e313a37393436" + "0d" + "31302e302e302e313a37393437" +
		"02" + "04" + "7261636b" + "00" + "04" + "7a6f6e65" + "01" + "62"
	plainHex = "01" + "01" + "01" + "0000000000000002" + "0000000000000064" + "00000000" + "01" + "62" + "03" + "623a31" + "00" + "00"
)

// golden are the bytes that version 1 has had from the start.
func golden() map[string]struct {
	msg Message
	hex string
} {
	type vector = struct {
		msg Message
		hex string
	}
	return map[string]vector{
		"probe": {
			&Probe{Seq: 7, From: 1, To: 2, Payload: []byte{0xaa, 0xbb}},
			"0101" + "00000007" + "0000000000000001" + "0000000000000002" + "02aabb" + "00",
		},
		"probe with updates": {
			&Probe{Seq: 0xfffefdfc, From: 1, To: 2, Updates: []Member{sample(), plain("b", 2)}},
			"0101" + "fffefdfc" + "0000000000000001" + "0000000000000002" + "00" + "02" + sampleHex + plainHex,
		},
		"ack": {
			&Ack{Seq: 7, From: 2, Payload: []byte{1}, Updates: []Member{plain("b", 2)}},
			"0102" + "00000007" + "0000000000000002" + "00" + "0101" + "01" + plainHex,
		},
		"relayed ack": {
			&Ack{Seq: 7, From: 2, Relayed: true},
			"0102" + "00000007" + "0000000000000002" + "01" + "00" + "00",
		},
		"ping-req": {
			&PingReq{Seq: 7, From: 1, Target: 3, WantNack: true, Updates: []Member{plain("b", 2)}},
			"0103" + "00000007" + "0000000000000001" + "0000000000000003" + "01" + "01" + plainHex,
		},
		"nack": {
			&Nack{Seq: 7, From: 3},
			"0104" + "00000007" + "0000000000000003",
		},
		"gossip": {
			&Gossip{From: 1, Updates: []Member{sample()}},
			"0105" + "0000000000000001" + "01" + sampleHex,
		},
		"request": {
			&PushPull{From: 1, Payload: []byte{9}, Members: []Member{sample(), plain("b", 2)}},
			"0106" + "0000000000000001" + "0109" + "02" + sampleHex + plainHex,
		},
		"reply": {
			&PushPull{Reply: true, From: 1, Members: []Member{plain("b", 2)}},
			"0107" + "0000000000000001" + "00" + "01" + plainHex,
		},
		"name taken": {
			&NameTaken{From: 1, Holder: plain("b", 2)},
			"0108" + "0000000000000001" + plainHex,
		},
	}
}

// parse decodes either kind.
func parse(b []byte) (Message, error) {
	if len(b) > 1 && b[1] >= typePushPullRequest && b[1] <= typeNameTaken {
		return ParseAnswer(b)
	}
	return ParseDatagram(b)
}

func TestMessagesHaveTheirGoldenBytes(t *testing.T) {
	for name, v := range golden() {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, v.hex, hex.EncodeToString(v.msg.AppendTo(nil)))
			b, err := hex.DecodeString(v.hex)
			require.NoError(t, err)
			got, err := parse(b)
			require.NoError(t, err)
			require.Equal(t, v.msg, got)
		})
	}
}

func TestEveryTruncationAndEveryByteTooManyIsRefused(t *testing.T) {
	for name, v := range golden() {
		b := v.msg.AppendTo(nil)
		for n := range b {
			for _, parse := range []func([]byte) error{
				func(b []byte) error { _, err := ParseDatagram(b); return err },
				func(b []byte) error { _, err := ParsePushPull(b); return err },
				func(b []byte) error { _, err := ParseAnswer(b); return err },
			} {
				require.ErrorIs(t, parse(b[:n]), ErrMalformed, "%s, %d bytes of %d", name, n, len(b))
			}
		}
		_, err := parse(append(b, 0))
		require.ErrorIs(t, err, ErrMalformed, name)
		require.ErrorContains(t, err, "1 bytes too many")
	}
}

func TestADecoderTakesOnlyItsOwnMessages(t *testing.T) {
	for name, v := range golden() {
		b := v.msg.AppendTo(nil)
		var err error
		if _, isTable := v.msg.(*PushPull); isTable {
			_, err = ParseDatagram(b)
		} else {
			_, err = ParsePushPull(b)
		}
		require.ErrorIs(t, err, ErrMalformed, name)

		b[0] = 2
		_, err = parse(b)
		require.ErrorContains(t, err, "version 2, only 1 is spoken", name)
	}
	for _, kind := range []byte{0, 8, 9, 255} {
		_, err := ParseDatagram([]byte{1, kind})
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func TestAParsedMessageSharesNoMemoryWithItsBytes(t *testing.T) {
	for name, v := range golden() {
		b := v.msg.AppendTo(nil)
		got, err := parse(b)
		require.NoError(t, err)
		for i := range b {
			b[i] = 0xff
		}
		require.Equal(t, v.msg, got, name)
	}
}

func TestMemberSizeIsWhatIsAppended(t *testing.T) {
	long := sample()
	long.Name, long.PeerAddr = strings.Repeat("n", 256), strings.Repeat("p", 200)
	for _, m := range []Member{sample(), plain("b", 2), long} {
		require.Len(t, appendMember(nil, &m), memberSize(&m))
		require.NoError(t, m.Validate())
	}
	smallest := Member{Name: "x", PeerAddr: "y"}
	require.Equal(t, minMemberBytes, memberSize(&smallest), "counts are checked against the smallest member")
}

func TestHostileMessagesAreRefused(t *testing.T) {
	member := func(change func(*Member)) []byte {
		m := plain("b", 2)
		change(&m)
		return (&Gossip{From: 1, Updates: []Member{m}}).AppendTo(nil)
	}
	patch := func(at int, with ...byte) []byte {
		b := member(func(*Member) {})
		copy(b[at:], with)
		return b
	}
	const first = 2 + 8 + 1 // where the first member begins in gossip
	allOnes := []byte{255, 255, 255, 255, 255, 255, 255, 255}
	tags := func(n, size int) map[string]string {
		tags := make(map[string]string)
		for i := range n {
			tags[fmt.Sprintf("k%04d", i)] = strings.Repeat("v", size)
		}
		return tags
	}
	rawTags := func(raw ...byte) []byte {
		b := member(func(*Member) {})
		return append(b[:len(b)-1], raw...)
	}
	cases := map[string]struct {
		b   []byte
		err string
	}{
		"unknown state":          {member(func(m *Member) { m.State = 5 }), "state is 5"},
		"state zero":             {member(func(m *Member) { m.State = 0 }), "state is 0"},
		"state 255":              {patch(first, 255), "state is 255"},
		"instance zero":          {member(func(m *Member) { m.Instance = 0 }), "instance is zero"},
		"started past 2^48":      {member(func(m *Member) { m.Started = maxStarted; m.Incarnation = uint64(maxStarted) }), "2^48"},
		"started all ones":       {patch(first+11, allOnes...), "2^48"},
		"no name":                {member(func(m *Member) { m.Name = "" }), "name is empty"},
		"huge name":              {member(func(m *Member) { m.Name = strings.Repeat("n", 257) }), "name is 257, the limit is 256"},
		"name with a line break": {member(func(m *Member) { m.Name = "a\nlevel=error" }), "control characters"},
		"name that is no text":   {member(func(m *Member) { m.Name = "\xff\xfe" }), "not UTF-8"},
		"no peer address":        {member(func(m *Member) { m.PeerAddr = ""; m.ClientAddr = "c" }), "peer address is empty"},
		"huge peer address":      {member(func(m *Member) { m.PeerAddr = strings.Repeat("p", 257) }), "the limit is 256"},
		"huge client address":    {member(func(m *Member) { m.ClientAddr = strings.Repeat("p", 257) }), "the limit is 256"},
		"address with a space":   {member(func(m *Member) { m.ClientAddr = "a b" }), "no address has"},
		"address with a tab":     {member(func(m *Member) { m.PeerAddr = "a\tb" }), "no address has"},
		"no protocol version":    {member(func(m *Member) { m.ProtoMin = 0 }), "protocol versions are 0 to 1"},
		"versions upside down":   {member(func(m *Member) { m.ProtoMin = 2 }), "protocol versions are 2 to 1"},
		"too many tags":          {member(func(m *Member) { m.Tags = tags(65, 0) }), "tags is 65, the limit is 64"},
		"tags too long together": {member(func(m *Member) { m.Tags = tags(64, 4) }), "the limit is 512"},
		"a tag without key":      {rawTags(1, 0, 0), "out of order"},
		"a tag twice":            {rawTags(2, 1, 'k', 0, 1, 'k', 0), "out of order"},
		"tags out of order":      {rawTags(2, 1, 'k', 0, 1, 'j', 0), "out of order"},
		"a tag with a bell":      {rawTags(1, 1, 'k', 1, 7), "control characters"},
		"member past 1,000 bytes": {member(func(m *Member) {
			m.Name = strings.Repeat("n", 256)
			m.PeerAddr = strings.Repeat("p", 256)
			m.Tags = tags(1, 480)
		}), "1029 bytes"},
		"sender zero":             {patch(2, 0, 0, 0, 0, 0, 0, 0, 0), "instance is zero"},
		"overlong count":          {[]byte{1, typeGossip, 0, 0, 0, 0, 0, 0, 0, 1, 0x80, 0x00}, "shortest form"},
		"endless count":           {append([]byte{1, typeGossip, 0, 0, 0, 0, 0, 0, 0, 1}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "overlong"},
		"count past the limit":    {[]byte{1, typeGossip, 0, 0, 0, 0, 0, 0, 0, 1, 65}, "members is 65, the limit is 64"},
		"count without members":   {[]byte{1, typeGossip, 0, 0, 0, 0, 0, 0, 0, 1, 64}, "64 members in 0 bytes"},
		"unknown flag of an ack":  {[]byte{1, typeAck, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0}, "flags 0x2"},
		"payload past its limit":  {(&Ack{Seq: 1, From: 1, Payload: make([]byte, 257)}).AppendTo(nil), "payload is 257, the limit is 256"},
		"datagram past its limit": {make([]byte, 1401), "the limit is 1400"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ParseDatagram(c.b)
			require.ErrorIs(t, err, ErrMalformed)
			require.ErrorContains(t, err, c.err)
			require.Less(t, len(err.Error()), 400, "an error that is logged is short")
		})
	}
}

func TestAnAbsurdCountTakesNoMemory(t *testing.T) {
	b := (&PushPull{From: 1}).AppendTo(nil)
	b = binary.AppendUvarint(b[:len(b)-1], MaxMembers)
	b = append(b, make([]byte, 1000)...)
	allocs := testing.AllocsPerRun(10, func() {
		_, err := ParsePushPull(b)
		require.ErrorContains(t, err, "16384 members in 1000 bytes")
	})
	require.Less(t, allocs, 40.0)

	for _, count := range []uint64{MaxMembers + 1, math.MaxInt64, math.MaxUint64} {
		b := (&PushPull{From: 1}).AppendTo(nil)
		_, err := ParsePushPull(binary.AppendUvarint(b[:len(b)-1], count))
		require.ErrorContains(t, err, "the limit is 16384")
	}
	_, err := ParsePushPull(make([]byte, MaxPushPullBytes+1))
	require.ErrorContains(t, err, "the limit is")
}

// fuzzMachine is a machine with some members in each state.
func fuzzMachine(t require.TestingT) *Machine {
	m, err := New(Config{Self: plain("a", 1), Rand: rand.New(rand.NewPCG(1, 1))})
	require.NoError(t, err)
	c, d, e := plain("c", 3), plain("d", 4), plain("e", 5)
	c.State, d.State = Suspect, Dead
	var out Effects
	m.Step(simStart, "b:1", &PushPull{From: 2, Members: []Member{plain("b", 2), c, d, e}}, &out)
	e.State = Left
	m.Step(simStart, "b:1", &Gossip{From: 2, Updates: []Member{e}}, &out)
	require.NoError(t, checkTable(m))
	return m
}

func FuzzDatagram(f *testing.F) {
	for _, v := range golden() {
		f.Add(v.msg.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := ParseDatagram(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, b, msg.AppendTo(nil), "a message has one encoding")
		stepFuzzed(t, msg)
	})
}

func FuzzPushPull(f *testing.F) {
	for _, v := range golden() {
		f.Add(v.msg.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := ParsePushPull(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, b, msg.AppendTo(nil), "a message has one encoding")
		if !msg.Reply {
			stepFuzzed(t, msg)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, v := range golden() {
		f.Add(v.msg.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, err := ParseAnswer(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, b, msg.AppendTo(nil), "a message has one encoding")
		m := fuzzMachine(t)
		var out Effects
		require.NoError(t, m.Join(simStart, []string{"x:1"}, &out))
		m.Answered(simStart, out.PushPulls[len(out.PushPulls)-1].ID, msg, &out)
		m.Contacted(simStart, "x:1", msg, &out)
		require.NoError(t, checkTable(m))
	})
}

// stepFuzzed steps a message that nobody in his senses sends, twice, lets
// time pass, and checks that the machine is whole and what it says is sound.
func stepFuzzed(t *testing.T, msg Message) {
	m := fuzzMachine(t)
	var out Effects
	now := simStart
	for range 2 {
		m.Step(now, "b:1", msg, &out)
		require.NoError(t, checkTable(m))
	}
	for range 20 {
		next := m.NextDeadline()
		if next.IsZero() {
			break
		}
		require.False(t, next.Before(now))
		now = next
		m.Tick(now, &out)
		require.NoError(t, checkTable(m))
	}
	for _, p := range out.Packets {
		b := p.Msg.AppendTo(nil)
		require.LessOrEqual(t, len(b), 1100)
		got, err := ParseDatagram(b)
		require.NoError(t, err)
		require.Equal(t, b, got.AppendTo(nil))
	}
	for _, c := range out.PushPulls {
		_, err := ParsePushPull(c.Req.AppendTo(nil))
		require.NoError(t, err)
	}
}
