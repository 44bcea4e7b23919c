package merkle

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// The transcripts are whole rounds, byte for byte: what another implementation
// must send. After a change of the protocol, `go test ./merkle -run Transcripts
// -rewrite` writes them anew.
//
//	set (a|b) [key=CREATED]     lines of "key value time"; "n*" in front of a
//	                            key makes n of them
//	round salt=N [window=N]     the frames of one round, and how it ended
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		stores := map[string]*store{"a": newStore(1, sharedKey), "b": newStore(2, sharedKey)}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "set":
				return setRows(t, stores[d.CmdArgs[0].Key], d)
			case "round":
				return transcript(t, stores["a"], stores["b"], d)
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

func setRows(t *testing.T, s *store, d *datadriven.TestData) string {
	if d.HasArg("key") {
		var created uint64
		d.ScanArgs(t, "key", &created)
		s.key = Key{Created: created, Secret: [16]byte{byte(created)}}
		s.rebuild()
	}
	for line := range strings.Lines(d.Input) {
		var key, value string
		var time uint64
		if _, err := fmt.Sscan(line, &key, &value, &time); err != nil {
			d.Fatalf(t, "%q: %v", line, err)
		}
		many, name, found := strings.Cut(key, "*")
		if !found {
			s.putAt(time, key, value)
			continue
		}
		n, err := strconv.Atoi(many)
		if err != nil {
			d.Fatalf(t, "%q: %v", line, err)
		}
		for i := range n {
			s.merge(&row{key: fmt.Sprint(name, i), value: value, time: time + uint64(i), instance: 9})
		}
	}
	return ""
}

func transcript(t *testing.T, a, b *store, d *datadriven.TestData) string {
	var out strings.Builder
	var salt uint64
	var c RoundConfig
	d.ScanArgs(t, "salt", &salt)
	d.MaybeScanArgs(t, "window", &c.Window)
	k := newTalk(t, a, b, salt, c)
	for spoke := true; spoke; {
		spoke = false
		for _, way := range []struct {
			name     string
			from, to *side
		}{{"a>", k.a, k.b}, {"b>", k.b, k.a}} {
			for k.speak(way.from, way.to) {
				spoke = true
				frame := way.to.inbox[0]
				name := frameType(frame[0] &^ (frameLast | frameOdd)).String()
				if frame[0]&frameLast != 0 {
					name += ", last"
				}
				fmt.Fprintf(&out, "%s %-13s %s\n", way.name, name, hex.EncodeToString(frame))
				k.hear(way.to)
			}
		}
	}
	k.wantDone()
	for _, s := range []*side{k.a, k.b} {
		st := s.Stats()
		fmt.Fprintf(&out, "equal=%t converged=%t rekeyed=%t turns=%d digest bytes sent=%d entries sent=%d (%d B) applied=%d\n",
			st.Equal, st.Converged, st.Rekeyed, st.Turns, st.DigestSent, st.EntriesSent, st.EntryBytesSent, st.Applied)
	}
	return out.String()
}
