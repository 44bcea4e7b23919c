package gokv

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tochemey/gokv/membership"
	"github.com/tochemey/gokv/transport"
)

// How the others are asked on an operator's behalf.
const (
	// inquiryTimeout is for all of them together: whoever waits shall hear of those
	// that answered.
	inquiryTimeout  = 2 * time.Second
	inquiriesAtOnce = 32
)

// inquire puts one question to one member, over a stream of its own.
func (n *Node) inquire(ctx context.Context, m membership.Member, kind byte, question []byte) ([]byte, error) {
	stream, peer, err := n.transport.OpenStream(ctx, m.PeerAddr, transport.Main, kind)
	if err != nil {
		return nil, err
	}
	if peer.Instance != m.Instance {
		stream.Abort()
		return nil, fmt.Errorf("%s is now another instance of %q", m.PeerAddr, peer.Name)
	}
	answer, err := exchange(ctx, stream, question)
	if err != nil {
		stream.Abort()
		return nil, err
	}
	n.hangUp(stream)
	return answer, nil
}

// inquireAll puts one question to many members. take gets each answer, or why there
// is none, by the member's place in the list; no two of its calls are of one
// place, but they run beside each other.
func (n *Node) inquireAll(ctx context.Context, members []membership.Member, kind byte, question []byte, take func(i int, answer []byte, err error)) {
	limit := inquiryTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var group sync.WaitGroup
	places := make(chan struct{}, inquiriesAtOnce)
	for i, m := range members {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			answer, err := n.inquire(ctx, m, kind, question)
			take(i, answer, err)
		})
	}
	group.Wait()
}
