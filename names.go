package gokv

import "sync"

// maxNames is how many instances' names a node remembers. Each start of a
// process is an instance.
const maxNames = 4096

// names remembers which member an instance is or was: the list of members has
// only the newest instance of a name, versions carry older ones too. Past
// maxNames the one that was met first is forgotten.
type names struct {
	mu   sync.Mutex
	of   map[uint64]string
	ring []uint64 // the instances as they were met
	next int      // in ring, once it is full
}

func newNames() *names { return &names{of: make(map[uint64]string)} }

func (s *names) note(instance uint64, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.of[instance]; known {
		return
	}
	s.of[instance] = name
	if len(s.ring) < maxNames {
		s.ring = append(s.ring, instance)
		return
	}
	delete(s.of, s.ring[s.next])
	s.ring[s.next] = instance
	s.next = (s.next + 1) % maxNames
}

func (s *names) lookup(instance uint64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[instance]
}

// nameOf is the name of the member that an instance is or was; empty where this
// node never met it.
func (n *Node) nameOf(instance uint64) string {
	if name := n.names.lookup(instance); name != "" {
		return name
	}
	for _, m := range n.memberList() {
		if m.Instance == instance {
			return m.Name
		}
	}
	return ""
}
