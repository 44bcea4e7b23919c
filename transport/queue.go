package transport

import "sync"

// queueLen is how many datagrams wait for one peer.
const queueLen = 64

// queue holds datagrams for one sender. A full one drops its oldest: of probes
// and gossip the latest is worth most.
type queue struct {
	mu    sync.Mutex
	ring  [queueLen][]byte
	first int
	count int
	wake  chan struct{}
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push takes b over and reports whether an older one had to go.
func (q *queue) push(b []byte) (dropped bool) {
	q.mu.Lock()
	if q.count == queueLen {
		q.ring[q.first] = nil
		q.first = (q.first + 1) % queueLen
		q.count--
		dropped = true
	}
	q.ring[(q.first+q.count)%queueLen] = b
	q.count++
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return dropped
}

// take returns the oldest, if there is one.
func (q *queue) take() ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count == 0 {
		return nil, false
	}
	b := q.ring[q.first]
	q.ring[q.first] = nil
	q.first = (q.first + 1) % queueLen
	q.count--
	return b, true
}

// pop waits for the oldest; false when done is closed.
func (q *queue) pop(done <-chan struct{}) ([]byte, bool) {
	for {
		select {
		case <-done:
			return nil, false
		default:
		}
		if b, ok := q.take(); ok {
			return b, true
		}
		select {
		case <-q.wake:
		case <-done:
			return nil, false
		}
	}
}

// clear empties the queue and returns how many were in it.
func (q *queue) clear() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.count
	q.ring, q.first, q.count = [queueLen][]byte{}, 0, 0
	return n
}
