package membership

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzzType feeds one message's decoder with bodies: its first two bytes are
// right, so that all the work goes into its own fields.
func fuzzType(f *testing.F, kind byte) {
	for _, v := range golden() {
		if b := v.msg.AppendTo(nil); b[1] == kind {
			f.Add(b[2:])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := append([]byte{wireVersion, kind}, body...)
		msg, err := parse(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.Equal(t, b, msg.AppendTo(nil), "a message has one encoding")
		switch msg := msg.(type) {
		case *NameTaken:
			answerFuzzed(t, msg)
		case *PushPull:
			if msg.Reply {
				answerFuzzed(t, msg)
				return
			}
			stepFuzzed(t, msg)
		default:
			stepFuzzed(t, msg)
		}
	})
}

// answerFuzzed answers a call with a message, and another contact too.
func answerFuzzed(t *testing.T, msg Message) {
	m := fuzzMachine(t)
	var out Effects
	require.NoError(t, m.Join(simStart, []string{"x:1"}, &out))
	m.Answered(simStart, out.PushPulls[len(out.PushPulls)-1].ID, msg, &out)
	m.Contacted(simStart, "x:1", msg, &out)
	require.NoError(t, checkTable(m))
}

func FuzzProbe(f *testing.F)     { fuzzType(f, typeProbe) }
func FuzzAck(f *testing.F)       { fuzzType(f, typeAck) }
func FuzzPingReq(f *testing.F)   { fuzzType(f, typePingReq) }
func FuzzNack(f *testing.F)      { fuzzType(f, typeNack) }
func FuzzGossip(f *testing.F)    { fuzzType(f, typeGossip) }
func FuzzRequest(f *testing.F)   { fuzzType(f, typePushPullRequest) }
func FuzzReply(f *testing.F)     { fuzzType(f, typePushPullReply) }
func FuzzNameTaken(f *testing.F) { fuzzType(f, typeNameTaken) }
func FuzzCompare(f *testing.F)   { fuzzType(f, typeCompare) }
func FuzzSame(f *testing.F)      { fuzzType(f, typeSame) }
