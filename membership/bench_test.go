package membership

import (
	"testing"
	"time"
)

// An idle member's second: a probe sent, its ack received, a probe answered.
func BenchmarkIdleSecond(b *testing.B) {
	m := fuzzMachine(b)
	payload := make([]byte, 25)
	m.cfg.Payload = func() []byte { return payload }
	var out Effects
	now := simStart
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Second)
		out.Reset()
		m.Step(now, "b:1", &Probe{Seq: 1, From: 2, To: 1, Payload: payload}, &out)
		m.Tick(now, &out)
		for _, p := range out.Packets {
			if probe, ok := p.Msg.(*Probe); ok {
				m.Step(now, p.To, &Ack{Seq: probe.Seq, From: probe.To, Payload: payload}, &out)
				break
			}
		}
	}
}

func BenchmarkParseDatagram(b *testing.B) {
	for name, v := range golden() {
		if _, table := v.msg.(*PushPull); table {
			continue
		}
		bytes := v.msg.AppendTo(nil)
		b.Run("message="+name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bytes)))
			for b.Loop() {
				if _, err := ParseDatagram(bytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A table of a thousand members that holds nothing new.
func BenchmarkMergeOfAThousand(b *testing.B) {
	m := fuzzMachine(b)
	msg := &PushPull{From: 2, Members: others(1000)}
	var out Effects
	m.Step(simStart, "b:1", msg, &out)
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		m.Step(simStart, "b:1", msg, &out)
	}
}
