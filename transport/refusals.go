package transport

import (
	"log/slog"
	"sync"
	"time"

	"github.com/tochemey/gokv/internal/auth"
)

// refusalLogEvery is the least time between two log lines of one reason: a
// stranger who knocks must not fill the disk.
const refusalLogEvery = 10 * time.Second

// refusals counts refused handshakes and logs some of them.
type refusals struct {
	log     *slog.Logger
	counter func(reason string) // may be nil

	mu     sync.Mutex
	logged map[auth.Reason]*refusalLog
}

type refusalLog struct {
	at     time.Time
	hushed int // since at
}

func newRefusals(log *slog.Logger, counter func(string)) *refusals {
	return &refusals{log: log, counter: counter, logged: make(map[auth.Reason]*refusalLog)}
}

// Which end of the connection we are.
const (
	asListener = "listener"
	asDialler  = "dialler"
)

// note takes the error that ended a handshake. One that refuses nothing, and a
// node that met itself, are of interest to a debugger alone.
func (r *refusals) note(side, remote string, err error) {
	reason := auth.ReasonOf(err)
	if reason == auth.ReasonNone || reason == auth.Self {
		r.log.Debug("handshake ended", "side", side, "remote", remote, "error", err)
		return
	}
	if r.counter != nil {
		r.counter(reason.String())
	}
	hushed, ok := r.due(reason, time.Now())
	if !ok {
		return
	}
	attrs := []any{"reason", reason.String(), "side", side, "remote", remote, "error", err}
	if hushed > 0 {
		attrs = append(attrs, "unlogged", hushed)
	}
	r.log.Warn("handshake refused", attrs...)
}

// due reports whether a line of the reason may be logged now, and how many were
// not since the last.
func (r *refusals) due(reason auth.Reason, now time.Time) (hushed int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.logged[reason]
	if l == nil {
		l = &refusalLog{}
		r.logged[reason] = l
	} else if since := now.Sub(l.at); since >= 0 && since < refusalLogEvery {
		l.hushed++
		return 0, false
	}
	hushed = l.hushed
	l.at, l.hushed = now, 0
	return hushed, true
}
