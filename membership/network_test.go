package membership

import (
	"github.com/stretchr/testify/require"
)

// datagram carries one packet, as bytes.
func (w *world) datagram(n *node, p Packet) {
	b := p.Msg.AppendTo(nil)
	if len(b) > 1100 || p.To == n.addr {
		require.Fail(w.t, "no such packet may be sent", "%d bytes from %s to %s", len(b), n.addr, p.To)
	}
	w.datagrams++
	w.datagramBytes += len(b)
	w.log(n.name, p.To, b)
	if w.blocked[[2]string{n.addr, p.To}] || w.rng.Float64() < w.loss {
		w.lost++
		return
	}
	copies := 1
	if w.rng.Float64() < w.dup {
		w.duplicated++
		copies = 2
	}
	for range copies {
		w.at(w.delay(), func() {
			to := w.nodeAt(p.To)
			if to == nil {
				return
			}
			to.step(func() {
				msg, err := ParseDatagram(b)
				require.NoError(w.t, err)
				to.machine.Step(w.now, n.addr, msg, &to.out)
			})
		})
	}
}

// call carries a push-pull there and back. Without an answer it fails, at
// once when nobody listens, else by its time-out.
func (w *world) call(n *node, c PushPullCall) {
	w.calls++
	machine, ended := n.machine, false
	end := func(f func(m *Machine)) {
		if ended || n.machine != machine {
			return
		}
		ended = true
		n.step(func() { f(n.machine) })
	}
	fail := func() { end(func(m *Machine) { m.Failed(w.now, c.ID, false, &n.out) }) }
	w.at(machine.cfg.PushPullTimeout, fail)

	req := c.Req.AppendTo(nil)
	w.log(n.name, c.To, req)
	if w.blocked[[2]string{n.addr, c.To}] {
		return
	}
	w.at(w.delay(), func() {
		to := w.nodeAt(c.To)
		if to == nil || to.machine == nil {
			w.refused++
			fail()
			return
		}
		to.step(func() {
			msg, err := ParsePushPull(req)
			require.NoError(w.t, err)
			to.machine.Step(w.now, n.addr, msg, &to.out)
			if to.machine.yielded {
				return
			}
			require.Len(w.t, to.out.Replies, 1)
			reply := to.out.Replies[0].Msg.AppendTo(nil)
			if w.blocked[[2]string{to.addr, n.addr}] {
				return
			}
			w.at(w.delay(), func() {
				end(func(m *Machine) {
					msg, err := ParsePushPull(reply)
					require.NoError(w.t, err)
					m.Answered(w.now, c.ID, msg, &n.out)
				})
			})
		})
	})
}

// partition cuts the links between the groups, both ways or only from the
// first to the second.
func (w *world) partition(a, b []*node, oneWay bool) {
	for _, x := range a {
		for _, y := range b {
			w.blocked[[2]string{x.addr, y.addr}] = true
			if !oneWay {
				w.blocked[[2]string{y.addr, x.addr}] = true
			}
		}
	}
}

func (w *world) heal() { clear(w.blocked) }
