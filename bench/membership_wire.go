package main

import "github.com/tochemey/gokv/membership"

// What messages cost on the wire, modelled. Measured once over quic-go 0.65: a
// probe and its ack of 64 bytes each are 228 bytes of UDP payload, in three
// packets: the probe; the ack, which takes QUIC's acknowledgement of the probe
// along; and the acknowledgement of the ack. The parts below add up to that,
// and IP and UDP are added to each packet.
const (
	quicPacket   = 31   // header, AEAD tag and DATAGRAM frame header of a packet with a message
	quicAckFrame = 5    // an acknowledgement that travels along
	quicAck      = 33   // a packet that only acknowledges
	ipUDP        = 28   // IPv4 and UDP headers
	quicMTU      = 1200 // UDP payload of a full packet
	// quicHandshake is what a new connection costs both sides together, with
	// two certificates of a few hundred bytes: two Initial packets padded to
	// 1,200 bytes (RFC 9000 §14.1) and about as much for the rest. A guess.
	quicHandshake = 5000
	// quicDial is what a dial costs that nobody answers: three Initials
	// within the time-out (RFC 9002 §6.2, doubling from a second).
	quicDial = 3 * (1200 + ipUDP)
)

// size returns a message's encoded bytes.
func (w *memberWorld) size(msg membership.Message) int {
	w.scratch = msg.AppendTo(w.scratch[:0])
	return len(w.scratch)
}

// charge counts a datagram with its share of acknowledgements.
func (w *memberWorld) charge(from, to *memberNode, msg membership.Message) {
	w.connect(from, to)
	cost := w.size(msg) + quicPacket + ipUDP
	w.packets++
	if _, probe := msg.(*membership.Probe); probe {
		cost += quicAckFrame
	} else {
		cost += quicAck + ipUDP
		w.packets++
	}
	w.bytes += float64(cost)
}

// chargeStream counts one direction of a push-pull: every second packet is
// acknowledged (RFC 9000 §13.2.2).
func (w *memberWorld) chargeStream(from, to *memberNode, msg membership.Message) {
	w.connect(from, to)
	size := w.size(msg) + 8
	packets := (size + quicMTU - 1) / quicMTU
	w.packets += packets + (packets+1)/2
	w.bytes += float64(size + packets*(quicPacket+ipUDP) + (packets+1)/2*(quicAck+ipUDP))
}

// connect counts the handshake where two members have not met before.
// Connections are kept.
func (w *memberWorld) connect(from, to *memberNode) {
	if from.links[to.id] || to.machine == nil {
		return
	}
	from.links[to.id], to.links[from.id] = true, true
	w.bytes += quicHandshake
}

func (w *memberWorld) chargeDial(*memberNode) { w.bytes += quicDial }
