package gokv

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/engine"
	"github.com/tochemey/gokv/internal/setting"
)

const (
	// processMemory is what an idle node without entries has resident: its program,
	// Go's runtime, connections with a few peers and clients.
	processMemory = 32 << 20
	// programMemory is the part of it that Go's runtime does not count.
	programMemory = 16 << 20
	// leastHeap is what Go's heap is left whatever else there is: a limit below
	// what is in use has the collector run all the time.
	leastHeap = 16 << 20

	leastMaxMemory = 64 << 20
)

// memory is what counts against max-memory beside the engine's contents.
type memory struct {
	limit  int64        // fixed after NewNode; 0: none
	queued atomic.Int64 // bytes in the queues of pushes
	frames atomic.Int64 // bytes of frames in flight: pushes, rounds and requests

	members atomic.Pointer[[]string] // the other members that are full, by name; nil: none
}

// beside is what the engine adds to its own.
func (m *memory) beside() int64 { return processMemory + m.queued.Load() + m.frames.Load() }

// held is a number of bytes in flight that changes. It is not safe for concurrent
// use.
type held struct {
	memory *memory
	bytes  int64
}

func (h *held) set(n int) {
	h.memory.frames.Add(int64(n) - h.bytes)
	h.bytes = int64(n)
}

// requestBytes is what a request holds while it is answered: its own frame, or the
// page that it asks for.
func requestBytes(req *wire.Request) int64 {
	if req.Op == wire.OpList {
		return 3 * pageBytes // as the engine hands it out, as an answer, and as a frame
	}
	n := int64(len(req.Key) + len(req.Value))
	for i := range req.Items {
		n += int64(len(req.Items[i].Key) + len(req.Items[i].Value))
	}
	return n
}

// heap is what is left for Go's heap: what lies outside of it is taken off as if
// puts had filled the store already. They can do that sooner than the collector
// would hear of it. A sixteenth is for overwrites, which stand beside what they
// replace until they take its place.
func (m *memory) heap(contents engine.Memory) int64 {
	outside := engine.MemoryForPuts(m.limit) - processMemory - int64(contents.Index)
	return m.limit - programMemory - max(outside, int64(contents.Records)) - m.limit/16
}

// noteFullLocked takes in who of the other members is full. mu must be held.
func (r *replication) noteFullLocked() {
	r.seen = r.machine.Full(r.seen[:0])
	if slices.Equal(r.seen, r.full) {
		return
	}
	r.full = append(r.full[:0], r.seen...)
	if len(r.full) == 0 {
		r.node.memory.members.Store(nil)
		r.node.engine.RefuseGrowth("")
		r.node.log.Info("no other member is full any more")
		return
	}
	names := make([]string, 0, len(r.full))
	for _, id := range r.full {
		if p := r.peers[id]; p != nil {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	r.node.memory.members.Store(&names)
	list := strings.Join(names, ", ")
	r.node.engine.RefuseGrowth(fmt.Sprintf("the memory of %s is full", list))
	r.node.log.Warn("members are full: puts that make the store grow are refused", "members", list)
}

// fullMembers are the names of the members whose memory is full, this node's among
// them.
func (n *Node) fullMembers() []string {
	var names []string
	if others := n.memory.members.Load(); others != nil {
		names = append(names, *others...)
	}
	if n.engine.Full() {
		names = append(names, n.name)
		slices.Sort(names)
	}
	return names
}

// tendMemory is called now and then: it tells Go how much is left for its heap, and
// the log when the memory fills up.
func (n *Node) tendMemory() {
	if n.memory.limit == 0 {
		return
	}
	goHeap.share(n, n.memory.heap(n.engine.Memory()))
	full := n.engine.Full()
	if full == n.wasFull {
		return
	}
	n.wasFull = full
	if !n.crowded.Allow() {
		return
	}
	used, limit := setting.RoundSize(n.engine.Used()), setting.FormatSize(n.memory.limit)
	if full {
		n.log.Warn("this node is full: all members refuse puts that make the store grow", "used", used, "max_memory", limit)
	} else {
		n.log.Info("this node is not full any more", "used", used, "max_memory", limit)
	}
}

// goHeap is Go's soft limit on its memory, of which a process has one: that of
// all nodes in it together, and never above what the program was started with.
var goHeap heapLimit

type heapLimit struct {
	mu     sync.Mutex
	shares map[*Node]int64
	before int64 // what it was without nodes
}

// share sets what a node leaves for Go's heap. A change of the limit stops the
// world, so that small ones wait.
func (l *heapLimit) share(n *Node, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.shares) == 0 {
		l.shares = make(map[*Node]int64)
		l.before = debug.SetMemoryLimit(-1)
	}
	bytes = max(bytes, leastHeap)
	if change := bytes - l.shares[n]; change > bytes/64 || -change > bytes/64 {
		l.shares[n] = bytes
		l.setLocked()
	}
}

func (l *heapLimit) setLocked() {
	limit := l.before
	if len(l.shares) > 0 {
		sum := int64(0)
		for _, b := range l.shares {
			sum += b
		}
		limit = min(limit, sum)
	}
	debug.SetMemoryLimit(limit)
}

// leave takes a node's share away; the last one restores what was before.
func (l *heapLimit) leave(n *Node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.shares[n]; !ok {
		return
	}
	delete(l.shares, n)
	l.setLocked()
}
