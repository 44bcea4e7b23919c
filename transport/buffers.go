package transport

import (
	"log/slog"
	"net"
	"os"
	"sync"
)

// quic-go asks the kernel for this much for each direction of a UDP socket.
const wantedBuffer = 7 << 20

// quietWarning is quic-go's switch for a line that it would otherwise print to
// the standard logger, past the program's own.
const quietWarning = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"

var (
	quietOnce  sync.Once
	bufferOnce sync.Once
)

// quietBuffers replaces quic-go's warning about small kernel buffers by
// reportBuffer's line in our own log. An environment that sets the switch
// itself, either way, is left alone.
func quietBuffers() {
	quietOnce.Do(func() {
		if _, set := os.LookupEnv(quietWarning); set {
			return
		}
		// The only failure is an invalid name.
		os.Setenv(quietWarning, "true") //nolint:errcheck // see above
	})
}

// reportBuffer says once a process that the kernel grants less than was asked.
// Everything works then; bursts may overflow the buffer and be sent again.
func reportBuffer(log *slog.Logger, pc net.PacketConn) {
	udp, ok := pc.(*net.UDPConn)
	if !ok {
		return
	}
	size, ok := readBufferSize(udp)
	if !ok || size >= wantedBuffer {
		return
	}
	bufferOnce.Do(func() {
		log.Info("small UDP receive buffer: bursts may be dropped and sent again; net.core.rmem_max limits it",
			"kib", size>>10, "wanted_kib", wantedBuffer>>10)
	})
}
