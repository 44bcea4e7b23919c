package gokv

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Between nodes a stream carries frames: a length of four bytes, big endian,
// and the body. Package transport gives the stream; what the body means is
// the business of the machine at its end.

// maxPeerFrame bounds a frame between nodes: a batch of entries, of which the
// last may be a whole value of the largest size.
const maxPeerFrame = 24 << 20

const frameHead = 4

// writeFrame writes body as one frame; w is flushed by the caller.
func writeFrame(w *bufio.Writer, body []byte) error {
	if len(body) > maxPeerFrame {
		return fmt.Errorf("frame of %d bytes: at most %d", len(body), maxPeerFrame)
	}
	var head [frameHead]byte
	binary.BigEndian.PutUint32(head[:], uint32(len(body)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

// readFrame reads one frame into buf, grown if need be, and returns the body.
// Memory is taken as the bytes come, so that a length alone costs nothing.
func readFrame(r *bufio.Reader, buf []byte) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	left := int(binary.BigEndian.Uint32(head[:]))
	if left > maxPeerFrame {
		return nil, fmt.Errorf("frame of %d bytes: at most %d", left, maxPeerFrame)
	}
	const step = 64 << 10
	buf = buf[:0]
	for left > 0 {
		take := min(left, step)
		at := len(buf)
		if cap(buf)-at < take {
			grown := make([]byte, at, min(max(2*cap(buf), at+take), maxPeerFrame))
			copy(grown, buf)
			buf = grown
		}
		buf = buf[:at+take]
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return nil, fmt.Errorf("frame broken off: %w", err)
		}
		left -= take
	}
	return buf, nil
}
