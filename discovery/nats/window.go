package nats

import (
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// maxPeers is how many addresses one question may bring.
const maxPeers = 10_000

// window is what a call under way is told meanwhile. It only ever adds: no
// message takes an address away, since anybody may have sent it.
type window struct {
	echo    kind   // which message of this node's own is awaited
	self    uint64 // this node's instance
	subject string
	back    chan struct{} // closed when the own message is back
	first   chan struct{} // closed when there is an address
	refused chan error    // holds one

	mu    sync.Mutex
	inbox string // "" where there is none
	heard bool
	peers map[string]struct{}
	full  bool // there were more
}

func (s *session) open(echo kind) *window {
	w := &window{
		echo: echo, self: s.p.self.Instance, subject: s.p.cfg.Subject,
		back: make(chan struct{}), first: make(chan struct{}), refused: make(chan error, 1),
		peers: map[string]struct{}{},
	}
	s.mu.Lock()
	s.windows[w] = struct{}{}
	s.mu.Unlock()
	return w
}

func (s *session) close(w *window) {
	s.mu.Lock()
	delete(s.windows, w)
	s.mu.Unlock()
}

// take takes a hello or an answer of the own cluster.
func (w *window) take(m message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch _, known := w.peers[m.addr()]; {
	case m.Instance == w.self:
		if m.Kind == w.echo && !w.heard {
			w.heard = true
			close(w.back)
		}
	case known:
	case len(w.peers) == maxPeers:
		w.full = true
	default:
		if len(w.peers) == 0 {
			close(w.first)
		}
		w.peers[m.addr()] = struct{}{}
	}
}

// found returns the addresses, and whether there were no more.
func (w *window) found() (addrs []string, whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for addr := range w.peers {
		addrs = append(addrs, addr)
	}
	return addrs, !w.full
}

// concerns tells whether a refusal is about the subject or the window's inbox.
// The limit of subscriptions names none.
func (w *window) concerns(err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := err.Error()
	return !strings.Contains(text, `"`) ||
		strings.Contains(text, `"`+w.subject+`"`) ||
		w.inbox != "" && strings.Contains(text, `"`+w.inbox+`"`)
}

func (w *window) deny(err error) {
	select {
	case w.refused <- err:
	default: // the first is enough
	}
}

// isInbox tells whether a reply subject is one that a node may have asked from.
// Answers to any other would let a stranger publish with this node's rights.
// _R_. is what a server makes of an inbox of another account.
func isInbox(subject string) bool {
	return len(subject) <= maxSubjectBytes && !strings.ContainsAny(subject, "*> \t\r\n") &&
		(strings.HasPrefix(subject, nats.InboxPrefix) || strings.HasPrefix(subject, "_R_."))
}
