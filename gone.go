package gokv

import (
	"fmt"

	"github.com/tochemey/gokv/transport"
)

// codeGone ends the streams of an instance that is gone for good.
const codeGone = 0x2

// refuseGone refuses an instance that left, was replaced under its name, or was
// forgotten: its writes may count as seen already. If it lives after all, it learns so.
func refuseGone(s transport.Stream, instance uint64) error {
	s.CancelWrite(codeGone)
	s.CancelRead(codeGone)
	return fmt.Errorf("instance %s is gone for good: start its process anew", hexID(instance))
}

// heedRefusal gives up if a stream ended because the peer takes this instance for one
// that is gone: nobody takes its writes any more.
func (n *Node) heedRefusal(peer string, err error) {
	if code, ok := transport.StreamCode(err); ok && code == codeGone {
		n.fail(fmt.Errorf("%s takes this process for one that is gone for good (it was forgotten, or another one has borne its name for long): start it anew", peer))
	}
}
