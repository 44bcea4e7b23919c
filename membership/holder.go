package membership

import (
	"context"
	"fmt"
	"time"
)

// A process that starts under a name which is borne already is, nearly always,
// a restart whose former instance nobody has missed yet: it supersedes that one
// at once. If the former instance still answers, it is a mistake, and the
// newcomer is told so before anybody has believed it. What this misses (two
// that start at the same time, a holder that is slow to answer) is left to the
// two themselves; see rivals.go.

// holderTimeout is how long the holder of a name may take to answer. A
// restarted process waits no longer for its welcome.
const holderTimeout = 500 * time.Millisecond

// holderOf returns the live member whose name the sender of a request bears
// too: an older instance, elsewhere. Only who knows nobody else yet is asked
// about.
func holderOf(members []Member, req *PushPull) (holder, newcomer Member, ok bool) {
	for _, c := range req.Members {
		if c.Instance == req.From {
			newcomer = c
		} else if c.State.live() {
			return holder, newcomer, false
		}
	}
	if newcomer.Instance == 0 {
		return holder, newcomer, false
	}
	for _, m := range members {
		if m.Name == newcomer.Name {
			older := m.Started < newcomer.Started || m.Started == newcomer.Started && m.Instance < newcomer.Instance
			return m, newcomer, m.State.live() && m.Instance != newcomer.Instance && m.PeerAddr != newcomer.PeerAddr && older
		}
	}
	return holder, newcomer, false
}

// taken answers a request whose sender bears the name of a live member that
// still answers; nil for any other request.
func (l *Loop) taken(ctx context.Context, req *PushPull) *NameTaken {
	v := l.view.Load()
	holder, newcomer, ok := holderOf(v.members, req)
	if !ok {
		return nil
	}
	if holder.Instance != v.self.Instance {
		ctx, cancel := context.WithTimeout(ctx, holderTimeout)
		defer cancel()
		if err := l.sender.Ping(ctx, holder.PeerAddr, holder.Instance); err != nil {
			return nil
		}
	}
	l.offer(func(time.Time) { l.out.event(Event{Kind: EventNameTaken, Member: newcomer, Holder: holder.clone()}) })
	return &NameTaken{From: v.self.Instance, Holder: holder}
}

// Contact exchanges tables with whoever is at an address, once, and returns
// its instance. When it returns, what the table held has been handed to the
// Delegate. An error wraps ErrSelf if the address is this node's own, and
// ErrYielded if the node has given its name up, for this contact or before.
func (l *Loop) Contact(ctx context.Context, addr string) (instance uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	var req *PushPull
	if err := l.do(ctx, func(now time.Time) { req = l.machine.Request(now) }); err != nil {
		return 0, err
	}
	if req == nil {
		return 0, ErrYielded
	}
	b, err := l.sender.PushPull(ctx, addr, req.AppendTo(nil))
	if err != nil {
		return 0, err
	}
	answer, err := ParseAnswer(b)
	if err != nil {
		l.badMessage(addr, fmt.Errorf("reply: %w", err))
		return 0, fmt.Errorf("contact %s: %w", addr, err)
	}
	// The second job runs when the effects of the first have been carried out.
	if err := l.do(ctx, func(now time.Time) { l.machine.Contacted(now, addr, answer, &l.out) }); err != nil {
		return 0, err
	}
	if err := l.do(ctx, func(time.Time) {}); err != nil {
		return 0, err
	}
	switch answer := answer.(type) {
	case *NameTaken:
		return 0, fmt.Errorf("%s says that %q is the name of the member at %s: %w", addr, answer.Holder.Name, answer.Holder.PeerAddr, ErrYielded)
	case *PushPull:
		return answer.From, nil
	}
	return 0, fmt.Errorf("contact %s: unknown answer", addr)
}
